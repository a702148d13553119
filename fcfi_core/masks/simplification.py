"""Outlines with fewer points.

The exact outline of a mask is a staircase. Its steps are cut at the middle of their edges, which
lies closer to the drawn line than the corners do (real corners, between two edges of at least two
pixels, stay), and the result is thinned by the Ramer-Douglas-Peucker algorithm. On 398 masks of
photographs that left 39 points and 1.9 % lost IoU on average, where thinning the staircase itself to
41 points lost 3.2 %. Rings that cross or touch after that (one mask in some hundred) are thinned less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint
from fcfi_core.masks.outlines import Corners, Outline
from fcfi_core.masks.tangles import tangled, uncrossed

Ring = NDArray[np.float64]
Finished = TypeVar("Finished")

# A line two pixels wide would vanish under a tolerance of one; so no outline moves by more than
# this share of the mean width of what it encloses.
_WIDTH_SHARE = 0.2
FINEST_COARSENING = 0.25
"""Pixels: where coarsening starts if the tolerance was 0."""
_BISECTIONS = 4  # finds the factor to within 5 %
_MOST_REORDERED = 400  # points: the time grows with their square
_REFINEMENTS = 40  # points added to a segment that crosses something, before it follows its pixels


def simplified(outline: Outline, tolerance: float, strength: float = 1.0) -> Ring:
    """Return the path of an outline with fewer points, in the same direction, at least 3 of them.

    Args:
        outline: as :func:`fcfi_core.masks.outlines.trace` finds it.
        tolerance: pixels by which the line may move; 0 keeps the path. Thin parts move less.
        strength: factor on top of that, for the thin parts as well.
    """
    exact, opened = outline.path.astype(np.float64), outline.opened()
    perimeter = float(np.abs(exact - np.roll(exact, 1, axis=0)).sum())
    allowed = strength * min(tolerance, _WIDTH_SHARE * 2 * outline.area / perimeter)
    if allowed <= 0:
        return opened
    smooth = _without_steps(exact, opened).astype(np.float32)
    thinned = cv2.approxPolyDP(smooth[:, None], allowed, closed=True)[:, 0].astype(np.float64)
    direction = signed_area(exact)
    if len(thinned) < 3 or signed_area(thinned) * direction <= 0:
        thinned = _rectangle(outline.path, direction)
    return opened if len(opened) <= len(thinned) else thinned


def _without_steps(exact: Ring, opened: Ring) -> Ring:
    """Return the path that cuts the steps: from middle to middle of their one-pixel edges.

    Longer edges contribute the middles of their first and last pixel, and their corner (as ``opened`` has
    it) where the next edge is longer, too.
    """
    following = np.roll(exact, -1, axis=0)
    length = np.abs(following - exact).sum(axis=1)
    half = np.sign(following - exact) / 2
    is_long = length > 1
    points = np.stack((opened, exact + half, following - half), axis=1)
    wanted = np.stack((is_long & np.roll(is_long, 1), np.ones_like(is_long), is_long), axis=1)
    smooth: Ring = points[wanted]
    return smooth


def _rectangle(path: Corners, direction: float) -> Ring:
    """Return the smallest rectangle, at any angle, around a path; clockwise if ``direction`` is above 0."""
    corners = cv2.boxPoints(cv2.minAreaRect(path.astype(np.float32))).astype(np.float64)
    return corners if signed_area(corners) * direction > 0 else corners[::-1]


def signed_area(ring: Ring) -> float:
    """Return the area within an (N, 2) closed path, above 0 if it is clockwise as seen on screen."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2


