"""MobileNetV2 image encoder with a DeepLabV3 pooling head, batch norm folded into the convolutions.

The layer names follow the public MobileNetV2 naming (``features.N.conv...``), so that published
weights whose norms were folded load without renaming.
"""

from __future__ import annotations

from torch import Tensor, nn

from fcfi_core.networks.inverted_residual import InvertedResidual, activated
from fcfi_core.networks.pyramid import Encoder, Pyramid, PyramidPooling, Widths

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


class MobileNetBackbone(Encoder):
    """MobileNetV2 (width 1.0) at output stride 16 with a DeepLabV3 head; sides are multiples of 16."""

    widths = Widths(16, 24, 32, 96)

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [activated(3, 32, 3, 2)]
        in_channels = 32
        for expansion, out_channels, count, stride, dilation in _STAGES:
            for index in range(count):
                rate = 1 if len(blocks) == _UNDILATED_BLOCK else dilation
                blocks.append(
                    InvertedResidual(in_channels, out_channels, stride if index == 0 else 1, expansion, rate)
                )
                in_channels = out_channels
        self.features = nn.Sequential(*blocks)
        self.aspp = PyramidPooling(in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        """See :meth:`Encoder.forward`."""
        maps = image * 2 - 1
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(self.features):
            maps = block(maps)
            if index in (_STRIDE_2, _STRIDE_4, _STRIDE_8, _STRIDE_16):
                kept[index] = maps
        return Pyramid(kept[_STRIDE_2], kept[_STRIDE_4], kept[_STRIDE_8], kept[_STRIDE_16], self.aspp(maps))
