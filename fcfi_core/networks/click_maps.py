"""Clicks as maps, and the small network that carries them into a stem (paper section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def disk_maps(points: Tensor, height: int, width: int, radius: float = 5) -> Tensor:
    """Return disks around the clicks, (B, 2, height, width) float32 of 0 and 1.

    Channel 0 holds the positive clicks, channel 1 the negative ones. A pixel is 1 if any click of
    its sign is at most ``radius`` pixels away (inclusive, Euclidean, in float32).

    Args:
        points: (B, 2N, 3) rows ``(y, x, order)``, positives first; a row is unused if both y and x
            are negative.
        height, width: size of the maps in pixels.
        radius: disk radius in pixels.
    """
    batch, rows, _ = points.shape
    points = points.to(torch.float32).view(batch, 2, rows // 2, 3)
    y, x = points[..., 0], points[..., 1]
    y = y.masked_fill(torch.maximum(y, x) < 0, float("inf"))
    row = torch.arange(height, device=points.device, dtype=torch.float32)
    column = torch.arange(width, device=points.device, dtype=torch.float32)
    # Squares separate into one vector along rows and one along columns; one click at a time keeps
    # the memory at one map however many clicks there are.
    squared_y = (row - y.unsqueeze(-1)).square()
    squared_x = (column - x.unsqueeze(-1)).square()
    nearest = squared_y[:, :, 0, :, None] + squared_x[:, :, 0, None, :]
    for index in range(1, rows // 2):
        nearest = torch.minimum(nearest, squared_y[:, :, index, :, None] + squared_x[:, :, index, None, :])
    return (nearest <= radius * radius).to(torch.float32)


class ScaleLayer(nn.Module):
    """Multiplies by the absolute value of one learnable number, initially 0.05. Key ``scale``."""

    def __init__(self, initial: float = 0.05) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), initial))

    def forward(self, features: Tensor) -> Tensor:
        """Return ``features`` scaled."""
        return features * self.scale.abs()


class ClickMapTransform(nn.Sequential):
    """Click maps (B, C, H, W) to 64 channels at half size, to be added behind a stem's activation.

    Keys ``0`` (conv 1x1), ``2`` (conv 3x3 stride 2), ``3`` (scale).
    """

    def __init__(self, in_channels: int, *, leaky: bool = True) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 16, 1),
            nn.LeakyReLU(0.2) if leaky else nn.ReLU(inplace=True),
            nn.Conv2d(16, 64, 3, stride=2, padding=1),
            ScaleLayer(),
        )
