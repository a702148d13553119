"""One direction of a frame, and bilinear sampling along it.

Rows and columns separate: a frame is two axes, and sampling a map at a grid is sampling it along one axis
and then along the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Positions = NDArray[np.float64]

_STRIP = 256
"""Pixels in a row where single ones are sampled."""

_SQUARE = np.ones((2, 2), np.uint8)


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a frame: ``extent`` image pixels from ``start`` on, shown as ``size`` pixels."""

    start: int
    extent: int
    size: int
    align_corners: bool

    @property
    def end(self) -> int:
        """The first image pixel behind it."""
        return self.start + self.extent

    def centres(self) -> Positions:
        """Return where the centres of the frame's pixels lie in the image."""
        if self.align_corners:
            # In float32, as torch computes it: the official maps are reproduced to rounding.
            scale = np.float32((self.extent - 1) / (self.size - 1)) if self.size > 1 else np.float32(0)
            return self.start + (np.arange(self.size, dtype=np.float32) * scale).astype(np.float64)
        return np.asarray(self.start + (np.arange(self.size) + 0.5) * (self.extent / self.size) - 0.5)

    def within(self, positions: NDArray[Any], size: int) -> Positions:
        """Return where ``positions`` of the image lie among ``size`` pixels that show this axis."""
        if self.align_corners:
            scale = np.float32((size - 1) / (self.extent - 1)) if self.extent > 1 else np.float32(0)
            places = ((positions - self.start).astype(np.float32) * scale).astype(np.float64)
        else:
            places = (positions - self.start + 0.5) * (size / self.extent) - 0.5
        return np.asarray(np.clip(places, 0, size - 1))

    def holds(self, positions: Positions) -> NDArray[np.bool_]:
        """Return which ``positions`` of the image lie on a pixel of this axis."""
        return (positions >= self.start - 0.5) & (positions <= self.start + self.extent - 0.5)


def sample(view: Map, rows: Positions, columns: Positions) -> Map:
    """Return ``view`` (h, w[, c]) at the grid of fractional ``rows`` x ``columns``, bilinear."""
    return interpolated(interpolated(view, columns, axis=1), rows, axis=0)


def interpolated(view: Map, positions: Positions, axis: int) -> Map:
    lower = np.floor(positions).astype(np.intp)
    upper = np.minimum(lower + 1, view.shape[axis] - 1)
    shape = [1] * view.ndim
    shape[axis] = -1
    weight = (positions - lower).astype(np.float32).reshape(shape)
    return _between(view.take(lower, axis=axis), view.take(upper, axis=axis), weight)


def extremes(view: Map) -> tuple[Map, Map]:
    """Return the least and the greatest of each value and its neighbours right, below, and right below."""
    low, high = (
        extreme(view, _SQUARE, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
        for extreme in (cv2.erode, cv2.dilate)
    )
    return np.asarray(low), np.asarray(high)


def sample_at(view: Map, rows: Positions, columns: Positions) -> Map:
    """Return ``view`` at the places (rows[i], columns[i]), to the last bit as :func:`sample` would."""
    upper, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    down, right = (rows - upper).astype(np.float32), (columns - left).astype(np.float32)
    height, width = view.shape
    here = upper * width + left
    beside = np.where(left + 1 < width, 1, 0)
    below = np.where(upper + 1 < height, width, 0)
    above = _between(view.take(here), view.take(here + beside), right)
    here += below
    return _between(above, _between(view.take(here), view.take(here + beside), right), down)


def sampled(view: Map, down: Map, across: Map) -> tuple[Map, ...]:
    """Return the channels of ``view`` at fractional places, bilinear to 1/32 of a pixel, (N,) float32 each.

    Args:
        view: (h, w, c) float32, c at most 4.
        down, across: (N,) float32.
    """
    if not len(down):
        return tuple(np.zeros((view.shape[2], 0), np.float32))
    # As many rows as needed of a picture: OpenCV's sides are limited.
    grid = np.zeros((2, -(-len(down) // _STRIP), _STRIP), np.float32)
    for places, on_grid in zip((down, across), grid, strict=True):
        on_grid.reshape(-1)[: len(down)] = places
    found = cv2.split(cv2.remap(view, grid[1], grid[0], cv2.INTER_LINEAR))
    return tuple(np.asarray(channel, np.float32).reshape(-1)[: len(down)] for channel in found)


def _between(start: Map, end: Map, weight: Map) -> Map:
    end -= start
    end *= weight
    start += end
    return start
