from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.model import load_model
from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork
from fcfi_core.networks.registry import build
from fcfi_core.predictor import Predictor
from fcfi_core.training import other_answers
from fcfi_core.training.configuration import SourceConfiguration, TrainingConfiguration
from fcfi_core.training.other_answers import least_loss, teach
from fcfi_core.training.run import sampler_of


@pytest.fixture(scope="module")
def configuration(photo_folder):
    return TrainingConfiguration(out="unused", steps=1, sources=(SourceConfiguration(str(photo_folder)),))


@pytest.fixture(scope="module")
def sampler(configuration):
    return sampler_of(replace(configuration, seed=3), print)


def test_a_view_has_several_targets_and_is_drawn_by_its_index(sampler):
    image, targets, random = sampler.draw_together(7, 64, 4)
    again, same, as_random = sampler.draw_together(7, 64, 4)
    assert image.shape == (64, 64, 3)
    assert np.array_equal(image, again)
    assert [target.shape for target in targets] == [(64, 64)] * 4
    assert all(np.array_equal(one, other) for one, other in zip(targets, same, strict=True))
    assert all((target == 1).any() for target in targets)
    assert random.random() == as_random.random()


def test_only_the_best_answer_has_to_be_right():
    target = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    target[..., :4] = 1
    right = torch.where(target[:, :, ::2, ::2] == 1, 9.0, -9.0)
    wrong = -right
    both, neither = torch.cat((wrong, right), 1), torch.cat((wrong, wrong), 1)
    assert least_loss(both, target) < 0.1 * least_loss(neither, target)
    target[:] = 255
    assert least_loss(neither, target) < 0.1


def test_teaching_changes_the_further_answers_alone(configuration, sampler):
    torch.manual_seed(0)
    network = MobileNetFeedbackNetwork(width=32, decoder_width=16, middle_channels=8, other_answers=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    teach(network, sampler, configuration, steps=3, learning_rate=3e-3, size=64)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert "others.change.weight" in changed
    assert all(name.startswith("others.") for name in changed)


def test_the_command_writes_a_checkpoint_that_answers_several_ways(photo_folder, tmp_path):
    """The network that was given stays as it is; the new one knows other answers, too."""
    small = {"width": 32, "decoder_width": 16, "middle_channels": 8}
    given, out, configuration = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "run.toml"
    network = MobileNetFeedbackNetwork(**small)
    write_checkpoint(given, network.state_dict(), {"variant": "mobilenetv2", "arguments": small}, "float32")
    configuration.write_text(f'out = "unused"\nsteps = 1\n[[sources]]\npath = "{photo_folder}"\n')
    words = [str(configuration), str(given), str(out), "--steps", "2", "--size", "64"]
    other_answers.main(words)
    before, after = read_checkpoint(given), read_checkpoint(out)
    assert after.arguments == {**before.arguments, "other_answers": other_answers.COUNT}
    for name, tensor in before.state.items():
        assert torch.equal(after.state[name], tensor.half().float()), name
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    model = load_model(str(out), engine="torch", device="cpu")
    assert len(Predictor(model).segment(pixels, [(40, 30)]).candidates) >= 1


def test_the_command_refuses_what_it_cannot_teach_before_it_reads_photos(tmp_path):
    configuration, out = tmp_path / "run.toml", tmp_path / "b.safetensors"
    configuration.write_text('out = "unused"\nsteps = 1\n[[sources]]\npath = "nowhere"\n')
    other = tmp_path / "a.safetensors"
    narrow = build("hrnet18s_small")
    write_checkpoint(other, narrow.state_dict(), {"variant": "hrnet18s_small", "arguments": {}}, "float16")
    with pytest.raises(WeightsError, match="only variants of the light network"):
        other_answers.main([str(configuration), str(other), str(out)])
    with pytest.raises(SettingsError, match="nothing of yours is overwritten"):
        other_answers.main([str(configuration), str(other), str(other)])
    with pytest.raises(SettingsError, match="no such folder"):
        other_answers.main([str(configuration), str(other), str(tmp_path / "nowhere" / "b.safetensors")])
