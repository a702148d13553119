"""Masks at another size of the same picture."""

from __future__ import annotations

import numpy as np

from fcfi_core.allowance import reserved
from fcfi_core.masks.extent import Mask, require_mask, require_size


def resized(mask: Mask, width: int, height: int) -> Mask:
    """Return ``mask`` (H, W) bool at (height, width): each pixel is the one of ``mask`` under its centre.

    Raises:
        DataError: if ``mask`` is no mask, or a side is below 1.

    >>> resized(np.array([[True, False]]), 4, 1).astype(int)
    array([[1, 1, 0, 0]])
    """
    mask = require_mask(mask)
    width, height = require_size(width, height)
    if mask.shape == (height, width):
        return mask
    with reserved(width * height, f"a mask of {width} x {height} pixels"):
        return _nearest(mask, width, height)


def _nearest(mask: Mask, width: int, height: int) -> Mask:
    rows = (np.arange(height) * 2 + 1) * mask.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * mask.shape[1] // (2 * width)
    resized_mask: Mask = mask[np.ix_(rows, columns)]
    return resized_mask
