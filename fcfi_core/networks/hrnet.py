"""The HRNet family: a high-resolution backbone with FFCM, CFFM and the OCR head (official key names)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fcfi_core.networks.base import InteractiveNetwork, NetworkOutput, normalised, resized
from fcfi_core.networks.click_maps import ClickMapTransform
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.networks.ocr import ObjectContextHead, gather_object
from fcfi_core.networks.resnet import Bottleneck

_CLICK_CHANNELS = 3  # previous probability, positive disks, negative disks


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, channels, h, w), non-negative."""
        result = self.relu(self.bn1(self.conv1(features)))
        return self.relu(self.bn2(self.conv2(result)) + features)  # type: ignore[no-any-return]


def _conv_norm(in_channels: int, out_channels: int, *, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Return a 3x3 convolution without bias, batch norm and, unless told otherwise, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def _fuse_layer(target: int, source: int, widths: list[int]) -> nn.Module:
    """Return the layers that carry branch ``source`` to the width (and, downwards, size) of ``target``."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2d(widths[source], widths[target], 1, bias=False), nn.BatchNorm2d(widths[target])
        )
    steps = [_conv_norm(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, _conv_norm(widths[source], widths[target], stride=2, relu=False))


class HighResolutionModule(nn.Module):
    """Parallel branches, then every branch receives the sum of all of them.

    Args:
        widths: channels of each branch, highest resolution first.
        block_count: basic blocks per branch.
    """

    def __init__(self, widths: list[int], block_count: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(block_count))) for width in widths
        )
        indices = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(target, source, widths) for source in indices) for target in indices
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the fused branches. No activation follows the sum, unlike in the public HRNet."""
        branches = [run(branch) for run, branch in zip(self.branches, branches, strict=True)]
        return [self._fused(layers, branches, target) for target, layers in enumerate(self.fuse_layers)]

    @staticmethod
    def _fused(layers: Any, branches: list[Tensor], target: int) -> Tensor:
        height, width = branches[target].shape[-2:]
        total: Tensor | None = None
        for source, (layer, branch) in enumerate(zip(layers, branches, strict=True)):
            carried = layer(branch)
            if source > target:
                carried = resized(carried, height, width)
            total = carried if total is None else total + carried
        assert total is not None
        return total


class HighResolutionNetwork(nn.Module):
    """Backbone, feedback modules and head; everything below ``feature_extractor`` in the key names.

    Args:
        width: channels of the highest-resolution branch; the others have 2, 4 and 8 times as many.
        ocr_width: half the channels of the head.
        middle_channels: channels inside FFCM and CFFM.
        small: halve the blocks per branch and drop modules of stages 3 and 4.
        expansion_ratio: side of FFCM's window as a fraction of the image's side.
        update_count: rounds of CFFM.
    """

    def __init__(
        self,
        *,
        width: int,
        ocr_width: int,
        middle_channels: int,
        small: bool,
        expansion_ratio: float,
        update_count: int,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(4)]
        channels = sum(widths)
        head_channels = 2 * ocr_width
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(
            Bottleneck(64, 64, downsample=True),
            *(Bottleneck(256, 64) for _ in range(1 if small else 3)),
        )
        blocks = 2 if small else 4
        self.transition1 = nn.ModuleList(
            [_conv_norm(256, widths[0]), nn.Sequential(_conv_norm(256, widths[1], stride=2))]
        )
        self.stage2 = _stage(widths[:2], blocks, 1)
        self.transition2 = _transition(widths[:3])
        self.stage3 = _stage(widths[:3], blocks, 3 if small else 4)
        self.transition3 = _transition(widths)
        self.stage4 = _stage(widths, blocks, 2 if small else 3)
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(channels, head_channels, 3, padding=1),
            nn.BatchNorm2d(head_channels),
            nn.ReLU(inplace=True),
        )
        self.ocr_distri_head = ObjectContextHead(head_channels, ocr_width)
        self.cls_head = nn.Conv2d(head_channels, 1, 1)
        self.aux_head = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 1, 1),
        )
        self.correction_module = FeedbackCorrection(
            channels, 3 + _CLICK_CHANNELS + 1, middle_channels, expansion_ratio
        )
        self.fusion_module = FeedbackFusion(channels, middle_channels, update_count)

    def stem(self, image: Tensor) -> Tensor:
        """Return (B, 64, H/2, W/2) of the normalised image, before the click features are added."""
        return self.relu(self.bn1(self.conv1(image)))  # type: ignore[no-any-return]

    def features(self, stem: Tensor, click_features: Tensor) -> Tensor:
        """Return all branches side by side at stride 4, (B, 15 * width, h, w)."""
        features = self.relu(self.bn2(self.conv2(stem + click_features)))
        features = self.layer1(features)
        branches: list[Tensor] = self.stage2([transition(features) for transition in self.transition1])
        branches = self.stage3([*branches, self.transition2[-1](branches[-1])])
        branches = self.stage4([*branches, self.transition3[-1](branches[-1])])
        height, width = branches[0].shape[-2:]
        return torch.cat([resized(branch, height, width) for branch in branches], dim=1)

    def head(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prediction's and the attention map's logits, both (B, 1, h, w)."""
        attention = self.aux_head(features)
        features = self.conv3x3_ocr(features)
        features = self.ocr_distri_head(features, gather_object(features, attention))
        return self.cls_head(features), attention


class _Stage(nn.Sequential):
    """High-resolution modules one after the other, on lists of branches."""

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches after all modules."""
        for module in self:
            branches = module(branches)
        return branches


def _stage(widths: list[int], block_count: int, module_count: int) -> _Stage:
    return _Stage(*(HighResolutionModule(widths, block_count) for _ in range(module_count)))


def _transition(widths: list[int]) -> nn.ModuleList:
    """Return identities for the branches there are, and the layers that open one more."""
    opened = nn.Sequential(_conv_norm(widths[-2], widths[-1], stride=2))
    return nn.ModuleList([*(nn.Identity() for _ in widths[:-1]), opened])


class HRNetEncoding(NamedTuple):
    """What depends on the image alone."""

    image: Tensor
    """(B, 3, H, W), normalised."""
    stem: Tensor
    """(B, 64, H/2, W/2)."""


class HRNetFeedbackNetwork(InteractiveNetwork):
    """FCFI on a high-resolution backbone.

    Args:
        width, ocr_width, middle_channels, small, expansion_ratio, update_count: see
            :class:`HighResolutionNetwork`.
        auxiliary_output: the official call also returns the attention map.
        leaky_relu: activation of the click map transform.
        disk_radius: radius of the click disks in pixels.
    """

    def __init__(
        self,
        *,
        width: int = 18,
        ocr_width: int = 48,
        middle_channels: int = 64,
        small: bool = False,
        expansion_ratio: float = 0.3,
        update_count: int = 1,
        auxiliary_output: bool = True,
        leaky_relu: bool = True,
        disk_radius: float = 5,
    ) -> None:
        super().__init__()
        self.auxiliary_output = auxiliary_output
        self.disk_radius = disk_radius
        self.maps_transform = ClickMapTransform(_CLICK_CHANNELS, leaky=leaky_relu)
        self.feature_extractor = HighResolutionNetwork(
            width=width,
            ocr_width=ocr_width,
            middle_channels=middle_channels,
            small=small,
            expansion_ratio=expansion_ratio,
            update_count=update_count,
        )

    def encode(self, image: Tensor) -> HRNetEncoding:
        """Return the normalised image and the first stem convolution's output."""
        image = normalised(image)
        return HRNetEncoding(image, self.feature_extractor.stem(image))

    def answer(
        self,
        encoding: HRNetEncoding,
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
        click_maps = torch.cat((feedback, disks), dim=1)
        network = self.feature_extractor
        features = network.features(stem, self.maps_transform(click_maps))
        corrected, window = network.correction_module(
            image, click_maps, features, feedback, new_points, soft_window=soft_window
        )
        features, fused = network.fusion_module(features, corrected, gate)
        logits, attention = network.head(features)
        return NetworkOutput(
            logits=resized(logits, height, width),
            corrected=resized(corrected, height, width),
            fused=resized(fused, height, width),
            auxiliary=attention,
            window=None if window is None else nn.functional.interpolate(window, (height, width)),
        )

    def official_output(self, output: NetworkOutput, is_training: bool) -> dict[str, Any]:
        """Return ``output`` under the official key names, maps of the feedback in lists of one."""
        result: dict[str, Any] = {
            "instances": output.logits,
            "updated_feedback1": [output.corrected],
            "updated_feedback2": [output.fused],
            "valid_masks": [output.window],
        }
        if self.auxiliary_output and output.auxiliary is not None:
            result["instances_aux"] = resized(output.auxiliary, *output.logits.shape[-2:])
        return result
