"""FFCM computed the official way, with a crop for each image: to compare with, never to serve.

The numbers are those of :class:`~fcfi_core.networks.feedback_correction.FeedbackCorrection` up to the
order of summation. The window is cut out instead of masked, which makes the host wait for the device
once per image and pass.
"""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.networks.base import resized
from fcfi_core.networks.feedback_correction import FeedbackCorrection

Network = TypeVar("Network", bound=nn.Module)


class PlainCorrection(FeedbackCorrection):
    """Corrects the feedback in a crop around each new click; hard window only."""

    def forward(
        self,
        image: Tensor,
        click_maps: Tensor,
        features: Tensor,
        feedback: Tensor,
        new_points: Tensor,
        *,
        soft_window: bool = False,
    ) -> tuple[Tensor, None]:
        """Return the corrected feedback; see :meth:`FeedbackCorrection.forward`."""
        height, width = features.shape[-2:]
        full_height, full_width = feedback.shape[-2:]
        image, click_maps = resized(image, height, width), resized(click_maps, height, width)
        corrected = resized(feedback, height, width)
        for index in range(new_points.shape[1]):
            embedding = self.info_encoder(torch.cat((image, click_maps, corrected, features), dim=1))
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
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if type(module) is FeedbackCorrection:
            module.__class__ = PlainCorrection
    return copied
