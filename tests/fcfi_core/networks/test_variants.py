"""What all networks have in common: the split in two, batches, gates, the official call, gradients."""

from __future__ import annotations

import pytest
import torch

from fcfi_core.errors import WeightsError
from fcfi_core.networks.registry import VARIANTS, build

# Narrow networks of every family: these tests are about the interface.
NARROW = {
    "hrnet18s_small": {"width": 4, "ocr_width": 4, "middle_channels": 4},
    "resnet50": {"decoder_channels": 8, "middle_channels": 4},
    "mobilenetv2": {},
}
POINTS = torch.tensor([[[10.0, 12, 0], [40, 50, 1]], [[30, 5.5, 0], [-1, -1, -1]]])
NEW_POINTS = torch.tensor([[[40, 50, 0]], [[30, 5, 1]]])


@pytest.fixture(params=NARROW)
def network(request):
    torch.manual_seed(0)
    return build(request.param, **NARROW[request.param]).eval()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 4, 64, 80, generator=generator)


def decode(network, inputs, gate=1.0, **options):
    return network.decode(network.encode(inputs[:, :3]), inputs[:, 3:], POINTS, NEW_POINTS, gate, **options)


def test_maps_have_the_size_of_the_image_and_feedback_is_probability(network, inputs):
    with torch.inference_mode():
        output = decode(network, inputs)
    for maps in (output.logits, output.corrected, output.fused):
        assert maps.shape == (2, 1, 64, 80)
        assert maps.dtype == torch.float32
    for maps in (output.corrected, output.fused):
        assert float(maps.min()) >= 0
        assert float(maps.max()) <= 1 + 1e-6
    assert output.window is None


def test_the_official_call_is_encode_and_decode(network, inputs):
    with torch.inference_mode():
        output = decode(network, inputs)
        official = network(inputs, POINTS, NEW_POINTS, 1.0)
    assert torch.equal(official["instances"], output.logits)
    for key, maps in (("updated_feedback1", output.corrected), ("updated_feedback2", output.fused)):
        found = official[key]
        assert torch.equal(found[0] if isinstance(found, list) else found, maps)


def test_samples_of_a_batch_do_not_mix(network, inputs):
    with torch.inference_mode():
        together = decode(network, inputs).logits
        for index in range(2):
            part = slice(index, index + 1)
            encoding = network.encode(inputs[part, :3])
            alone = network.decode(encoding, inputs[part, 3:], POINTS[part], NEW_POINTS[part], 1.0).logits
            torch.testing.assert_close(together[part], alone, rtol=0, atol=1e-4)


def test_each_sample_may_have_its_own_gate(network, inputs):
    gates = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    with torch.inference_mode():
        mixed, closed, opened = (decode(network, inputs, gate).logits for gate in (gates, 0.0, 1.0))
    torch.testing.assert_close(mixed[0], closed[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(mixed[1], opened[1], rtol=0, atol=1e-4)


def test_the_radius_of_the_disks_can_be_overridden(network, inputs):
    with torch.inference_mode():
        usual, given, other = (decode(network, inputs, radius=radius).logits for radius in (-1, 5, 20))
    assert torch.equal(usual, given)
    assert not torch.equal(usual, other)


def test_training_reaches_every_weight_that_is_run(network, inputs):
    network.train()
    output = decode(network, inputs, soft_window=True)
    assert output.window.shape == (2, 1, 64, 80)
    (output.logits.mean() + output.corrected.mean() + output.fused.mean()).backward()
    idle = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    # With one class the queries and keys of the OCR attention have no influence.
    assert all(".f_pixel." in name or ".f_object." in name for name in idle)


def test_unknown_variants_and_arguments_are_refused():
    with pytest.raises(WeightsError, match=r"'vit'.*hrnet18"):
        build("vit")
    with pytest.raises(WeightsError, match="wings"):
        build("hrnet18", wings=2)
    with pytest.raises(WeightsError, match="resnet101"):
        build("resnet101", depth=34)


def test_every_variant_is_described():
    assert all(description.summary.endswith(".") for description in VARIANTS.values())
