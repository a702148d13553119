"""Polygons -> pixels, by the pixel centre."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box
from fcfi_core.masks.extent import Mask
from fcfi_core.masks.runs import fill

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
    edge = np.repeat(np.arange(count.size), count)
    row = first[edge] + np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    slope = (x2 - x1)[edge] / (y2 - y1)[edge]
    crossing = x1[edge] + (row + 0.5 - y1[edge]) * slope
    column = np.ceil(crossing - 0.5).clip(box.x1, box.x2 + 1).astype(np.int64)
    toggles = (row - box.y1) * box.width + column - box.x1
    toggles.sort()
    return fill(toggles, box.width * box.height).reshape(box.height, box.width)
