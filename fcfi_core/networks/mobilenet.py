"""The light FCFI network of the embedded default: an image-only encoder, clicks entering behind it.

The encoder's result depends on the image alone and is kept while clicks arrive in the same frame,
so a further click costs only the rest: clicks and feedback join at stride 16, FFCM and CFFM
work at stride 4 as in the paper, the head sees both feedback maps again, and a light refinement
redraws its outline at stride 2, where thin parts and edges still exist.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.networks.base import InteractiveNetwork, NetworkOutput, joined, normalised, resized
from fcfi_core.networks.feedback_correction import FeedbackCorrection
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.networks.mobilenet_backbone import MobileNetBackbone
from fcfi_core.networks.pyramid import Encoder

_STRIDE = 16
_DILATIONS = (1, 2, 4, 1, 2, 1)
_FURTHER_DILATIONS = (1, 3)


class MobileNetEncoding(NamedTuple):
    """What depends on the image alone; h16 = H / 16 and so on."""

    image: Tensor  # (B, 3, H/4, W/4) normalised
    context: Tensor  # (B, width, h16, w16)
    embedding: Tensor  # (B, 64, h16, w16), unit length over channels
    lateral: Tensor  # (B, 32, h8, w8)
    detail: Tensor  # (B, 32, h4, w4)
    edges: Tensor  # (B, 16, h2, w2)


class _Separable(nn.Module):
    """Depthwise 3x3 and pointwise 1x1, each followed by batch norm; ReLU at the end."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(
                in_channels,
                in_channels,
                3,
                padding=dilation,
                dilation=dilation,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.body(features))


