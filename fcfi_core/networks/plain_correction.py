"""FFCM computed the official way, with a crop for each image: to compare with, never to serve.

The numbers are those of :class:`~fcfi_core.networks.feedback_correction.FeedbackCorrection` up to the
order of summation. The window is cut out instead of masked, which makes the host wait for the device
once per image and pass.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fcfi_core.networks.feedback_correction import FeedbackCorrection, Network, Seen, with_correction


class PlainCorrection(FeedbackCorrection):
    """Corrects the feedback in a crop around each new click; hard window only."""

    def around_clicks(self, seen: Seen, new_points: Any, soft_window: bool) -> tuple[Tensor, None]:
        """See :meth:`FeedbackCorrection.around_clicks`; ``new_points`` is (B, K, 3)."""
        (height, width), (full_height, full_width) = seen.features.shape[-2:], seen.pixels
        corrected = seen.feedback
        for index in range(new_points.shape[1]):
            embedding = self.embedded(seen, corrected)
            corrected = corrected.clone()
            for sample, (y, x, label) in enumerate(new_points[:, index].tolist()):
                top, bottom, row = self._span(y, full_height, height)
                left, right, column = self._span(x, full_width, width)
                crop = functional.normalize(embedding[sample, :, top:bottom, left:right], dim=0, eps=1e-12)
                similarity = (crop * crop[:, row - top, column - left, None, None]).sum(dim=0)
                inside = corrected[sample, 0, top:bottom, left:right]
                corrected[sample, 0, top:bottom, left:right] = (1 - similarity) * inside + similarity * label
        return corrected, None

    def _span(self, position: float, pixels: int, cells: int) -> tuple[int, int, int]:
        """Return first, one-past-last and clicked cell along one axis, by float32 division then product."""
        half = max(int(self.expansion_ratio * pixels / 2 + 0.5), 1)
        ends = torch.tensor([max(position - half, 0), min(position + half, pixels), position])
        first, last, cell = (ends / pixels * cells).tolist()
        return math.floor(first), min(math.ceil(last), cells), min(int(cell), cells - 1)


def with_plain_correction(network: Network) -> Network:
    """Return a copy of ``network`` in which every FFCM computes the official way, with the same weights."""
    return with_correction(network, PlainCorrection)
