"""What an image encoder of the light network makes of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Pyramid(NamedTuple):
    """Feature maps of one image, (B, channels, H / stride, W / stride)."""

    stride2: Tensor
    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    context: Tensor  # at stride 16, non-negative


class Widths(NamedTuple):
    """Channels of the maps of a :class:`Pyramid`."""

    stride2: int
    stride4: int
    stride8: int
    stride16: int
    context: int = 256


class Encoder(nn.Module, ABC):
    """An image encoder.

    Attributes:
        widths: of its pyramid.
        features: its blocks, in the order in which they run; training may freeze the first ones.
    """

    widths: ClassVar[Widths]
    features: nn.Sequential

    @abstractmethod
    def forward(self, image: Tensor) -> Pyramid:
        """Return the pyramid of ``image``: (B, 3, H, W) float32 RGB in [0, 1]."""

    def published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return published weights under the names, and in the form, of this encoder's own.

        Raises:
            KeyError: naming a tensor that is missing.
        """
        return {name: state[name] for name in self.state_dict()}


class PyramidPooling(nn.Module):
    """DeepLabV3's pooling head: image pooling beside a 1x1 branch, then a projection to 256."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.aspp0 = nn.Conv2d(in_channels, 256, 1)
        self.image_pooling = nn.Conv2d(in_channels, 256, 1)
        self.concat_projection = nn.Conv2d(512, 256, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 256, H, W), non-negative."""
        pooled = functional.relu(self.image_pooling(features.mean(dim=(2, 3), keepdim=True)))
        local = functional.relu(self.aspp0(features))
        return functional.relu(self.concat_projection(torch.cat((pooled.expand_as(local), local), dim=1)))
