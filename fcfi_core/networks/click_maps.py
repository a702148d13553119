"""Clicks as maps, and the small network that carries them into a stem (paper section 3.1)."""

from __future__ import annotations

import math

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
    y, x, _ = points.to(torch.float32).view(batch * 2, rows // 2, 3).unbind(dim=-1)
    # Only the pixels around each click are looked at, so the cost hardly grows with the clicks.
    reach = math.ceil(radius) + 1
    offsets = torch.arange(-reach, reach + 1, device=points.device, dtype=torch.float32)
    row, column = y.floor().unsqueeze(-1) + offsets, x.floor().unsqueeze(-1) + offsets
    squared_y, squared_x = (row - y.unsqueeze(-1)).square(), (column - x.unsqueeze(-1)).square()
    drawn = squared_y.unsqueeze(-1) + squared_x.unsqueeze(-2) <= radius * radius
    drawn &= (torch.maximum(y, x) >= 0)[..., None, None]
    drawn &= ((row >= 0) & (row < height)).unsqueeze(-1) & ((column >= 0) & (column < width)).unsqueeze(-2)
    plane = torch.arange(batch * 2, device=points.device)[:, None, None, None]
    row, column = row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()
    pixel = (plane * height + row.unsqueeze(-1)) * width + column.unsqueeze(-2)
    # What is not drawn goes to one pixel behind the last, so that no shape depends on the values.
    pixels = batch * 2 * height * width
    maps = torch.zeros(pixels + 1, device=points.device)
    maps[pixel.masked_fill(~drawn, pixels).flatten()] = 1
    return maps[:pixels].view(batch, 2, height, width)


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
