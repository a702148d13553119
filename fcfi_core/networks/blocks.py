"""The small convolution blocks that FFCM, CFFM and the heads are made of (official key names)."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNormRelu(nn.Module):
    """Convolution with bias, batch norm, ReLU; keeps the map size. Keys ``conv``, ``bn``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), non-negative."""
        return self.relu(self.bn(self.conv(features)))  # type: ignore[no-any-return]


class SeparableConvNormRelu(nn.Module):
    """Depthwise 3x3 and pointwise 1x1, both with bias, then batch norm and ReLU.

    Keys ``conv3x3``, ``conv1x1``, ``bn``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv3x3 = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        self.conv1x1 = nn.Conv2d(in_channels, out_channels, 1)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), non-negative."""
        return self.relu(self.bn(self.conv1x1(self.conv3x3(features))))  # type: ignore[no-any-return]
