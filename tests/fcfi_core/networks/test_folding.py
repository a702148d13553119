"""Folding keeps the function: every variant gives the same maps, folded or not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fcfi_core.networks.folding import folded
from fcfi_core.networks.registry import VARIANTS, build

# Narrower than the real ones: the pairs of convolution and norm are the same. ResNet-101 only repeats
# blocks of ResNet-50.
NARROW = {"hrnet18": {"width": 8}, "hrnet32": {"width": 8}, "resnet50": {"decoder_channels": 32}}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def disturb(network, generator):
    """Give every batch norm statistics and gains of its own, as training would."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.0),
                (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 2.0),
            ):
                tensor.data = low + (high - low) * torch.rand(tensor.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("variant", sorted(VARIANTS.keys() - {"resnet101"}))
def test_maps_agree_and_no_norm_stays(variant, generator):
    network = disturb(build(variant, **NARROW.get(variant, {})), generator)
    copied = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copied.modules())
    image = torch.rand(1, 3, 64, 96, generator=generator)
    feedback = torch.rand(1, 1, 64, 96, generator=generator)
    points = torch.tensor([[[20.0, 30, 0], [50, 80, 1]]])
    new_points = torch.tensor([[[50, 80, 0]]])
    with torch.inference_mode():
        plain = network.decode(network.encode(image), feedback, points, new_points, 1.0)
        fast = copied.decode(copied.encode(image), feedback, points, new_points, 1.0)
    # float32 rounding only, relative to the spread of the logits; 1e-4 is the limit of this file.
    limit = 1e-4 * max(1.0, float(plain.logits.abs().max()))
    torch.testing.assert_close(fast.logits, plain.logits, rtol=0, atol=limit)
    torch.testing.assert_close(fast.corrected, plain.corrected, rtol=0, atol=1e-4)
    torch.testing.assert_close(fast.fused, plain.fused, rtol=0, atol=1e-4)


def test_the_original_is_untouched(generator):
    network = disturb(build("hrnet18s_small", width=8), generator)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    folded(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
