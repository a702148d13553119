"""FFCM computed where it is used: the form in which networks become graphs for other runtimes.

The corrected feedback differs from the feedback only in a window around the click, so nothing beyond the
window and a rim of three cells (as far as three convolutions see) is computed. All integers, where the
window lies and which cell was clicked, come in from outside: a traced graph would remember those of the
example it was traced with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fcfi_core.networks.feedback_correction import FeedbackCorrection, Network, Seen, with_correction


class Focus(NamedTuple):
    """Where FFCM works for one click; made by :func:`fcfi_core.engines.click_maps.focus`."""

    rows: Tensor  # (m,) int64, rows of the crop
    columns: Tensor  # (n,) int64, columns of the crop
    spread_rows: Tensor  # (h, m) float32, 1 where a row of the map is that row of the crop and in the window
    spread_columns: Tensor  # (n, w) float32, likewise
    cell: Tensor  # (1,) int64, the clicked cell of the crop, row by row
    label: Tensor  # (1, 1, 1, 1) float32, 1 for a positive click


class CroppedCorrection(FeedbackCorrection):
    """Corrects the feedback of one image around one click, hard window only."""

    def around_clicks(self, seen: Seen, new_points: Any, soft_window: bool) -> tuple[Tensor, None]:
        """See :meth:`FeedbackCorrection.around_clicks`; ``new_points`` is a :class:`Focus`."""
        focus: Focus = new_points
        near = [
            maps.index_select(2, focus.rows).index_select(3, focus.columns)
            for maps in (seen.image, seen.click_maps, seen.feedback, seen.features)
        ]
        unit = functional.normalize(self.info_encoder(torch.cat(near, dim=1)), dim=1, eps=1e-12)
        at_click = unit.flatten(2).index_select(2, focus.cell).unsqueeze(3)
        similarity = (unit * at_click).sum(dim=1, keepdim=True)
        moved = (1 - similarity) * near[2] + similarity * focus.label
        # Products with rows of zeros and a single one: moved values, nothing is rounded.
        moved = focus.spread_rows @ moved[0, 0] @ focus.spread_columns
        inside = focus.spread_rows.sum(dim=1, keepdim=True) @ focus.spread_columns.sum(dim=0, keepdim=True)
        return seen.feedback * (1 - inside) + moved, None


def with_cropped_correction(network: Network) -> Network:
    """Return a copy of ``network`` in which every FFCM computes its window alone, with the same weights."""
    return with_correction(network, CroppedCorrection)
