"""Polygons -> pixels, by the pixel centre."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint, reserved
from fcfi_core.clicks import Box
from fcfi_core.masks.extent import Mask
from fcfi_core.masks.runs import fill

_BLOCK_CROSSINGS = 1 << 20
_BYTES_PER_CROSSING = 44
_BYTES_PER_PIXEL = 2

Ring = NDArray[np.floating] | NDArray[np.integer]


def rasterise(rings: Sequence[Ring], box: Box) -> Mask:
    """Return which pixels of ``box`` have their centre inside an odd number of ``rings``.

    A centre that lies exactly on an edge belongs to the side on the edge's right, or below it where
    the edge is level: rings that share an edge share out the pixels without overlap or gap.

    Args:
        rings: (N, 2) closed paths (x, y) in the continuous image plane, any orientation.
        box: the pixels wanted.

    Returns:
        (box.height, box.width) bool.
    """
    start = np.concatenate(list(rings), dtype=np.float64)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings], dtype=np.float64)
    # Both rings at a shared edge must compute the same crossings: always from its upper end.
    down = start[:, 1] < end[:, 1]
    (x1, y1), (x2, y2) = (np.where(down, a, b) for a, b in ((start.T, end.T), (end.T, start.T)))
    first = np.ceil(y1 - 0.5).clip(box.y1, box.y2 + 1).astype(np.int64)
    count = np.ceil(y2 - 0.5).clip(box.y1, box.y2 + 1).astype(np.int64) - first
    crossings, pixels = int(count.sum()), box.width * box.height
    room = _BYTES_PER_CROSSING * crossings + _BYTES_PER_PIXEL * pixels
    with reserved(room, f"a polygon of {start.shape[0]} points on {box.width} x {box.height} pixels"):
        toggles, ends, done = np.empty(crossings, np.int64), np.cumsum(count), 0
        while done < crossings:
            checkpoint()
            last = min(crossings, done + _BLOCK_CROSSINGS)
            from_edge, to_edge = np.searchsorted(ends, (done, last - 1), side="right")
            here = slice(from_edge, to_edge + 1)
            repeats = np.minimum(ends[here], last) - np.maximum(ends[here] - count[here], done)
            edge = np.repeat(np.arange(from_edge, to_edge + 1), repeats)
            row = first[edge] + np.arange(done, last) - (ends - count)[edge]
            slope = (x2 - x1)[edge] / (y2 - y1)[edge]
            crossing = x1[edge] + (row + 0.5 - y1[edge]) * slope
            column = np.ceil(crossing - 0.5).clip(box.x1, box.x2 + 1).astype(np.int64)
            toggles[done:last] = (row - box.y1) * box.width + column - box.x1
            done = last
        toggles.sort()
        return fill(toggles, pixels).reshape(box.height, box.width)
