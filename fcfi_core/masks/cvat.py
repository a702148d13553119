"""CVAT's mask points: runs over the bounding box, then the box.

``[run, run, ..., left, top, right, bottom]``: lengths of runs over the crop left..right, top..bottom
(both inclusive, pixels of the image), row by row, beginning outside (0 if the crop starts inside).
This is the ``points`` of a shape of type ``mask`` in CVAT's requests, answers and exports, and what
``cvat_sdk.masks`` reads and writes.

A mask without any pixel has no box. Like the SDK we then write the first pixel of the image as an
empty crop, ``[1, 0, 0, 0, 0]``, which decodes to an empty mask; an annotator should rather be sent
no shape at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fcfi_core.allowance import reserved
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import Mask, box_of, crop, require_mask, require_size
from fcfi_core.masks.runs import expand, lengths, toggles


def encode(mask: Mask, *, within: Box | None = None) -> list[int]:
    """Return ``mask`` (H, W) bool as CVAT mask points.

    Args:
        mask: (H, W) bool.
        within: a box that is known to hold all of it; None: it may be anywhere.

    >>> encode(np.array([[False, False, False], [False, True, True], [False, False, True]]))
    [0, 2, 1, 1, 1, 1, 2, 2]
    """
    mask = require_mask(mask)
    box = box_of(mask, within) or Box(0, 0, 0, 0)
    cropped = np.ascontiguousarray(crop(mask, box))
    runs: list[int] = lengths(toggles(cropped), cropped.size).tolist()
    return [*runs, box.x1, box.y1, box.x2, box.y2]


def decode(points: Sequence[float], width: int, height: int) -> Mask:
    """Return the (height, width) bool mask of CVAT mask points.

    Args:
        points: runs, then left, top, right, bottom; whole numbers, as int or float.
        width, height: of the image, pixels.

    Raises:
        DataError: if the runs do not fill the box, or the box is not inside the image.
    """
    width, height = require_size(width, height)
    try:
        numbers = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim != 1 or numbers.size < 5 or (numbers != np.rint(numbers)).any():
        raise DataError("CVAT mask points must be whole numbers: runs, then left, top, right, bottom.")
    runs, (left, top, right, bottom) = numbers[:-4], numbers[-4:].tolist()
    if not (0 <= left <= right < width and 0 <= top <= bottom < height):
        raise DataError(
            f"CVAT mask box ({left:g}, {top:g}, {right:g}, {bottom:g}) is not inside the image of "
            f"{width} x {height} pixels."
        )
    box = Box(left, top, right, bottom)
    if (runs < 0).any() or runs.sum() != box.width * box.height:
        raise DataError(
            f"CVAT mask runs cover {runs.sum():g} pixels, but their box has {box.width} x {box.height}."
        )
    room = width * height + box.width * box.height + 32 * runs.size
    with reserved(room, f"a mask of {width} x {height} pixels"):
        mask = np.zeros((height, width), bool)
        crop(mask, box)[:] = expand(runs.astype(np.int64)).reshape(box.height, box.width)
        return mask
