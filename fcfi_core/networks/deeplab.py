"""The DeepLabV3+ family: a dilated ResNet with FFCM and CFFM in its decoder (official key names)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.networks.base import InteractiveNetwork, NetworkOutput, normalised, resized
from fcfi_core.networks.click_maps import ClickMapTransform
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.networks.resnet import ResNet

_CLICK_CHANNELS = 2  # positive disks, negative disks; the feedback enters only through FFCM
_SKIP_CHANNELS = 32
_RATES = (12, 24, 36)


def _conv_norm_relu(
    in_channels: int, out_channels: int, kernel_size: int = 1, dilation: int = 1
) -> list[nn.Module]:
    padding = dilation * (kernel_size // 2)
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


class SeparableConv(nn.Module):
    """Depthwise 3x3 and pointwise 1x1 without bias, batch norm, ReLU. Keys ``body.0 .1 .2``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), non-negative."""
        return self.body(features)  # type: ignore[no-any-return]


class SkipProject(nn.Module):
    """Projects the shallow features to few channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.skip_project = nn.Sequential(*_conv_norm_relu(in_channels, out_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), non-negative."""
        return self.skip_project(features)  # type: ignore[no-any-return]


class GlobalPooling(nn.Module):
    """The mean of the map, projected and spread over the map again."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv_norm_relu(in_channels, out_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), constant over the map."""
        return resized(self.gap(features), features.shape[-2], features.shape[-1])


class PyramidPooling(nn.Module):
    """Atrous spatial pyramid pooling (``concurent`` is how the official key is spelt).

    Args:
        in_channels: channels of the deep features.
        out_channels: channels of every branch and of the result.
        dropout: probability of dropping an element while training.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float) -> None:
        super().__init__()
        self.concurent = nn.ModuleList(
            [
                nn.Sequential(*_conv_norm_relu(in_channels, out_channels)),
                *(nn.Sequential(*_conv_norm_relu(in_channels, out_channels, 3, rate)) for rate in _RATES),
                GlobalPooling(in_channels, out_channels),
            ]
        )
        self.project = nn.Sequential(
            *_conv_norm_relu(len(self.concurent) * out_channels, out_channels), nn.Dropout(dropout)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), non-negative."""
        return self.project(torch.cat([branch(features) for branch in self.concurent], dim=1))  # type: ignore[no-any-return]


class DecoderHead(nn.Module):
    """Mixes decoder and skip features."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            SeparableConv(in_channels, channels),
            SeparableConv(channels, channels),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, channels, h, w)."""
        return self.block(features)  # type: ignore[no-any-return]


class PredictionHead(nn.Module):
    """Features to one logit per cell."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SeparableConv(in_channels, channels), SeparableConv(channels, channels), nn.Conv2d(channels, 1, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 1, h, w) logits."""
        return self.layers(features)  # type: ignore[no-any-return]


class DeepLab(nn.Module):
    """Backbone, decoder and feedback modules; everything below ``feature_extractor`` in the key names.

    Args:
        depth: layers of the ResNet, 50, 101 or 152.
        decoder_channels: channels of the decoder.
        middle_channels: channels inside FFCM and CFFM.
        aspp_dropout: dropout of the pyramid pooling.
        expansion_ratio: side of FFCM's window as a fraction of the image's side.
        update_count: rounds of CFFM.
    """

    def __init__(
        self,
        *,
        depth: int,
        decoder_channels: int,
        middle_channels: int,
        aspp_dropout: float,
        expansion_ratio: float,
        update_count: int,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(depth)
        self.head = DecoderHead(decoder_channels + _SKIP_CHANNELS, decoder_channels)
        self.skip_project = SkipProject(256, _SKIP_CHANNELS)
        self.aspp = PyramidPooling(2048, decoder_channels, dropout=aspp_dropout)
        self.correction_module = FeedbackCorrection(
            decoder_channels, 3 + _CLICK_CHANNELS + 1, middle_channels, expansion_ratio
        )
        self.feedback_fusion = FeedbackFusion(decoder_channels, middle_channels, update_count)


class DeepLabEncoding(NamedTuple):
    """What depends on the image alone."""

    image: Tensor
    """(B, 3, H, W), normalised."""
    stem: Tensor
    """(B, 128, H/2, W/2)."""


class DeepLabFeedbackNetwork(InteractiveNetwork):
    """FCFI on a dilated ResNet with a DeepLabV3+ decoder.

    Args:
        depth, decoder_channels, middle_channels, aspp_dropout, expansion_ratio, update_count: see
            :class:`DeepLab`.
        leaky_relu: activation of the click map transform.
        disk_radius: radius of the click disks in pixels.
    """

    def __init__(
        self,
        *,
        depth: int = 101,
        decoder_channels: int = 256,
        middle_channels: int = 32,
        aspp_dropout: float = 0.2,
        expansion_ratio: float = 0.3,
        update_count: int = 1,
        leaky_relu: bool = True,
        disk_radius: float = 5,
    ) -> None:
        super().__init__()
        self.disk_radius = disk_radius
        self.maps_transform = ClickMapTransform(_CLICK_CHANNELS, leaky=leaky_relu)
        self.feature_extractor = DeepLab(
            depth=depth,
            decoder_channels=decoder_channels,
            middle_channels=middle_channels,
            aspp_dropout=aspp_dropout,
            expansion_ratio=expansion_ratio,
            update_count=update_count,
        )
        self.head = PredictionHead(decoder_channels, decoder_channels // 2)

    def encode(self, image: Tensor) -> DeepLabEncoding:
        """Return the normalised image and the stem's output."""
        image = normalised(image)
        return DeepLabEncoding(image, self.feature_extractor.backbone.stem(image))

    def answer(
        self,
        encoding: DeepLabEncoding,
        feedback: Tensor,
        disks: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        soft_window: bool = False,
    ) -> NetworkOutput:
        """Return the prediction; see :meth:`InteractiveNetwork.answer`."""
        image, stem = encoding
        height, width = image.shape[-2:]
        network = self.feature_extractor
        shallow, deep = network.backbone(stem, self.maps_transform(disks))
        skip = network.skip_project(shallow)
        features = resized(network.aspp(deep), shallow.shape[-2], shallow.shape[-1])
        corrected, window = network.correction_module(
            image, disks, features, feedback, new_points, soft_window=soft_window
        )
        features, fused = network.feedback_fusion(features, corrected, gate)
        logits = self.head(network.head(torch.cat((features, skip), dim=1)))
        return NetworkOutput(
            logits=resized(logits, height, width),
            # The official code spreads this map, and only this one, without aligned corners.
            corrected=functional.interpolate(corrected, (height, width), mode="bilinear"),
            fused=resized(fused, height, width),
            window=None if window is None else functional.interpolate(window, (height, width)),
        )
