"""Masks as toggles: the one form between pixels and every run-length code.

A mask is read pixel by pixel, row after row, starting outside the object. A *toggle* is a flat
index at which the value changes: inside begins at toggles 0, 2, 4, ..., outside again at toggles 1,
3, 5, ... The last stretch inside ends at the number of pixels, which is then a toggle too, so there
is always an even number of them. Only the bounding box of a mask is looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box
from fcfi_core.masks.changes import changes_across, changes_down, framed
from fcfi_core.masks.extent import Mask, box_of, crop

Toggles = NDArray[np.int64]


def toggles(mask: Mask, within: Box | None = None) -> Toggles:
    """Return the toggles of ``mask`` (H, W) bool, read row by row; strictly increasing.

    Args:
        mask: (H, W) bool.
        within: a box that is known to hold all of it; None: it may be anywhere.
    """
    box = within or box_of(mask)
    if box is None:
        return np.empty(0, np.int64)
    row, column = changes_across(framed(crop(mask, box).view(np.uint8)))
    return _placed(row - 1 + box.y1, column - 1 + box.x1, mask.shape[1])


def toggles_by_column(mask: Mask, within: Box | None = None) -> Toggles:
    """Return the toggles of ``mask`` read column by column (flat index ``x * H + y``), likewise."""
    box = within or box_of(mask)
    if box is None:
        return np.empty(0, np.int64)
    row, column = changes_down(framed(crop(mask, box).view(np.uint8)))
    down = np.argsort(column, kind="stable")
    return _placed(column[down] - 1 + box.x1, row[down] + box.y1, mask.shape[0])


def _placed(line: Toggles, place: Toggles, length: int) -> Toggles:
    """Return toggles at ``place`` of ``line`` as flat indices of lines of ``length`` that may touch."""
    placed: Toggles = line * length + place
    # An object at both borders leaves a line and enters the next at the same index: no toggle at all.
    repeated = placed[1:] == placed[:-1]
    if not repeated.any():
        return placed
    keep = np.ones(placed.size, bool)
    keep[1:] &= ~repeated
    keep[:-1] &= ~repeated
    return placed[keep]


def lengths(toggles: Toggles, size: int) -> NDArray[np.int64]:
    """Return the run lengths of ``size`` pixels, beginning with the run outside (which may be 0).

    The last run is never 0: nothing follows an object that reaches the last pixel.
    """
    ends = toggles if toggles.size and toggles[-1] == size else np.append(toggles, size)
    return np.diff(ends, prepend=0)


def fill(toggles: Toggles, size: int) -> NDArray[np.bool_]:
    """Return (size,) bool with the stretches between toggles set; equal toggles cancel out."""
    return expand(np.diff(toggles, prepend=0, append=size))


def expand(lengths: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the flat mask whose runs have these lengths, beginning outside."""
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths)
