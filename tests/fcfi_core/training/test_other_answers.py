from __future__ import annotations

import numpy as np
import pytest
import torch

from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork
from fcfi_core.training.configuration import SourceConfiguration, TrainingConfiguration
from fcfi_core.training.crops import CropSampler
from fcfi_core.training.other_answers import least_loss, teach
from fcfi_core.training.run import read_training_photos


@pytest.fixture(scope="module")
def configuration(photo_folder):
    return TrainingConfiguration(out="unused", steps=1, sources=(SourceConfiguration(str(photo_folder)),))


@pytest.fixture(scope="module")
def sampler(configuration):
    photos = read_training_photos(configuration, print)
    return CropSampler(photos, configuration.sources, configuration.sampling, seed=3)


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
