"""A network small enough for property tests, and models made of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fcfi_core.model import Model
from fcfi_core.networks.base import InteractiveNetwork, NetworkOutput, normalised, resized
from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.protocol import Protocol


class _TinyEncoding(NamedTuple):
    image: Tensor
    features: Tensor


class _TinyNetwork(InteractiveNetwork):
    """FCFI with two convolutions: FFCM, CFFM, clicks and feedback all have their say."""

    def __init__(self, size_multiple: int) -> None:
        super().__init__()
        self.size_multiple = size_multiple
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8), nn.ReLU())
        self.correction_module = FeedbackCorrection(8, 6, 8, 0.3)
        self.fusion_module = FeedbackFusion(8, 8)
        self.head = nn.Conv2d(8 + 3, 1, 3, padding=1)

    def encode(self, image: Tensor) -> _TinyEncoding:
        return _TinyEncoding(normalised(image), self.stem(normalised(image)))

    def decode(
        self,
        encoding: Any,
        feedback: Tensor,
        points: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        radius: float = -1,
        soft_window: bool = False,
    ) -> NetworkOutput:
        height, width = feedback.shape[-2:]
        disks = disk_maps(points, height, width, 20)
        corrected, _ = self.correction_module(encoding.image, disks, encoding.features, feedback, new_points)
        features, fused = self.fusion_module(encoding.features, corrected, gate)
        signs = resized(disks, *features.shape[-2:])
        logits = self.head(torch.cat((features, corrected, signs), dim=1))
        logits = logits + 4 * (signs[:, :1] - signs[:, 1:])
        return NetworkOutput(*(resized(maps, height, width) for maps in (logits, corrected, fused)))


@pytest.fixture(scope="session")
def tiny_network():
    """Return a function that builds the tiny network with the same random weights every time."""

    def build(size_multiple: int = 8) -> InteractiveNetwork:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            network = _TinyNetwork(size_multiple)
        return network.eval()

    return build


@pytest.fixture(scope="session")
def tiny_model(tiny_network):
    """A model of the tiny network with small frames, one thread."""
    protocol = Protocol(first_side=64, target_size=64, smallest_crop=24)
    return Model.from_network(tiny_network(), name="tiny", protocol=protocol, device="cpu", threads=1)


@pytest.fixture(scope="session")
def photo():
    """(90, 120, 3) uint8: a bright disk on dark noise."""
    random = np.random.default_rng(3)
    pixels = random.integers(0, 90, (90, 120, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:90, :120]
    pixels[(rows - 40) ** 2 + (columns - 70) ** 2 < 400] += 120
    return pixels
