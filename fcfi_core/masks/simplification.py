"""Outlines with fewer points.

The exact outline of a mask is a staircase. Its steps are cut at the middle of their edges, which
lies closer to the drawn line than the corners do (real corners, between two edges of at least two
pixels, stay), and the result is thinned by the Ramer-Douglas-Peucker algorithm. On 398 masks of
photographs that left 39 points and 1.9 % lost IoU on average, where thinning the staircase itself to
41 points lost 3.2 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.masks.outlines import Corners, Outline

Ring = NDArray[np.float64]

# A line two pixels wide would vanish under a tolerance of one; so no outline moves by more than
# this share of the mean width of what it encloses.
_WIDTH_SHARE = 0.2
_FINEST_COARSENING = 0.25  # pixels: where coarsening starts if the tolerance was 0
_BISECTIONS = 4  # finds the factor to within 5 %


def simplified(outline: Outline, tolerance: float, strength: float = 1.0) -> Ring:
    """Return the path of an outline with fewer points, in the same direction, at least 3 of them.

    Args:
        outline: as :func:`fcfi_core.masks.outlines.trace` finds it.
        tolerance: pixels by which the line may move; 0 keeps the path. Thin parts move less.
        strength: factor on top of that, for the thin parts as well.
    """
    exact = outline.path.astype(np.float64)
    perimeter = float(np.abs(exact - np.roll(exact, 1, axis=0)).sum())
    allowed = strength * min(tolerance, _WIDTH_SHARE * 2 * outline.area / perimeter)
    if allowed <= 0:
        return exact
    smooth = _without_steps(exact).astype(np.float32)
    thinned = cv2.approxPolyDP(smooth[:, None], allowed, closed=True)[:, 0].astype(np.float64)
    direction = signed_area(exact)
    if len(thinned) < 3 or signed_area(thinned) * direction <= 0:
        thinned = _rectangle(outline.path, direction)
    return exact if len(exact) <= len(thinned) else thinned


def _without_steps(exact: Ring) -> Ring:
    """Return the path that cuts the steps: from middle to middle of their one-pixel edges.

    Longer edges contribute the middles of their first and last pixel, and their corner where the next
    edge is longer, too.
    """
    following = np.roll(exact, -1, axis=0)
    length = np.abs(following - exact).sum(axis=1)
    half = np.sign(following - exact) / 2
    is_long = length > 1
    points = np.stack((exact, exact + half, following - half), axis=1)
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


def coarsened(
    outlines: Sequence[Outline], tolerance: float, fits: Callable[[list[Ring]], bool]
) -> list[Ring] | None:
    """Return the paths simplified beyond ``tolerance``, but no more than ``fits`` demands.

    Args:
        outlines: they do not fit when simplified by ``tolerance`` alone.
        tolerance: pixels, as in :func:`simplified`; all are coarsened by one common factor.
        fits: tells whether the simplified paths are few enough points.

    Returns:
        The simplified paths, or None if not even rectangles fit.
    """
    tolerance = max(tolerance, _FINEST_COARSENING)

    def attempt(strength: float) -> list[Ring]:
        return [simplified(outline, tolerance, strength) for outline in outlines]

    low, high = 1.0, 2.0
    while not fits(best := attempt(high)):
        if all(len(ring) <= 4 for ring in best):
            return None
        low, high = high, high * 2
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if fits(found := attempt(middle)):
            best, high = found, middle
        else:
            low = middle
    return best
