"""What MobileNetV2 and EfficientNet-Lite are built of: inverted residual blocks (Sandler et al., CVPR 2018).

Batch norm is folded into the convolutions, so each has a bias.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Convolution(nn.Conv2d):
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
            before = (self.kernel_size[0] - 2) // 2
            after = self.kernel_size[0] - 2 - before
            features = functional.pad(features, (before, after, before, after))
        return super().forward(features)


def activated(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution followed by ReLU6."""
    return nn.Sequential(
        Convolution(in_channels, out_channels, kernel_size, stride, dilation, groups), nn.ReLU6(inplace=True)
    )


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and linear projection; the input is added where the shapes agree.

    Args:
        in_channels, out_channels: of the narrow ends.
        stride: 1 or 2.
        expansion: factor of the channels in between; 1: no expansion.
        dilation: of the depthwise convolution.
        kernel_size: of the depthwise convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expansion: int,
        dilation: int = 1,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [activated(in_channels, hidden, 1)]
        layers.append(activated(hidden, hidden, kernel_size, stride, dilation, hidden))
        layers.append(Convolution(hidden, out_channels, 1))
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, H / stride, W / stride)."""
        result: Tensor = self.conv(features)
        return features + result if self.residual else result
