"""Rectangles of whole pixels of the upright original, and which of them to look at.

Coordinates are rows and columns, all four ends inclusive, and the arithmetic is the official one to the last
integer: float64, ``round`` half to even, a click test whose upper end is exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcfi_core.clicks import Click


@dataclass(frozen=True, slots=True)
class Region:
    """Rows ``top..bottom`` and columns ``left..right`` of an image, ends inclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top + 1

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left + 1

    @property
    def slices(self) -> tuple[slice, slice]:
        """The region as an array index."""
        return slice(self.top, self.bottom + 1), slice(self.left, self.right + 1)

    def contains(self, click: Click) -> bool:
        """Return whether ``click`` counts as inside: the last row and column do not (officially so)."""
        return self.top <= click.y < self.bottom and self.left <= click.x < self.right

    def including(self, clicks: Sequence[Click]) -> Region:
        """Return the smallest region around this one and all ``clicks``."""
        rows = [self.top, self.bottom, *(click.y for click in clicks)]
        columns = [self.left, self.right, *(click.x for click in clicks)]
        return Region(min(rows), max(rows), min(columns), max(columns))

    def expanded(self, ratio: float, smallest: int, height: int, width: int) -> Region:
        """Return the region ``ratio`` times as large about its centre, cut at the image's border.

        Args:
            ratio: factor of both sides.
            smallest: least side in pixels before cutting.
            height, width: size of the image.
        """
        top, bottom = _expanded(self.top, self.bottom, ratio, smallest, height)
        left, right = _expanded(self.left, self.right, ratio, smallest, width)
        return Region(top, bottom, left, right)

    def aligned(self, step: int, height: int, width: int) -> Region:
        """Return the smallest region around this one with edges at multiples of ``step``, cut at the border.

        Args:
            step: pixels.
            height, width: size of the image.
        """
        top, left = self.top // step * step, self.left // step * step
        bottom = min(height, -(-(self.bottom + 1) // step) * step) - 1
        right = min(width, -(-(self.right + 1) // step) * step) - 1
        return Region(top, bottom, left, right)

    def overlap(self, other: Region) -> float:
        """Return the product of the two one-dimensional overlaps (intersection over hull), 0..1."""
        rows = _overlap(self.top, self.bottom, other.top, other.bottom)
        return rows * _overlap(self.left, self.right, other.left, other.right)

    @classmethod
    def whole(cls, height: int, width: int) -> Region:
        """Return the region of a whole image."""
        return cls(0, height - 1, 0, width - 1)

    @classmethod
    def around(cls, click: Click, height: int, width: int, image_size: tuple[int, int]) -> Region:
        """Return the region of ``height`` x ``width`` with ``click`` in its middle, moved inside the image.

        Args:
            click: in the image.
            height, width: at most those of the image; less than 1 counts as 1.
            image_size: (height, width).
        """
        top, bottom = _around(click.y, height, image_size[0])
        left, right = _around(click.x, width, image_size[1])
        return cls(top, bottom, left, right)


def first_region(click: Click | None, image_size: tuple[int, int], longest: float, aspect: float) -> Region:
    """Return the region to look at while nothing is known: the whole image, unless it is too long.

    Of a strip, a scan or a panorama the network would see everything squeezed to nothing: of 6000 x 200
    pixels 384 x 13. So of such an image the surroundings of the click are shown.

    Args:
        click: on the object; None: the whole image.
        image_size: (height, width).
        longest: longer side / shorter side from which an image is too long.
        aspect: longer side / shorter side of the region then, 1 or more.

    >>> first_region(Click(3000, 100), (200, 6000), longest=2.0, aspect=1.5)
    Region(top=0, bottom=199, left=2850, right=3149)
    """
    height, width = image_size
    if click is None or max(image_size) <= longest * min(image_size):
        return Region.whole(height, width)
    side = max(1, round(aspect * min(image_size)))
    return Region.around(click, min(height, side), min(width, side), image_size)


def next_region(
    previous: Region | None,
    foreground: Region,
    clicks: Sequence[Click],
    image_size: tuple[int, int],
    *,
    ratio: float,
    smallest: int,
    keep_overlap: float,
) -> Region:
    """Return the region to look at next: the previous one while it still serves, else a fitting one.

    The fitting region surrounds the foreground and all clicks, ``ratio`` times as large. The previous
    one still serves if it contains all clicks and overlaps the fitting one by ``keep_overlap`` at least;
    keeping it lets the encoder's work be reused.

    Args:
        previous: the zoomed region of the last pass, None if that saw the whole image.
        foreground: region around the object as known so far.
        clicks: all clicks up to the present one.
        image_size: (height, width).
        ratio, smallest: see :meth:`Region.expanded`.
        keep_overlap: threshold of :meth:`Region.overlap`.
    """
    fitting = foreground.including(clicks).expanded(ratio, smallest, *image_size)
    if previous is None or fitting.overlap(previous) < keep_overlap:
        return fitting
    return previous if all(previous.contains(click) for click in clicks) else fitting


def _expanded(start: int, end: int, ratio: float, smallest: int, length: int) -> tuple[int, int]:
    centre = 0.5 * (start + end)
    extent = max(ratio * (end - start + 1), smallest)
    return max(0, round(centre - 0.5 * extent)), min(length - 1, round(centre + 0.5 * extent))


def _around(place: int, extent: int, length: int) -> tuple[int, int]:
    extent = max(1, extent)
    start = min(max(place - extent // 2, 0), length - extent)
    return start, start + extent - 1


def _overlap(a: int, b: int, c: int, d: int) -> float:
    return max(0, min(b, d) - max(a, c) + 1) / (max(b, d) - min(a, c) + 1)
