from __future__ import annotations

import pytest
import torch

from fcfi_core.networks.base import InteractiveNetwork, resized
from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MobileNetFeedbackNetwork(width=32, decoder_width=16, middle_channels=8).eval()


def inputs(side=96):
    image = torch.rand(1, 3, side, side)
    points = torch.tensor([[[40.0, 50.0, 0.0], [-1.0, -1.0, -1.0]]])
    return image, torch.zeros(1, 1, side, side), points, torch.tensor([[[40.0, 50.0, 1.0]]])


@torch.inference_mode()
def test_an_untrained_refinement_changes_nothing(network):
    image, *clicks = inputs()
    encoding = network.encode(image)
    features, logits = torch.rand(1, 16, 24, 24), torch.rand(1, 1, 24, 24)
    assert torch.equal(network._refine(encoding, features, logits), resized(logits, 48, 48))
    assert network.decode(encoding, *clicks, 0.0).logits.shape == (1, 1, 96, 96)


def test_the_refinement_sees_edges_of_stride_two_and_learns(network):
    image, *clicks = inputs()
    network.zero_grad()
    encoding = network.encode(image)
    assert encoding.edges.shape == (1, 16, 48, 48)
    network.decode(encoding, *clicks, 0.0).logits.sum().backward()
    assert network.refinement[-1].weight.grad.abs().sum() > 0


@torch.inference_mode()
def test_other_answers_start_from_the_usual_one_and_leave_it_alone(network):
    several = MobileNetFeedbackNetwork(width=32, decoder_width=16, middle_channels=8, other_answers=3).eval()
    several.load_state_dict(network.state_dict(), strict=False)
    torch.nn.init.zeros_(several.others.change.bias)
    image, feedback, points, newest = inputs()
    encoding = network.encode(image)
    usual = network.decode(encoding, feedback, points, newest, 0.0).logits
    assert torch.equal(several.decode(encoding, feedback, points, newest, 0.0).logits, usual)
    disks = disk_maps(points, 96, 96, several.disk_radius)
    answers = several.first_answers(encoding, feedback, disks, newest)
    assert answers.shape == (1, 4, 96, 96)
    assert torch.equal(answers[:, :1], usual)
    others = answers[:, 1:]
    # The refinement at stride 2 has learnt nothing yet, so they agree but for how they are enlarged.
    assert torch.allclose(others, usual.expand_as(others), atol=0.2)


def test_a_network_of_one_answer_says_so(network):
    assert network.other_answers == 0
    with pytest.raises(NotImplementedError, match="one answer"):
        InteractiveNetwork.first_answers(network, None, None, None, None)
