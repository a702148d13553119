"""Focused feedback correction, FFCM (paper section 3.2).

The feedback of the previous round is repaired only near the newest click, and only where the
features look like those at the click: ``F' = (1 - A) F + A l`` inside a window (affinity A, click
label l), ``F' = F`` outside.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.networks.base import joined, resized
from fcfi_core.networks.blocks import ConvNormRelu, SeparableConvNormRelu

_WINDOW_STEEPNESS = 10.0

Network = TypeVar("Network", bound=nn.Module)


class Seen(NamedTuple):
    """What FFCM looks at, all of the features' size."""

    image: Tensor
    """(B, 3, h, w), normalised."""
    click_maps: Tensor
    """(B, 2 or 3, h, w)."""
    feedback: Tensor
    """(B, 1, h, w), probabilities of the previous round."""
    features: Tensor
    """(B, in_channels, h, w)."""
    pixels: tuple[int, int]
    """Height and width that the places of clicks refer to."""


class FeedbackCorrection(nn.Module):
    """Corrects the feedback around each new click.

    Other ways to compute the same override :meth:`around_clicks`, other affinities and windows
    :meth:`affinity` and :meth:`reach`; see :func:`with_correction`.

    Args:
        in_channels: channels of the features.
        auxiliary_channels: channels of image (3), click maps (2 or 3) and feedback (1) together.
        middle_channels: channels of the affinity embedding.
        expansion_ratio: side of the window as a fraction of the image's side.
    """

    def __init__(
        self,
        in_channels: int,
        auxiliary_channels: int,
        middle_channels: int,
        expansion_ratio: float = 0.3,
    ) -> None:
        super().__init__()
        self.expansion_ratio = expansion_ratio
        self.info_encoder = nn.Sequential(
            ConvNormRelu(in_channels + auxiliary_channels, middle_channels, 3),
            SeparableConvNormRelu(middle_channels, middle_channels),
            SeparableConvNormRelu(middle_channels, middle_channels),
        )

    def forward(
        self,
        image: Tensor,
        click_maps: Tensor,
        features: Tensor,
        feedback: Tensor,
        new_points: Tensor,
        *,
        soft_window: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the corrected feedback and, with ``soft_window``, the last click's soft window.

        Args:
            image: (B, 3, H, W) normalised image.
            click_maps: (B, 2 or 3, H, W).
            features: (B, in_channels, h, w).
            feedback: (B, 1, H, W) probabilities of the previous round.
            new_points: (B, K, 3) rows ``(y, x, label)`` in pixels of the feedback, newest first;
                (B, 3) is taken as K = 1.
            soft_window: differentiable window of the training path instead of the hard one.

        Returns:
            (B, 1, h, w) probabilities, and (B, 1, h, w) window values or None.
        """
        height, width = features.shape[-2:]
        seen = Seen(
            resized(image, height, width),
            resized(click_maps, height, width),
            resized(feedback, height, width),
            features,
            (feedback.shape[-2], feedback.shape[-1]),
        )
        return self.around_clicks(seen, new_points, soft_window)

    def around_clicks(self, seen: Seen, new_points: Any, soft_window: bool) -> tuple[Tensor, Tensor | None]:
        """Return what :meth:`forward` does, of maps that have the features' size already."""
        (height, width), pixels = seen.features.shape[-2:], seen.pixels
        corrected = seen.feedback
        if new_points.dim() == 2:
            new_points = new_points.unsqueeze(1)
        new_points = new_points.to(device=seen.features.device, dtype=torch.float32)
        window = None
        for index in range(new_points.shape[1]):
            y, x, label = new_points[:, index].unbind(dim=1)
            embedding = self.embedded(seen, corrected)
            cells = _cells(y, pixels[0], height), _cells(x, pixels[1], width)
            similarity = self.affinity(embedding, *cells)
            label = label.view(-1, 1, 1, 1)
            reach = self.reach(corrected, label, *cells, pixels)
            rows = _window_bounds(y, pixels[0], height, reach[0])
            columns = _window_bounds(x, pixels[1], width, reach[1])
            moved = (1 - similarity) * corrected + similarity * label
            if soft_window:
                window = _soft_span(rows, height).unsqueeze(-1) * _soft_span(columns, width).unsqueeze(-2)
                window = window.unsqueeze(1)
                corrected = (1 - window) * corrected + window * moved
            else:
                inside = _hard_span(rows, height).unsqueeze(-1) & _hard_span(columns, width).unsqueeze(-2)
                corrected = torch.where(inside.unsqueeze(1), moved, corrected)
        return corrected, window

    def embedded(self, seen: Seen, corrected: Tensor) -> Tensor:
        """Return the embedding in which cells are compared, (B, middle_channels, h, w)."""
        embedding: Tensor = self.info_encoder(
            joined(seen.image, seen.click_maps, corrected, seen.features, like=seen.features)
        )
        return embedding

    def affinity(self, embedding: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return how much every cell is like the click's cell, its cosine similarity: (B, 1, h, w) in [0, 1].

        Args:
            embedding: (B, middle_channels, h, w), non-negative.
            rows, columns: (B,) int64, the clicked cells.
        """
        unit = functional.normalize(embedding, dim=1, eps=1e-12)
        at_click = clicked(unit, rows, columns)
        return torch.einsum("bchw,bc->bhw", unit, at_click).unsqueeze(1)

    def reach(
        self, corrected: Tensor, label: Tensor, rows: Tensor, columns: Tensor, pixels: tuple[int, int]
    ) -> tuple[float | Tensor, float | Tensor]:
        """Return how far the window reaches from the click in height and width, pixels, each at least 1.

        Args:
            corrected: (B, 1, h, w) feedback before this click's correction.
            label: (B, 1, 1, 1), 1 for a positive click, 0 for a negative one.
            rows, columns: (B,) int64, the clicked cells.
            pixels: height and width of the frame.
        """
        height, width = (max(int(self.expansion_ratio * side / 2 + 0.5), 1) for side in pixels)
        return height, width


def clicked(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return what ``maps`` (B, C, h, w) hold in one cell of each sample, (B, C)."""
    return maps[torch.arange(maps.shape[0], device=maps.device), :, rows, columns]


def with_correction(network: Network, way: type[FeedbackCorrection]) -> Network:
    """Return a copy of ``network`` in which every FFCM computes the given way, with the same weights."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if type(module) is FeedbackCorrection:
            module.__class__ = way
    return copied


def _scaled(position: Tensor, pixels: int, cells: int) -> Tensor:
    """Return ``position / pixels * cells`` in float32, dividing first.

    The official integers depend on this order and precision. The divisor is a tensor because
    dividing by a number multiplies by its reciprocal on some devices, which rounds differently.
    """
    return position / torch.full_like(position, pixels) * cells


def _cells(position: Tensor, pixels: int, cells: int) -> Tensor:
    """Return the feature cell of a click coordinate, (B,) int64, truncated towards zero."""
    return _scaled(position, pixels, cells).to(torch.int64).clamp(0, cells - 1)


def _window_bounds(position: Tensor, pixels: int, cells: int, reach: float | Tensor) -> tuple[Tensor, Tensor]:
    """Return first and one-past-last cell of the window along one axis, each (B,) float32."""
    start = (position - reach).clamp(min=0)
    end = (position + reach).clamp(max=pixels)
    first = _scaled(start, pixels, cells).floor().clamp(0, cells)
    last = _scaled(end, pixels, cells).ceil().clamp(0, cells)
    return first, last


def _hard_span(bounds: tuple[Tensor, Tensor], cells: int) -> Tensor:
    index = torch.arange(cells, device=bounds[0].device, dtype=torch.float32)
    return (index >= bounds[0].unsqueeze(1)) & (index < bounds[1].unsqueeze(1))


def _soft_span(bounds: tuple[Tensor, Tensor], cells: int) -> Tensor:
    index = torch.arange(cells, device=bounds[0].device, dtype=torch.float32)
    rising = torch.sigmoid(_WINDOW_STEEPNESS * (index - bounds[0].unsqueeze(1)))
    falling = torch.sigmoid(_WINDOW_STEEPNESS * (index - bounds[1].unsqueeze(1)))
    return rising - falling
