"""MobileNetV2 image encoder with a DeepLabV3 pooling head, batch norm folded into the convolutions.

The layer names follow the public MobileNetV2 naming (``features.N.conv...``), so that published
weights whose norms were folded load without renaming.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

# (expansion, output channels, blocks, stride of the first, dilation) per stage. The last two stages
# keep the resolution (output stride 16) and dilate instead, as DeepLab does.
_STAGES = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 2, 1),
    (6, 96, 3, 1, 1),
    (6, 160, 3, 1, 2),
    (6, 320, 1, 1, 2),
)
# The first block of the 160-channel stage is the one whose stride was removed; the dilation starts
# behind it.
_UNDILATED_BLOCK = 14
_STRIDE_2, _STRIDE_4, _STRIDE_8, _STRIDE_16 = 1, 3, 6, 13


class Pyramid(NamedTuple):
    """Feature maps of one image, (B, channels, H / stride, W / stride)."""

    stride2: Tensor  # 16 channels
    stride4: Tensor  # 24 channels
    stride8: Tensor  # 32 channels
    stride16: Tensor  # 96 channels
    context: Tensor  # 256 channels at stride 16, non-negative


class _Convolution(nn.Conv2d):
    """Convolution with bias and TensorFlow's SAME padding, exact for even map sizes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        symmetric = dilation * (kernel_size // 2) if stride == 1 else 0
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=symmetric,
            dilation=dilation,
            groups=groups,
        )

    def forward(self, features: Tensor) -> Tensor:
        if self.stride[0] == 2:
            features = functional.pad(features, (0, 1, 0, 1))
        return super().forward(features)


def _activated(*arguments: int) -> nn.Sequential:
    return nn.Sequential(_Convolution(*arguments), nn.ReLU6(inplace=True))


class _InvertedResidual(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expansion: int, dilation: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_activated(in_channels, hidden, 1)]
        layers.append(_activated(hidden, hidden, 3, stride, dilation, hidden))
        layers.append(_Convolution(hidden, out_channels, 1))
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.conv(features)
        return features + result if self.residual else result


class _PyramidPooling(nn.Module):
    """DeepLabV3's pooling head: image pooling beside a 1x1 branch, then a projection to 256."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.aspp0 = nn.Conv2d(in_channels, 256, 1)
        self.image_pooling = nn.Conv2d(in_channels, 256, 1)
        self.concat_projection = nn.Conv2d(512, 256, 1)

    def forward(self, features: Tensor) -> Tensor:
        pooled = functional.relu(self.image_pooling(features.mean(dim=(2, 3), keepdim=True)))
        local = functional.relu(self.aspp0(features))
        return functional.relu(self.concat_projection(torch.cat((pooled.expand_as(local), local), dim=1)))


class MobileNetBackbone(nn.Module):
    """MobileNetV2 (width 1.0) at output stride 16 with a DeepLabV3 head."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_activated(3, 32, 3, 2)]
        in_channels = 32
        for expansion, out_channels, count, stride, dilation in _STAGES:
            for index in range(count):
                rate = 1 if len(blocks) == _UNDILATED_BLOCK else dilation
                blocks.append(
                    _InvertedResidual(in_channels, out_channels, stride if index == 0 else 1, expansion, rate)
                )
                in_channels = out_channels
        self.features = nn.Sequential(*blocks)
        self.aspp = _PyramidPooling(in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        """Return the pyramid of ``image``: (B, 3, H, W) float32 RGB in [0, 1], sides multiples of 16."""
        maps = image * 2 - 1
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(self.features):
            maps = block(maps)
            if index in (_STRIDE_2, _STRIDE_4, _STRIDE_8, _STRIDE_16):
                kept[index] = maps
        return Pyramid(kept[_STRIDE_2], kept[_STRIDE_4], kept[_STRIDE_8], kept[_STRIDE_16], self.aspp(maps))