class _ResidualSeparable(nn.Module):
    """``x + separable(x)``: mixes clicks, feedback and context at stride 16."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.expand = _Separable(channels, channels * 2, dilation)
        self.project = nn.Sequential(
            nn.Conv2d(channels * 2, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.project(self.expand(features)))


def _projection(in_channels: int, out_channels: int, kernel_size: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class _Features(NamedTuple):
    """What a pass makes of clicks and feedback on the way to its answer."""

    deep: Tensor  # (B, width, h16, w16)
    shallow: Tensor  # (B, decoder_width, h4, w4), before FFCM and CFFM
    fine: Tensor  # (B, decoder_width, h4, w4), behind them
    corrected: Tensor  # (B, 1, h4, w4)
    fused: Tensor  # (B, 1, h4, w4)
    window: Tensor | None  # (B, 1, h4, w4)


class OtherAnswers(nn.Module):
    """Further answers to a click that may mean several things, from the features of the usual one.

    Each is a change of the usual answer's logits. Trained by the best of all answers alone, so that
    together they cover what may have been meant (:mod:`fcfi_core.training.other_answers`).

    Args:
        width: channels of the features at stride 16.
        decoder_width: channels of those at stride 4.
        count: further answers.
        inner: channels in between.
    """

    def __init__(self, width: int, decoder_width: int, count: int, inner: int = 48) -> None:
        super().__init__()
        self.deep = nn.Sequential(
            *(_ResidualSeparable(width, dilation) for dilation in _FURTHER_DILATIONS),
            nn.Conv2d(width, inner, 1),
        )
        self.shallow = nn.Conv2d(decoder_width, inner, 1)
        self.fine = nn.Conv2d(decoder_width, inner, 1)
        self.mixed = nn.Sequential(_Separable(inner, inner), _Separable(inner, inner))
        self.change = nn.Conv2d(inner, count, 1)

    def forward(self, deep: Tensor, shallow: Tensor, fine: Tensor, logits: Tensor) -> Tensor:
        """Return logits (B, count, h4, w4).

        Args:
            deep: (B, width, h16, w16).
            shallow, fine: (B, decoder_width, h4, w4), before and behind FFCM and CFFM.
            logits: (B, 1, h4, w4) of the usual answer.
        """
        features = resized(self.deep(deep), *fine.shape[-2:]) + self.shallow(shallow) + self.fine(fine)
        return logits + self.change(self.mixed(functional.relu(features)))  # type: ignore[no-any-return]


class MobileNetFeedbackNetwork(InteractiveNetwork):
    """FCFI on MobileNetV2 with late click injection.

    Args:
        width: channels at stride 16.
        decoder_width: channels at stride 4 (features of FFCM and CFFM).
        middle_channels: inner channels of FFCM and CFFM.
        expansion_ratio: FFCM's window as a fraction of the frame's side.
        other_answers: answers that it has to a first click beside the usual one.
    """

    size_multiple = _STRIDE
    encoder: ClassVar[type[Encoder]] = MobileNetBackbone
    feature_names = ("context", "embedding", "lateral", "detail")

    def __init__(
        self,
        width: int = 128,
        decoder_width: int = 64,
        middle_channels: int = 32,
        expansion_ratio: float = 0.3,
        other_answers: int = 0,
    ) -> None:
        super().__init__()
        self.other_answers = other_answers
        self.backbone = self.encoder()
        widths = self.encoder.widths
        self.context_projection = _projection(widths.context + widths.stride16, width)
        self.embedding_projection = nn.Conv2d(widths.context + widths.stride16, 64, 1)
        self.lateral_projection = _projection(widths.stride8, 32)
        self.detail_projection = _projection(widths.stride4, 32)
        self.edge_projection = _projection(widths.stride2, 16)
        # Feedback, disks of both signs, and similarity to the clicked cells of both signs.
        self.click_injection = nn.Sequential(
            _projection(5, 32, 3), nn.Conv2d(32, width, 3, padding=2, dilation=2)
        )
        self.interaction = nn.Sequential(*(_ResidualSeparable(width, dilation) for dilation in _DILATIONS))
        self.to_stride8 = _Separable(width + 32, 96)
        self.to_stride4 = _Separable(96 + 32, decoder_width)
        self.correction_module = FeedbackCorrection(
            decoder_width, 3 + 2 + 1, middle_channels, expansion_ratio
        )
        self.fusion_module = FeedbackFusion(decoder_width, middle_channels)
        # Features, detail, corrected and fused and previous feedback, disks.
        self.head = nn.Sequential(
            _Separable(decoder_width + 32 + 3 + 2, decoder_width),
            _Separable(decoder_width, decoder_width),
            nn.Conv2d(decoder_width, 1, 1),
        )
        self.to_stride2 = nn.Conv2d(decoder_width, 16, 1)
        self.refinement = nn.Sequential(nn.ReLU(), _Separable(16, 16), nn.Conv2d(16, 1, 3, padding=1))
        _start_at_zero(self.refinement[-1])
        if other_answers:
            self.others = OtherAnswers(width, decoder_width, other_answers)
            nn.init.zeros_(self.others.change.weight)

    def encode(self, image: Tensor) -> MobileNetEncoding:
        """Return the features of ``image``, (B, 3, H, W) RGB in [0, 1], sides multiples of 16."""
        pyramid = self.backbone(image)
        deep = torch.cat((pyramid.context, pyramid.stride16), dim=1)
        height, width = pyramid.stride4.shape[-2:]
        return MobileNetEncoding(
            image=resized(normalised(image), height, width),
            context=self.context_projection(deep),
            embedding=functional.normalize(self.embedding_projection(deep), dim=1),
            lateral=self.lateral_projection(pyramid.stride8),
            detail=self.detail_projection(pyramid.stride4),
            edges=self.edge_projection(pyramid.stride2),
        )

    def answer(
        self,
        encoding: MobileNetEncoding,
        feedback: Tensor,
        disks: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        soft_window: bool = False,
    ) -> NetworkOutput:
        """Return the prediction; see :meth:`InteractiveNetwork.answer`."""
        height, width = feedback.shape[-2:]
        found = self._features(encoding, feedback, disks, new_points, gate, soft_window=soft_window)
        logits = self._refine(encoding, found.fine, self.head[-1](found.fine))
        return NetworkOutput(
            logits=resized(logits, height, width),
            corrected=resized(found.corrected, height, width),
            fused=resized(found.fused, height, width),
            window=None
            if found.window is None
            else functional.interpolate(found.window, (height, width), mode="nearest"),
        )

    def first_answers(
        self, encoding: MobileNetEncoding, feedback: Tensor, disks: Tensor, new_points: Tensor
    ) -> Tensor:
        """Return logits of all answers; see :meth:`InteractiveNetwork.first_answers`."""
        height, width = feedback.shape[-2:]
        features, coarse = self.first_features(encoding, feedback, disks, new_points)
        usual = self._refine(encoding, features[-1], coarse)
        answers = (usual, self.others(*features, coarse))
        return torch.cat([resized(logits, height, width) for logits in answers], dim=1)

    def first_features(
        self, encoding: MobileNetEncoding, feedback: Tensor, disks: Tensor, new_points: Tensor
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return what :class:`OtherAnswers` takes after a first click: three features, and logits."""
        found = self._features(encoding, feedback, disks, new_points, 0.0)
        return (found.deep, found.shallow, found.fine), self.head[-1](found.fine)

    def _features(
        self,
        encoding: MobileNetEncoding,
        feedback: Tensor,
        disks: Tensor,
        new_points: Tensor,
        gate: float | Tensor,
        *,
        soft_window: bool = False,
    ) -> _Features:
        disks = disks.to(encoding.context.dtype)
        deep = self._interact(encoding, feedback, disks)
        shallow = self._enlarge(encoding, deep)
        small_disks = functional.max_pool2d(disks, 4)
        corrected, window = self.correction_module(
            encoding.image, small_disks, shallow, feedback, new_points, soft_window=soft_window
        )
        fused_features, fused = self.fusion_module(shallow, corrected, gate)
        previous = functional.avg_pool2d(feedback, 4)
        fine = self.head[:-1](
            joined(
                fused_features, encoding.detail, corrected, fused, previous, small_disks, like=fused_features
            )
        )
        return _Features(deep, shallow, fine, corrected, fused, window)

    def _interact(self, encoding: MobileNetEncoding, feedback: Tensor, disks: Tensor) -> Tensor:
        """Return features at stride 16 that know clicks and feedback, (B, width, h16, w16)."""
        cells = functional.max_pool2d(disks, _STRIDE)
        similarity = _click_similarity(encoding.embedding, cells)
        maps = torch.cat((functional.avg_pool2d(feedback, _STRIDE), cells, similarity), dim=1)
        return self.interaction(encoding.context + self.click_injection(maps))  # type: ignore[no-any-return]

    def _enlarge(self, encoding: MobileNetEncoding, features: Tensor) -> Tensor:
        """Return features of stride 16 at stride 4, (B, decoder_width, h4, w4)."""
        features = resized(features, *encoding.lateral.shape[-2:])
        features = self.to_stride8(torch.cat((features, encoding.lateral), dim=1))
        features = resized(features, *encoding.detail.shape[-2:])
        return self.to_stride4(torch.cat((features, encoding.detail), dim=1))  # type: ignore[no-any-return]

    def _refine(self, encoding: MobileNetEncoding, features: Tensor, logits: Tensor) -> Tensor:
        """Return ``logits`` of stride 4 corrected at stride 2, (B, 1, h2, w2)."""
        size = encoding.edges.shape[-2:]
        evidence = encoding.edges + resized(self.to_stride2(features), *size)
        return resized(logits, *size) + self.refinement(evidence)  # type: ignore[no-any-return]


def _start_at_zero(convolution: nn.Module) -> None:
    """Make ``convolution`` return zeros, so that training starts from the coarse prediction."""
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)


def _click_similarity(embedding: Tensor, cells: Tensor) -> Tensor:
    """Return each cell's largest cosine similarity to a clicked cell of either sign.

    Args:
        embedding: (B, C, h, w), unit length over channels.
        cells: (B, 2, h, w), 1 in cells touched by a click of that sign.

    Returns:
        (B, 2, h, w) in [-1, 1]; 0 everywhere for a sign without clicks.
    """
    flat = embedding.flatten(2)
    similarity = torch.einsum("bcp,bcq->bpq", flat, flat)
    clicked = cells.flatten(2) > 0
    best = torch.stack(
        [similarity.masked_fill(~clicked[:, sign, None], -1).amax(dim=2) for sign in range(2)], dim=1
    )
    best = best * clicked.any(dim=2, keepdim=True)
    return best.view_as(cells)
