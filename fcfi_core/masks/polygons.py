"""Masks as polygons with holes, within a tolerance and a point budget, and back.

Coordinates run along pixel edges: the polygon of the single pixel (3, 5) is the square from (3, 5)
to (4, 6), and a mask as large as its image gives the rectangle from (0, 0) to (W, H). With tolerance
0 and no budget, mask -> polygons -> mask is exact. Otherwise ``lost_iou`` tells the price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint, reserved
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError
from fcfi_core.masks import bridges
from fcfi_core.masks.extent import Mask, box_of, crop, require_mask, require_size
from fcfi_core.masks.outlines import trace
from fcfi_core.masks.rasterising import rasterise
from fcfi_core.masks.simplification import FINEST_COARSENING, Outlines, Ring, coarsened

Holes = Literal["keep", "fill", "bridge"]
_Parts = tuple["Polygon", ...]

_FARTHEST = 1e12
_FEWEST_OF_A_RING = 3
_SMALLEST_BUDGET = 4  # one rectangle


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected part.

    Attributes:
        exterior: (N, 2) float64 points (x, y) in the continuous image plane, clockwise as seen on
            screen, N >= 3, the first not repeated at the end.
        holes: the same for each hole, counter-clockwise.
    """

    exterior: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()

    def __repr__(self) -> str:
        holes = f", {len(self.holes)} holes" if self.holes else ""
        return f"Polygon({len(self.exterior)} points{holes})"

    @property
    def point_count(self) -> int:
        """Number of points of the exterior and all holes."""
        return len(self.exterior) + sum(len(hole) for hole in self.holes)

    def bridged(self) -> Polygon:
        """Return the same area without holes: a slit of a tenth of a pixel joins each to the exterior.

        For formats that know a single ring per polygon, as COCO.
        """
        return Polygon(bridges.bridged(self.exterior, self.holes))


@dataclass(frozen=True, eq=False)
class Polygons:
    """The parts of a mask; iterates over them.

    Attributes:
        parts: largest first.
        width, height: of the mask, pixels.
        lost_iou: 1 - intersection over union of the mask and these polygons, 0..1.
    """

    parts: tuple[Polygon, ...]
    width: int
    height: int
    lost_iou: float

    def __repr__(self) -> str:
        return f"Polygons({list(self.parts)}, {self.width} x {self.height}, lost_iou={self.lost_iou:.4f})"

    def __iter__(self) -> Iterator[Polygon]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def point_count(self) -> int:
        """Number of points of all parts and holes."""
        return sum(part.point_count for part in self.parts)


def to_polygons(
    mask: Mask,
    tolerance: float = 1.0,
    max_points: int | None = 200,
    holes: Holes = "keep",
    *,
    within: Box | None = None,
) -> Polygons:
    """Return the polygons of ``mask``.

    The rings of a part neither cross nor touch themselves or each other: they are simple, as polygon
    libraries demand. Every part survives as a polygon, thin ones simplified with more care than thick
    ones, unless the budget is too small: then outlines are coarsened together, or the smallest parts and
    holes given up, whichever loses less.

    Args:
        mask: (H, W) bool.
        tolerance: pixels by which outlines may move to save points; 0 follows every pixel edge.
        max_points: budget for all outlines together, at least 4; None for no limit.
        holes: "keep" them as rings of their own, "fill" them, or "bridge" them into the exterior (see
            :meth:`Polygon.bridged`).
        within: a box that is known to hold all of the mask; None: it may be anywhere.

    Raises:
        DataError: if ``mask`` is no mask or an option is out of range.

    >>> polygons = to_polygons(np.pad(np.ones((2, 3), bool), 1))
    >>> polygons.parts[0].exterior.tolist(), polygons.lost_iou
    ([[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]], 0.0)
    """
    mask = require_mask(mask)
    _require_options(tolerance, max_points, holes)
    box = box_of(mask, within)
    parts_found = trace(mask, box)
    rings = [(part, index, False) for index, part in enumerate(parts_found)]
    if holes != "fill":
        rings += [(hole, index, True) for index, part in enumerate(parts_found) for hole in part.holes]
    rings.sort(key=lambda ring: ring[0].area, reverse=True)  # so that a part precedes its holes
    outlines = Outlines([ring[0] for ring in rings], [ring[1] for ring in rings], [ring[2] for ring in rings])

    best = Polygons((), mask.shape[1], mask.shape[0], 0.0 if box is None else 1.0)
    for parts in _candidates(outlines, tolerance, max_points, bridge=holes == "bridge"):
        lost = _lost_iou(crop(mask, box), parts, box) if box else 0.0
        if best.parts and lost >= best.lost_iou:
            break
        best = Polygons(parts, best.width, best.height, lost)
    return best