@dataclass(frozen=True)
class Outlines:
    """Outlines that are simplified together.

    Args:
        outlines: of all parts and holes.
        parts: number of the part that each belongs to.
        is_hole: whether each is a hole.
    """

    outlines: Sequence[Outline]
    parts: Sequence[int]
    is_hole: Sequence[bool]

    def first(self, count: int) -> Outlines:
        """Return the first ``count`` of them."""
        return Outlines(self.outlines[:count], self.parts[:count], self.is_hole[:count])

    def simplified(self, tolerance: float, strength: float = 1.0) -> list[Ring]:
        """Return all simplified, whether they cross or not."""
        rings = []
        for outline in self.outlines:
            checkpoint()
            rings.append(simplified(outline, tolerance, strength))
        return rings

    def untangled(self, rings: Sequence[Ring]) -> list[Ring]:
        """Return the simplified ``rings`` without any that cross or touch.

        Rings that cross themselves alone go through their points in another order; if more is the matter,
        segments that cross are drawn more finely, until in the end they follow the pixels, where nothing
        crosses.
        """
        crossing = tangled(rings, self.parts, self.is_hole)
        if not crossing:
            return list(rings)
        reordered = [_reordered(ring) if index in crossing else ring for index, ring in enumerate(rings)]
        if not tangled(reordered, self.parts, self.is_hole):
            return reordered
        finer = list(rings)
        for _ in range(_REFINEMENTS):
            checkpoint()
            for index, places in crossing.items():
                finer[index] = _finer(finer[index], self.outlines[index], places)
            crossing = tangled(finer, self.parts, self.is_hole)
            if not crossing:
                return finer
        parts = {self.parts[index] for index in crossing}
        return [
            self.outlines[index].opened() if part in parts else finer[index]
            for index, part in enumerate(self.parts)
        ]


def _finer(ring: Ring, outline: Outline, places: set[int]) -> Ring:
    """Return the simplified ``ring`` with one more point in each of the segments that begin at ``places``."""
    smooth = _without_steps(outline.path.astype(np.float64), outline.opened())
    number_of = {(x, y): number for number, (x, y) in enumerate(smooth.tolist())}
    numbers = [number_of.get((x, y), -1) for x, y in ring.tolist()]
    if -1 in numbers:  # it followed the pixels, or was a rectangle: begin with the points farthest out
        x, y = smooth.T
        numbers = sorted({int(point) for point in (x.argmin(), y.argmin(), x.argmax(), y.argmax())})
        return smooth[numbers] if len(numbers) > 2 else smooth
    result = []
    for place, number in enumerate(numbers):
        result.append(number)
        if place in places:
            following = numbers[(place + 1) % len(numbers)]
            result += _farthest(smooth, number, following)
    return smooth[result]


def _farthest(smooth: Ring, start: int, end: int) -> list[int]:
    """Return the number of the point between two others that is farthest from their line, if there is any."""
    between = (start + 1 + np.arange((end - start) % len(smooth) - 1)) % len(smooth)
    if not between.size:
        return []
    line, points = smooth[end] - smooth[start], smooth[between] - smooth[start]
    distances = np.abs(line[0] * points[:, 1] - line[1] * points[:, 0])
    return [int(between[np.argmax(distances)])]


def _reordered(ring: Ring) -> Ring:
    """Return :func:`uncrossed`, in the direction that ``ring`` had; very long ones as they are."""
    if len(ring) > _MOST_REORDERED:
        return ring
    found = uncrossed(ring)
    return found if signed_area(found) * signed_area(ring) > 0 else found[::-1]


def coarsened(
    outlines: Outlines, tolerance: float, finished: Callable[[list[Ring]], Finished | None]
) -> Finished | None:
    """Return the paths simplified beyond ``tolerance``, but no more than necessary.

    Args:
        outlines: they do not fit when simplified by ``tolerance`` alone.
        tolerance: pixels, as in :func:`simplified`; all are coarsened by one common factor.
        finished: makes what is wanted of the simplified paths; None if they are too many points.

    Returns:
        What ``finished`` made, or None if not even rectangles fit.
    """
    low, high = 1.0, 2.0
    while (best := finished(rings := outlines.simplified(tolerance, high))) is None:
        if all(len(ring) <= 4 for ring in rings):
            return None
        low, high = high, high * 2
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        found = finished(outlines.simplified(tolerance, middle))
        if found is not None:
            best, high = found, middle
        else:
            low = middle
    return best
