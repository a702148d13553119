"""What clicks are to a graph: disks, and where FFCM works; drawn before the graph, in NumPy.

The numbers are those of :mod:`fcfi_core.networks.click_maps` and
:mod:`fcfi_core.networks.feedback_correction`, bit for bit: float32, in the same order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fcfi_core.engines.base import Array

STRIDE = 4
"""FFCM works on features of a quarter of the frame's size, in every network."""

RIM = 3
"""Cells around the window that its cells see: one for each 3x3 convolution of FFCM's encoder."""


def disk_maps(points: Array, height: int, width: int, radius: float) -> Array:
    """Return disks around the clicks of one sample, (2, height, width) float32 of 0 and 1.

    Args:
        points: (2N, 3) float32 rows (row, column, order), positives first; unused rows are negative.
        height, width: of the maps, pixels.
        radius: of the disks, pixels, inclusive.
    """
    maps = np.zeros((2, height, width), np.float32)
    limit = np.float32(radius * radius)
    reach = math.ceil(radius) + 1
    for disks, clicks in zip(maps, points.reshape(2, -1, 3), strict=True):
        for row, column, _ in clicks:
            if max(row, column) < 0:
                continue
            top, left = max(0, int(row) - reach), max(0, int(column) - reach)
            rows = np.arange(top, min(height, int(row) + reach + 1), dtype=np.float32)
            columns = np.arange(left, min(width, int(column) + reach + 1), dtype=np.float32)
            near = np.square(rows - row)[:, None] + np.square(columns - column)[None] <= limit
            part = disks[top : top + len(rows), left : left + len(columns)]
            part[near] = 1
    return maps


class Focus(NamedTuple):
    """Where FFCM works for one click, as its graph takes it; see ``networks/cropped_correction.py``."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    spread_rows: Array
    spread_columns: Array
    cell: NDArray[np.int64]
    label: Array


def focus(new_point: NDArray[np.int64], size: tuple[int, int], ratio: float) -> Focus:
    """Return where FFCM works for one click.

    Args:
        new_point: (3,) row, column, label.
        size: (height, width) of the feedback, pixels.
        ratio: side of the window as a fraction of the feedback's side.
    """
    row, column, label = (int(value) for value in new_point)
    rows, spread_rows, cell_row = _along(row, size[0], ratio)
    columns, spread_columns, cell_column = _along(column, size[1], ratio)
    return Focus(
        rows,
        columns,
        spread_rows,
        np.ascontiguousarray(spread_columns.T),
        np.array([cell_row * len(columns) + cell_column], np.int64),
        np.full((1, 1, 1, 1), label, np.float32),
    )


def _along(position: int, pixels: int, ratio: float) -> tuple[NDArray[np.int64], Array, int]:
    """Return the crop's cells along one axis, their places in the map, and the clicked one among them."""
    cells = -(-pixels // STRIDE)
    half = max(int(ratio * pixels / 2 + 0.5), 1)
    first = min(max(math.floor(_scaled(max(position - half, 0), pixels, cells)), 0), cells)
    last = min(max(math.ceil(_scaled(min(position + half, pixels), pixels, cells)), 0), cells)
    clicked = min(max(int(_scaled(position, pixels, cells)), 0), cells - 1)
    # As many for every click: a graph is quicker with shapes that it has seen.
    count = min(cells, math.ceil(2 * half * cells / pixels) + 2 + 2 * RIM)
    start = min(max(first - RIM, 0), cells - count)
    spread = np.zeros((cells, count), np.float32)
    inside = np.arange(first, last)
    spread[inside, inside - start] = 1
    return np.arange(start, start + count), spread, clicked - start


def _scaled(position: int, pixels: int, cells: int) -> np.float32:
    return np.float32(np.float32(position) / np.float32(pixels)) * np.float32(cells)