def _require_options(tolerance: float, max_points: int | None, holes: str) -> None:
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise DataError(f"polygon tolerance is {tolerance!r}; give a number of pixels, 0 or more.")
    if max_points is not None and max_points < _SMALLEST_BUDGET:
        raise DataError(f"polygon point budget is {max_points!r}; give at least {_SMALLEST_BUDGET}.")
    if holes not in ("keep", "fill", "bridge"):
        raise DataError(f"polygon holes are {holes!r}; give keep, fill or bridge.")


def _candidates(
    outlines: Outlines, tolerance: float, max_points: int | None, *, bridge: bool
) -> Iterator[tuple[Polygon, ...]]:
    """Yield the parts within the budget: all rings if they fit, else the largest, ever fewer of them."""
    budget = math.inf if max_points is None else max_points

    def within(chosen: Outlines, rings: list[Ring]) -> _Parts | None:
        extra = bridges.POINTS * sum(chosen.is_hole) if bridge else 0
        if sum(map(len, rings)) + extra > budget:  # untangling only adds points
            return None
        rings = chosen.untangled(rings)
        if sum(map(len, rings)) + extra > budget:
            return None
        return _assembled(chosen, rings, bridge=bridge)

    count = len(outlines.outlines)
    most = count if max_points is None else max_points // _FEWEST_OF_A_RING
    if count <= most:
        parts = within(outlines, outlines.simplified(tolerance))
        if parts is not None:
            yield parts
            return
    count = min(count, most)
    coarse = max(tolerance, FINEST_COARSENING)
    while count:
        checkpoint()
        chosen = outlines.first(count)
        parts = coarsened(chosen, coarse, partial(within, chosen))
        if parts is not None:
            yield parts
        count //= 2


def _assembled(outlines: Outlines, rings: Sequence[Ring], *, bridge: bool) -> _Parts:
    """Return the polygons of the simplified ``rings``, largest first."""
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for part, is_hole, points in zip(outlines.parts, outlines.is_hole, rings, strict=True):
        if is_hole:
            holes.setdefault(part, []).append(points)
        else:
            exteriors[part] = points
    parts = (Polygon(exterior, tuple(holes.get(part, ()))) for part, exterior in exteriors.items())
    return tuple(part.bridged() if bridge else part for part in parts)


def _lost_iou(wanted: Mask, parts: Sequence[Polygon], box: Box) -> float:
    """Return 1 - intersection over union of ``wanted``, the mask in ``box``, and the polygons."""
    drawn = _drawn(parts, box)
    return 1 - int(np.count_nonzero(wanted & drawn)) / int(np.count_nonzero(wanted | drawn))


def _drawn(parts: Iterable[Polygon], box: Box) -> Mask:
    """Return (box.height, box.width) bool: the pixels of ``box`` inside any of ``parts``."""
    drawn = np.zeros((box.height, box.width), bool)
    corner = np.array((box.x1, box.y1))
    size = np.array((box.width, box.height))
    for part in parts:
        left, top = np.floor(part.exterior.min(axis=0) - corner).clip(0, size - 1).astype(int).tolist()
        right, bottom = np.ceil(part.exterior.max(axis=0) - corner).clip(0, size - 1).astype(int).tolist()
        window = Box(left, top, right, bottom)
        crop(drawn, window)[:] |= rasterise([ring - corner for ring in (part.exterior, *part.holes)], window)
    return drawn


def from_polygons(polygons: Iterable[Polygon], width: int, height: int) -> Mask:
    """Return the (height, width) bool mask of all pixels whose centre is inside any polygon.

    Args:
        polygons: a Polygons, or any Polygon objects; points outside the image are allowed.
        width, height: of the mask, pixels.

    Raises:
        DataError: if a coordinate is not a finite number, or a ring has fewer than 3 points.

    >>> from_polygons([Polygon(np.array([[0, 0], [2.0, 0], [2, 1], [0, 1]]))], 3, 2).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    width, height = require_size(width, height)
    parts = list(polygons)
    for ring in (ring for part in parts for ring in (part.exterior, *part.holes)):
        if (
            ring.ndim != 2
            or ring.shape[1] != 2
            or len(ring) < _FEWEST_OF_A_RING
            or not (np.abs(ring) < _FARTHEST).all()
        ):
            raise DataError(
                f"a ring of shape {ring.shape} cannot be drawn; give (N, 2) numbers below 1e12, N >= 3."
            )
    with reserved(width * height, f"a mask of {width} x {height} pixels"):
        return _drawn(parts, Box(0, 0, width - 1, height - 1))
