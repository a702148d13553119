from __future__ import annotations

import pytest
import torch

from fcfi_core.networks.base import resized
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
