"""ResNet "v1s" encoder with a deep stem and dilated last stages (official key names)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

BLOCK_COUNTS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Bottlenecks of layer1 to layer4, by depth."""


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution around a shortcut; four times as many channels come out.

    Args:
        in_channels: channels of the input.
        planes: channels of the 3x3 convolution; the output has ``4 * planes``.
        stride, dilation: of the 3x3 convolution.
        downsample: project the shortcut (needed when channels or size change).
    """

    expansion = 4

    def __init__(
        self, in_channels: int, planes: int, *, stride: int = 1, dilation: int = 1, downsample: bool = False
    ) -> None:
        super().__init__()
        out_channels = planes * self.expansion
        self.conv1 = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(
            planes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if downsample:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 4 * planes, h, w), non-negative."""
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.relu(self.bn2(self.conv2(features)))
        features = self.bn3(self.conv3(features))
        return self.relu(features + shortcut)  # type: ignore[no-any-return]


class ResNetFeatures(NamedTuple):
    """What the decoder reads: (B, 256, h/4, w/4) and (B, 2048, h/8, w/8)."""

    shallow: Tensor
    deep: Tensor


class ResNet(nn.Module):
    """Encoder of the DeepLab family; the click maps join between stem and max-pooling.

    Args:
        depth: 50, 101 or 152.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        counts = BLOCK_COUNTS[depth]
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 3, padding=1, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(128)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(128, 64, counts[0])
        self.layer2 = _layer(256, 128, counts[1], stride=2)
        self.layer3 = _layer(512, 256, counts[2], first_dilation=1, dilation=2)
        self.layer4 = _layer(1024, 512, counts[3], first_dilation=2, dilation=4)

    def stem(self, image: Tensor) -> Tensor:
        """Return (B, 128, H/2, W/2) of the normalised image, before the click maps are added."""
        return self.relu(self.bn1(self.conv1(image)))  # type: ignore[no-any-return]

    def forward(self, stem: Tensor, click_features: Tensor) -> ResNetFeatures:
        """Return the features for a stem output and (B, 64, H/2, W/2) click features.

        The click features are added to the first 64 of the stem's 128 channels.
        """
        missing = stem.shape[1] - click_features.shape[1]
        features = self.maxpool(stem + functional.pad(click_features, (0, 0, 0, 0, 0, missing)))
        shallow = self.layer1(features)
        return ResNetFeatures(shallow, self.layer4(self.layer3(self.layer2(shallow))))


def _layer(
    in_channels: int, planes: int, count: int, *, stride: int = 1, first_dilation: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return ``count`` bottlenecks; the first one changes channels, stride and dilation."""
    first = Bottleneck(in_channels, planes, stride=stride, dilation=first_dilation, downsample=True)
    channels = planes * Bottleneck.expansion
    return nn.Sequential(first, *(Bottleneck(channels, planes, dilation=dilation) for _ in range(count - 1)))
