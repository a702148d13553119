from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.networks.registry import build
from fcfi_core.training.configuration import SourceConfiguration, TrainingConfiguration
from fcfi_core.training.distillation import differences, distil, main, taken_over
from fcfi_core.training.run import sampler_of, starting_network

NARROW = {"width": 32, "decoder_width": 16, "middle_channels": 8}


@pytest.fixture(scope="module")
def configuration(photo_folder):
    return TrainingConfiguration(
        out="unused",
        steps=1,
        sources=(SourceConfiguration(str(photo_folder)),),
        variant="efficientnet_lite0",
        arguments=NARROW,
    )


def test_a_new_encoder_learns_the_old_ones_encoding_and_nothing_else_changes(configuration):
    torch.manual_seed(0)
    teacher = build("mobilenetv2", **NARROW).eval()
    network = build("efficientnet_lite0", **NARROW)
    count = taken_over(network, teacher)
    assert count > 100
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sampler = sampler_of(replace(configuration, seed=3), print)
    losses = distil(network, teacher, sampler, configuration, steps=30, learning_rate=1e-2, size=64, batch=2)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("backbone.") or "_projection." in name for name in changed)
    frozen = configuration.optimizer.frozen_blocks
    assert not any(name.startswith(f"backbone.features.{frozen - 1}.") for name in changed)
    assert any(name.startswith(f"backbone.features.{frozen}.") for name in changed)
    assert taken_over(network, network) == len(
        [name for name in network.state_dict() if not name.startswith("backbone.")]
    )


def test_the_command_writes_a_checkpoint_with_the_other_encoder(photo_folder, tmp_path):
    teacher, out, configuration = (
        tmp_path / "a.safetensors",
        tmp_path / "b.safetensors",
        tmp_path / "run.toml",
    )
    state = build("mobilenetv2", **NARROW).state_dict()
    write_checkpoint(teacher, state, {"variant": "mobilenetv2", "arguments": NARROW}, "float32")
    configuration.write_text(
        f'out = "unused"\nsteps = 1\nvariant = "efficientnet_lite0"\n[[sources]]\npath = "{photo_folder}"\n'
    )
    main([str(configuration), str(teacher), str(out), "--steps", "2", "--size", "64", "--batch", "2"])
    written = read_checkpoint(out)
    assert (written.variant, written.arguments) == ("efficientnet_lite0", NARROW)
    behind = "interaction.0.expand.body.1.bias"
    assert torch.equal(written.state[behind], state[behind].half().float())
    with pytest.raises(SettingsError, match="nothing of yours is overwritten"):
        main([str(configuration), str(teacher), str(teacher)])


@torch.inference_mode()
def test_the_difference_is_a_share_of_the_variance():
    network = build("mobilenetv2", **NARROW).eval()
    encoding = network.encode(torch.rand(2, 3, 64, 64))
    assert all(float(part) == 0 for part in differences(encoding, encoding))
    means = type(encoding)(*(maps.mean(dim=(0, 2, 3), keepdim=True).expand_as(maps) for maps in encoding))
    assert [float(part) for part in differences(means, encoding)] == pytest.approx([1.0] * 5, rel=1e-3)


def test_published_weights_that_do_not_fit_are_refused(configuration, tmp_path):
    path = tmp_path / "backbone.safetensors"
    asked = replace(configuration, initialisation=str(path))
    with pytest.raises(WeightsError, match="does not exist"):
        starting_network(asked)
    save_file({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"lacks '_bn0\.weight'"):
        starting_network(asked)
    light = replace(asked, variant="mobilenetv2")
    state = build("mobilenetv2").backbone.state_dict()
    save_file(state, path)
    network, _ = starting_network(light)
    assert torch.equal(network.backbone.features[0][0].weight, state["features.0.0.weight"])
    state["features.0.0.weight"] = torch.zeros(8, 3, 3, 3)
    save_file(state, path)
    with pytest.raises(WeightsError, match="does not fit the backbone"):
        starting_network(light)
    with pytest.raises(WeightsError, match="only variants of the light network"):
        starting_network(replace(light, variant="hrnet18s_small", arguments={}))
