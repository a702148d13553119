"""The frames in which the network sees an image, and how clicks and maps travel there and back.

A :class:`Frame` is a region of the upright original shown at a network size. Everything the network sees goes
through ``apply``, ``apply_clicks`` and ``apply_map``; what it answers comes back through ``invert``.
Coordinates are rows and columns here.

Pixels follow one of two conventions, a property of the frame:

* ``align_corners=True``, the official one: the centres of the corner pixels of crop and frame coincide;
  every resize is bilinear.
* ``align_corners=False``, the product's: the outer edges coincide, so a frame pixel covers a block of
  image pixels. Images are averaged over that block when they shrink (bilinear sampling skips pixels
  and makes thin things flicker), and resized bilinearly when they grow.

Clicks go to ``size * (position - start) / extent`` in both: under the product's convention its integer
part is the frame pixel that holds the clicked pixel; the official frame inherits up to half a pixel of
misalignment, which the official weights expect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Axis, Map, Positions, extremes, sample, sample_at
from fcfi_core.clicks import Click
from fcfi_core.regions import Region

REDUCTION = 4
"""Image pixels along each side of a pixel of the reduced copy of an image."""

COARSE = 2 * REDUCTION
"""Image pixels along a pixel of a frame from which the reduced copy shows as much."""

_MOST_PIXELS = 1 << 18
"""Pixels that are up-sampled at a time."""

_FEW_PIXELS = 1 << 19
"""Pixels that are all up-sampled sooner than those along an edge are found."""

_ROUNDING = 1e-6
"""More than what rounding may move a probability between its neighbours."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A region of an image, shown at a network size.

    Args:
        region: the part of the upright original.
        height, width: network pixels.
        image_height, image_width: size of the upright original.
        align_corners: pixel convention, see the module's text.
    """

    region: Region
    height: int
    width: int
    image_height: int
    image_width: int
    align_corners: bool = False

    @classmethod
    def of(
        cls,
        region: Region,
        image_size: tuple[int, int],
        *,
        target: int | None,
        multiple: int = 1,
        align_corners: bool = False,
    ) -> Frame:
        """Return the frame that shows ``region`` with a longer side of ``target`` network pixels.

        Args:
            region: part of the image.
            image_size: (height, width) of the image.
            target: longer side of the frame, smaller regions are enlarged; None keeps the region's size.
            multiple: both sides are rounded to multiples of this.
            align_corners: pixel convention.
        """
        scale = 1.0 if target is None else target / max(region.height, region.width)
        height, width = (
            max(1, round(round(side * scale) / multiple)) * multiple for side in (region.height, region.width)
        )
        return cls(region, height, width, *image_size, align_corners)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in network pixels."""
        return self.height, self.width

    @property
    def scale(self) -> float:
        """Network pixels per image pixel, along the longer side."""
        return max(self.size) / max(self.region.height, self.region.width)

    def apply(self, image: NDArray[np.uint8]) -> Map:
        """Return the frame's view of ``image``.

        Args:
            image: (H, W, 3) uint8.

        Returns:
            (height, width, 3) float32, 0..1.
        """
        if self.align_corners:
            return self._resized(image[self.region.slices].astype(np.float32) / np.float32(255))
        return np.asarray(self.shown(image), np.float32) / np.float32(255)

    def shown(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return :meth:`apply` of a frame of the product's convention in whole grey levels, 0..255."""
        return self._resized(image[self.region.slices])

    @property
    def is_coarse(self) -> bool:
        """Whether it shows so little that a copy of the image, reduced by 4, serves as well."""
        region = self.region
        edges = (region.top, region.left, region.height, region.width)
        shrinks = min(region.height / self.height, region.width / self.width)
        return not self.align_corners and shrinks >= COARSE and not any(edge % REDUCTION for edge in edges)

    def shown_reduced(self, reduced: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of a :attr:`is_coarse` frame from a reduced copy of the image.

        A grey level or two from :meth:`shown` (more along the hardest edges), at a small part of its cost.

        Args:
            reduced: (H // 4, W // 4, 3) uint8, each pixel the mean of 4 x 4 of the image.

        Returns:
            (height, width, 3) uint8.
        """
        rows, columns = (
            slice(part.start // REDUCTION, part.stop // REDUCTION) for part in self.region.slices
        )
        return self._resized(reduced[rows, columns])

    def apply_clicks(self, clicks: Sequence[Click]) -> list[tuple[float, float]]:
        """Return the (row, column) of each click in network pixels, fractional."""
        region = self.region
        return [
            (
                self.height * (click.y - region.top) / region.height,
                self.width * (click.x - region.left) / region.width,
            )
            for click in clicks
        ]

    def pixel_at(self, row: int, column: int) -> tuple[int, int]:
        """Return the pixel (x, y) of the image in the middle of a network pixel."""
        region = self.region
        y = region.top + math.floor((row + 0.5) * region.height / self.height)
        x = region.left + math.floor((column + 0.5) * region.width / self.width)
        return min(x, self.image_width - 1), min(y, self.image_height - 1)

    def apply_map(self, full: NDArray[np.float32] | NDArray[np.bool_]) -> Map:
        """Return the frame's view of a map of the image; shrinking averages over blocks.

        Args:
            full: (H, W) float32 or bool.

        Returns:
            (height, width) float32.
        """
        return self._resized(full[self.region.slices].astype(np.float32))

    def invert(self, view: Map, part: Region | None = None) -> Map:
        """Return ``view`` at the resolution of the image, over ``part`` of it.

        Args:
            view: (h, w) float32, this frame's content at any network size.
            part: rows and columns of the image wanted; must lie inside the frame's region, which is
                the default.

        Returns:
            (part.height, part.width) float32, bilinear.
        """
        return sample(view, *self._grid(view, part or self.region))

    def places(self, size: tuple[int, int]) -> tuple[Map, Map]:
        """Return where the image's rows and its columns lie in maps of ``size`` (h, w), this frame's content.

        Returns:
            float32, one number for each row and each column of the image up to the end of the frame's region.
        """
        rows, columns = (
            axis.within(np.arange(axis.end), count).astype(np.float32)
            for axis, count in zip(self._axes(), size, strict=True)
        )
        return rows, columns

    def pixels_under(
        self, marked: NDArray[np.bool_], most: int, cells: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield rows and columns of the image pixels that lie on marked pixels of the frame.

        Args:
            marked: (h, w) bool, over this frame's region at any network size.
            most: pixels to yield at a time, about.
            cells: (h, w) bool, the squares between a pixel's middle and those of its neighbours right, below
                and right below. Only pixels that are interpolated in one of these come, and, where the
                frame has more pixels than the image, others too.
        """
        for y, x in self._pixels_in(self.region, marked, cells, most):
            yield y + self.region.top, x + self.region.left

    def _pixels_in(
        self, part: Region, marked: NDArray[np.bool_], cells: NDArray[np.bool_] | None, most: int
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield what :meth:`pixels_under` does, of ``part`` alone and counted from its corner."""
        region = self.region
        rows = np.arange(part.top - region.top, part.bottom + 1 - region.top)
        columns = np.arange(part.left - region.left, part.right + 1 - region.left)
        rows, columns = rows * marked.shape[0] // region.height, columns * marked.shape[1] // region.width
        if cells is not None and not self._enlarges(marked):
            # The middle of an image pixel lies in the cell of the frame pixel it is on, or in the one before.
            upper, left = (np.floor(places).astype(np.intp) for places in self._grid(marked, part))
            rows, columns = 2 * rows + (upper == rows), 2 * columns + (left == columns)
            marked = _quarters(marked, cells)
        yield from _pixels_of(marked, rows, columns, most)

    def paste(self, view: Map) -> Map:
        """Return ``view`` at the image's resolution and size, 0 outside the frame: (H, W) float32."""
        full = np.zeros((self.image_height, self.image_width), np.float32)
        full[self.region.slices] = self.invert(view)
        return full

    def moved(self, view: Map, target: Frame) -> Map:
        """Return ``view``, the content of this frame, as seen in the frame ``target`` of the same image.

        ``view`` may have any network size. Where ``target`` looks beyond this frame the result is 0. The
        two are of similar scale, or ``target`` is the finer one, so bilinear sampling is enough.

        Returns:
            (target.height, target.width) float32.
        """
        if target == self and view.shape == self.size:
            return view
        own, others = self._axes(), target._axes()
        rows, columns = (
            axis.within(other.centres(), size)
            for axis, other, size in zip(own, others, view.shape, strict=True)
        )
        moved = sample(view, rows, columns)
        moved[~own[0].holds(others[0].centres())] = 0
        moved[:, ~own[1].holds(others[1].centres())] = 0
        return moved

    def above(self, view: Map, threshold: float, but: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return where :meth:`paste` would exceed ``threshold``: (H, W) bool.

        The comparison is made on the up-sampled numbers, of a large part only along the edge: a mask of a
        large photograph costs little more time and memory than itself.

        Args:
            view: (h, w) float32, this frame's content.
            threshold: foreground is strictly above.
            but: (h, w) bool, pixels of the frame under which the caller decides where the edge runs: there
                only what is not near it is right.
        """
        full = np.zeros((self.image_height, self.image_width), np.bool_)
        part = self.foreground(view, threshold, margin=1)
        if part is None:
            return full
        rows, columns = self._grid(view, part)
        if part.height * part.width <= _FEW_PIXELS:
            full[part.slices] = sample(view, rows, columns) > threshold
            return full
        upper, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
        low, high = extremes(view)
        sure = (low > threshold + _ROUNDING).take(left, axis=1)
        ends = np.searchsorted(upper, np.arange(len(view)), side="right").tolist()
        inside = full[part.slices]
        for row, (start, end) in enumerate(pairwise((0, *ends))):
            inside[start:end] = sure[row]
        # Only where neighbours are on both sides of the threshold is there anything to calculate.
        open_cells = (high > threshold - _ROUNDING) & (low <= threshold + _ROUNDING)
        at = full.reshape(-1)
        if but is None or self._enlarges(view):
            found = _pixels_of(open_cells, upper, left, _MOST_PIXELS)
        else:
            found = self._pixels_in(part, ~but, open_cells, _MOST_PIXELS)
        for y, x in found:
            at[(y + part.top) * self.image_width + x + part.left] = (
                sample_at(view, rows[y], columns[x]) > threshold
            )
        return full

    def foreground(self, view: Map, threshold: float, margin: int = 0) -> Region | None:
        """Return the smallest region of the image around ``view > threshold``, or None if that is empty.

        Args:
            view: (h, w) float32, this frame's content; its pixels count with all the image pixels
                they cover.
            threshold: foreground is strictly above.
            margin: frame pixels added on every side.
        """
        inside = view > threshold
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not rows.size:
            return None
        top, bottom = _covered(rows[0] - margin, rows[-1] + margin, view.shape[0], self.region.height)
        left, right = _covered(columns[0] - margin, columns[-1] + margin, view.shape[1], self.region.width)
        return Region(
            self.region.top + top, self.region.top + bottom, self.region.left + left, self.region.left + right
        )

    def _grid(self, view: NDArray[Any], part: Region) -> tuple[Positions, Positions]:
        """Return where the rows and the columns of ``part`` lie in ``view``."""
        rows, columns = self._axes()
        return (
            rows.within(np.arange(part.top, part.bottom + 1), view.shape[0]),
            columns.within(np.arange(part.left, part.right + 1), view.shape[1]),
        )

    def _enlarges(self, view: NDArray[Any]) -> bool:
        """Return whether ``view``, this frame's content, has more pixels than the image there."""
        return bool(view.shape[0] > self.region.height or view.shape[1] > self.region.width)

    def _resized(self, crop: NDArray[Any]) -> NDArray[Any]:
        """Return ``crop``, the pixels of the region, at the size of the frame."""
        if crop.shape[:2] == self.size:
            return crop
        if self.align_corners:
            rows, columns = self._axes()
            return sample(crop, rows.centres() - rows.start, columns.centres() - columns.start)
        shrinks = self.height <= crop.shape[0] and self.width <= crop.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(crop, (self.width, self.height), interpolation=method))

    def _axes(self) -> tuple[Axis, Axis]:
        region, convention = self.region, self.align_corners
        return (
            Axis(region.top, region.height, self.height, convention),
            Axis(region.left, region.width, self.width, convention),
        )


def _quarters(marked: NDArray[np.bool_], cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which quarters of marked pixels lie in ``cells``, (2 h, 2 w) bool."""
    before = np.pad(cells, ((1, 0), (1, 0)))
    quarters = np.empty((2 * marked.shape[0], 2 * marked.shape[1]), np.bool_)
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        there = before[down : down + marked.shape[0], across : across + marked.shape[1]]
        np.logical_and(marked, there, out=quarters[down::2, across::2])
    return quarters


def _pixels_of(
    marked: NDArray[np.bool_], rows: NDArray[np.intp], columns: NDArray[np.intp], most: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the places (y, x) where ``marked[rows[y], columns[x]]``, about ``most`` at a time.

    Args:
        marked: (h, w) bool.
        rows, columns: ascending.
    """
    # Marked cells side by side: stretches of columns, in all rows that lie on theirs. The flat map, a 0 in
    # front of each row, changes where they begin and, in turn, where they end.
    wide = marked.shape[1] + 1
    flat = np.zeros(marked.size + marked.shape[0] + 1, np.bool_)
    flat[:-1].reshape(-1, wide)[:, 1:] = marked
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    line, first = np.divmod(changes[::2], wide)
    last = changes[1::2] - line * wide
    top, bottom = np.searchsorted(rows, line), np.searchsorted(rows, line, side="right")
    left, right = np.searchsorted(columns, first), np.searchsorted(columns, last)
    y, stretch = _ranges(top, bottom)
    ends = np.cumsum((right - left)[stretch])
    start = 0
    while start < len(y):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + most, side="right")))
        part = stretch[start:stop]
        x, of = _ranges(left[part], right[part])
        yield y[start:stop][of], x
        start = stop


def _ranges(starts: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the numbers of all ranges ``starts[i]`` to ``ends[i]`` (exclusive), and the ``i`` of each."""
    sizes = ends - starts
    owner = np.repeat(np.arange(len(starts)), sizes)
    offset = starts - (np.cumsum(sizes) - sizes)
    return np.arange(len(owner)) + offset[owner], owner


def _covered(first: int, last: int, size: int, extent: int) -> tuple[int, int]:
    """Return the first and last of ``extent`` pixels that the network pixels ``first..last`` cover."""
    first, last = max(0, int(first)), min(size - 1, int(last))
    return first * extent // size, min(extent, -(-(last + 1) * extent // size)) - 1
