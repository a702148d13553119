"""Masks as polygons with holes, within a tolerance and a point budget, and back.

Coordinates run along pixel edges: the polygon of the single pixel (3, 5) is the square from (3, 5)
to (4, 6), and a mask as large as its image gives the rectangle from (0, 0) to (W, H). With tolerance
0 and no budget, mask -> polygons -> mask is exact. Otherwise ``lost_iou`` tells the price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint, reserved
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import Mask, box_of, crop, require_mask, require_size
from fcfi_core.masks.outlines import Outline, trace
from fcfi_core.masks.rasterising import rasterise
from fcfi_core.masks.simplification import Ring, coarsened, simplified

Holes = Literal["keep", "fill", "bridge"]

_FEWEST_OF_A_RING = 3
_SMALLEST_BUDGET = 4  # one rectangle
_BRIDGE_POINTS = 2  # both ends of a bridge are visited twice


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

    @property
    def point_count(self) -> int:
        """Number of points of the exterior and all holes."""
        return len(self.exterior) + sum(len(hole) for hole in self.holes)

    def bridged(self) -> Polygon:
        """Return the same area without holes: each is joined to the exterior by a cut of no width.

        For formats that know a single ring per polygon (Label Studio, COCO, CVAT).
        """
        ring = self.exterior
        for hole in self.holes:
            distances = np.square(ring[:, None] - hole[None]).sum(axis=2)
            here, there = np.unravel_index(np.argmin(distances), distances.shape)
            around = np.roll(hole, -int(there), axis=0)
            ring = np.concatenate((ring[: here + 1], around, around[:1], ring[here:]))
        return Polygon(ring)


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

    def __iter__(self) -> Iterator[Polygon]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def point_count(self) -> int:
        """Number of points of all parts and holes."""
        return sum(part.point_count for part in self.parts)


def to_polygons(
    mask: Mask, tolerance: float = 1.0, max_points: int | None = 200, holes: Holes = "keep"
) -> Polygons:
    """Return the polygons of ``mask``.

    Every part survives as a polygon, thin ones simplified with more care than thick ones, unless the
    budget is too small: then outlines are coarsened together, or the smallest parts and holes given
    up, whichever loses less.

    Args:
        mask: (H, W) bool.
        tolerance: pixels by which outlines may move to save points; 0 follows every pixel edge.
        max_points: budget for all outlines together, at least 4; None for no limit.
        holes: "keep" them as rings of their own, "fill" them, or "bridge" them into the exterior (see
            :meth:`Polygon.bridged`).

    Raises:
        DataError: if ``mask`` is no mask or an option is out of range.

    >>> polygons = to_polygons(np.pad(np.ones((2, 3), bool), 1))
    >>> polygons.parts[0].exterior.tolist(), polygons.lost_iou
    ([[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]], 0.0)
    """
    mask = require_mask(mask)
    _require_options(tolerance, max_points, holes)
    box = box_of(mask)
    parts_found = trace(mask)
    rings = [_Ring(index, part, is_hole=False) for index, part in enumerate(parts_found)]
    if holes != "fill":
        rings += [_Ring(index, hole, True) for index, part in enumerate(parts_found) for hole in part.holes]
    rings.sort(key=lambda ring: ring.outline.area, reverse=True)

    best = Polygons((), mask.shape[1], mask.shape[0], 0.0 if box is None else 1.0)
    for parts in _candidates(rings, tolerance, max_points, bridge=holes == "bridge"):
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


class _Ring(NamedTuple):
    """An outline, and the index of the part that it belongs to."""

    part: int
    outline: Outline
    is_hole: bool


def _candidates(
    rings: Sequence[_Ring], tolerance: float, max_points: int | None, *, bridge: bool
) -> Iterator[tuple[Polygon, ...]]:
    """Yield the parts within the budget: all rings if they fit, else the largest, ever fewer of them.

    Args:
        rings: largest first, so that a part precedes its holes.
    """
    outlines = [ring.outline for ring in rings]

    def fits(simple: list[Ring]) -> bool:
        bridges = sum(ring.is_hole for ring in rings[: len(simple)]) if bridge else 0
        points = sum(len(ring) for ring in simple) + _BRIDGE_POINTS * bridges
        return max_points is None or points <= max_points

    most = len(rings) if max_points is None else max_points // _FEWEST_OF_A_RING
    if len(rings) <= most:
        simple = [_simplified(outline, tolerance) for outline in outlines]
        if fits(simple):
            yield _assembled(rings, simple, bridge=bridge)
            return
    count = min(len(rings), most)
    while count:
        checkpoint()
        found = coarsened(outlines[:count], tolerance, fits)
        if found is not None:
            yield _assembled(rings, found, bridge=bridge)
        count //= 2


def _simplified(outline: Outline, tolerance: float) -> Ring:
    checkpoint()
    return simplified(outline, tolerance)


def _assembled(rings: Sequence[_Ring], simple: Sequence[Ring], *, bridge: bool) -> tuple[Polygon, ...]:
    """Return the polygons of the first ``rings``, simplified, largest first."""
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for ring, points in zip(rings, simple, strict=False):
        if ring.is_hole:
            holes.setdefault(ring.part, []).append(points)
        else:
            exteriors[ring.part] = points
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
            or not np.isfinite(ring).all()
        ):
            raise DataError(
                f"a polygon ring of shape {ring.shape} cannot be drawn; give (N, 2) finite numbers, N >= 3."
            )
    with reserved(width * height, f"a mask of {width} x {height} pixels"):
        return _drawn(parts, Box(0, 0, width - 1, height - 1))
