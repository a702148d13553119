"""EfficientNet-Lite image encoders with a DeepLabV3 pooling head behind their deepest features.

The published networks (https://github.com/tensorflow/tpu, EfficientNet-Lite; Tan and Le, ICML 2019) are
inverted residuals without squeeze-and-excitation, with ReLU6. Batch norm is folded into the convolutions
when published weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from fcfi_core.networks.base import resized
from fcfi_core.networks.inverted_residual import InvertedResidual, activated
from fcfi_core.networks.pyramid import Encoder, Pyramid, PyramidPooling, Widths

_EPSILON = 1e-3
"""Of the published batch norms."""


class _Stage(NamedTuple):
    expansion: int
    kernel_size: int
    stride: int
    channels: int
    blocks: int


class EfficientNetLite(Encoder):
    """One size of EfficientNet-Lite.

    Sides of images are multiples of 32: the deepest features have stride 32 and are enlarged to 16.
    """

    stages: ClassVar[tuple[_Stage, ...]]

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [activated(3, 32, 3, 2)]
        in_channels, stride = 32, 2
        self._ends: dict[int, int] = {}
        for stage in self.stages:
            for index in range(stage.blocks):
                step = stage.stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(
                        in_channels, stage.channels, step, stage.expansion, kernel_size=stage.kernel_size
                    )
                )
                in_channels, stride = stage.channels, stride * step
            self._ends[stride] = len(blocks) - 1
        self.features = nn.Sequential(*blocks)
        self.aspp = PyramidPooling(in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        """See :meth:`Encoder.forward`."""
        maps = (image * 255 - 127) / 128
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(self.features):
            maps = block(maps)
            kept[index] = maps
        found = {stride: kept[index] for stride, index in self._ends.items()}
        context = resized(self.aspp(maps), *found[16].shape[-2:])
        return Pyramid(found[2], found[4], found[8], found[16], context)

    def published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :meth:`Encoder.published`; the pooling head, which is not part of them, stays as it is."""
        found = {name: tensor for name, tensor in self.state_dict().items() if name.startswith("aspp.")}
        found |= _absorbed(state, "_conv_stem", "_bn0", "features.0.0")
        for index, block in enumerate(list(self.features)[1:]):
            assert isinstance(block, InvertedResidual)
            ours, theirs = f"features.{index + 1}.conv", f"_blocks.{index}"
            names = ["_expand_conv", "_depthwise_conv", "_project_conv"]
            norms = ["_bn0", "_bn1", "_bn2"]
            count = len(block.conv)
            for position, (name, norm) in enumerate(zip(names[-count:], norms[-count:], strict=True)):
                inner = "" if position == count - 1 else ".0"
                found |= _absorbed(state, f"{theirs}.{name}", f"{theirs}.{norm}", f"{ours}.{position}{inner}")
        return found


class EfficientNetLite0(EfficientNetLite):
    """EfficientNet-Lite0."""

    widths = Widths(16, 24, 40, 112)
    stages = (
        _Stage(1, 3, 1, 16, 1),
        _Stage(6, 3, 2, 24, 2),
        _Stage(6, 5, 2, 40, 2),
        _Stage(6, 3, 2, 80, 3),
        _Stage(6, 5, 1, 112, 3),
        _Stage(6, 5, 2, 192, 4),
        _Stage(6, 3, 1, 320, 1),
    )


class EfficientNetLite2(EfficientNetLite):
    """EfficientNet-Lite2: a tenth wider and a fifth deeper."""

    widths = Widths(16, 24, 48, 120)
    stages = (
        _Stage(1, 3, 1, 16, 1),
        _Stage(6, 3, 2, 24, 3),
        _Stage(6, 5, 2, 48, 3),
        _Stage(6, 3, 2, 88, 4),
        _Stage(6, 5, 1, 120, 4),
        _Stage(6, 5, 2, 208, 5),
        _Stage(6, 3, 1, 352, 1),
    )


def _absorbed(state: Mapping[str, Tensor], convolution: str, norm: str, name: str) -> dict[str, Tensor]:
    """Return weight and bias of a convolution that does what it and its batch norm do together."""
    scale = state[f"{norm}.weight"].double() / torch.sqrt(state[f"{norm}.running_var"].double() + _EPSILON)
    weight = state[f"{convolution}.weight"].double() * scale.view(-1, 1, 1, 1)
    bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale
    return {f"{name}.weight": weight.float(), f"{name}.bias": bias.float()}
