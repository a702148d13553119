"""What every mask function checks first, and the smallest box around a mask."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box
from fcfi_core.errors import DataError

Mask = NDArray[np.bool_]
Kind = TypeVar("Kind", bound=np.generic)


def require_mask(mask: Mask) -> Mask:
    """Return ``mask`` as a C-contiguous array, if it is one.

    Raises:
        DataError: unless it is (H, W) bool with at least one pixel. Numbers are refused: whether 1, 255
            or 0.5 is the threshold is the caller's knowledge.
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_ or mask.size == 0:
        kind = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DataError(f"a mask of {kind} cannot be used; give an (H, W) array of bool.")
    return np.ascontiguousarray(mask)


def box_of(mask: Mask, within: Box | None = None) -> Box | None:
    """Return the smallest box that holds all pixels of ``mask``, or None if there are none.

    Args:
        mask: (H, W) bool.
        within: a box that is known to hold them; None: they may be anywhere.

    >>> box_of(np.eye(3, dtype=bool)[:2])
    Box(x1=0, y1=0, x2=1, y2=1)
    """
    mask = require_mask(mask)
    x, y = 0, 0
    if within is not None:
        mask, x, y = crop(mask, within), within.x1, within.y1
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    top, bottom = rows[[0, -1]].tolist()
    left, right = np.flatnonzero(mask[top : bottom + 1].any(axis=0))[[0, -1]].tolist()
    return Box(x + left, y + top, x + right, y + bottom)


def crop(mask: NDArray[Kind], box: Box) -> NDArray[Kind]:
    """Return the view of a mask, or of another map: rows ``box.y1..y2``, columns ``box.x1..x2``."""
    return mask[box.y1 : box.y2 + 1, box.x1 : box.x2 + 1]


def require_size(width: object, height: object) -> tuple[int, int]:
    """Return the size of a mask to be built.

    Raises:
        DataError: unless both are whole numbers above 0.
    """
    whole = (int, np.integer)
    if not (isinstance(width, whole) and isinstance(height, whole) and width > 0 and height > 0):
        raise DataError(f"mask size {width!r} x {height!r} is impossible; give whole numbers above 0.")
    return int(width), int(height)
