"""Masks as toggles: the one form between pixels and every run-length code.

A mask is read pixel by pixel, row after row, starting outside the object. A *toggle* is a flat
index at which the value changes: inside begins at toggles 0, 2, 4, ..., outside again at toggles 1,
3, 5, ... The last stretch inside ends at the number of pixels, which is then a toggle too, so there
is always an even number of them. Only the bounding box of a mask is looked at.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.masks.extent import Mask, box_of, crop

Toggles = NDArray[np.int64]


def toggles(mask: Mask) -> Toggles:
    """Return the toggles of ``mask`` (H, W) bool, read row by row; strictly increasing."""
    box = box_of(mask)
    if box is None:
        return np.empty(0, np.int64)
    within = _toggles_within(crop(mask, box).view(np.uint8))
    return _placed(within, box.width, mask.shape[1], box.x1, box.y1)


def toggles_by_column(mask: Mask) -> Toggles:
    """Return the toggles of ``mask`` read column by column (flat index ``x * H + y``)."""
    box = box_of(mask)
    if box is None:
        return np.empty(0, np.int64)
    within = _toggles_within(cv2.transpose(crop(mask, box).view(np.uint8)))
    return _placed(within, box.height, mask.shape[0], box.y1, box.x1)


def _toggles_within(rows: NDArray[Any]) -> Toggles:
    """Return the toggles of (h, w) uint8 0/1, in rows lengthened by one pixel outside (w + 1)."""
    height, width = rows.shape
    lengthened = np.zeros((height, width + 1), np.uint8)
    lengthened[:, :width] = rows
    flat = lengthened.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.concatenate(([0], changes)) if flat[0] else changes


def _placed(within: Toggles, width: int, full_width: int, left: int, top: int) -> Toggles:
    """Return toggles of lengthened rows as toggles of the full mask, whose rows may touch."""
    row, column = np.divmod(within, width + 1)
    placed: Toggles = (row + top) * full_width + column + left
    if width < full_width:
        return placed
    # An object at both borders leaves a row and enters the next at the same index: no toggle at all.
    repeated = placed[1:] == placed[:-1]
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
