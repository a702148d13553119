"""A part with holes as one ring, for formats that know nothing else, as COCO.

Each hole is opened towards what lies above it by an upright slit, a tenth of a pixel wide, between the
centres of pixels: no pixel is lost, and the ring neither crosses nor touches itself. A cut of no width, as it
is often done, is a ring that runs twice along one line, which polygon libraries refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint
from fcfi_core.masks.tangles import crosses

Ring = NDArray[np.float64]

POINTS = 4
"""So many points does a slit add: two where it leaves the hole, two where it arrives."""

_LEFT, _RIGHT = 0.25, 0.35
"""Where in a column of pixels the slit is: their centres are at 0.5, corners of exact outlines at 0."""

_COLUMNS = 24
"""Columns that are tried for a hole."""


def bridged(exterior: Ring, holes: Sequence[Ring]) -> Ring:
    """Return one ring around the part without its holes, clockwise like ``exterior``.

    A hole that no slit reaches (there is none in outlines of pixels) is filled.

    Args:
        exterior: (N, 2) clockwise as seen on screen.
        holes: counter-clockwise, inside it, apart from it and from each other.
    """
    ring = exterior
    waiting = sorted(holes, key=lambda hole: float(hole[:, 1].min()))
    for number, hole in enumerate(waiting):
        checkpoint()
        others = waiting[number + 1 :]
        for x in _columns(hole):
            if (joined := _joined(ring, hole, x, others)) is not None:
                ring = joined
                break
    return ring


def _columns(hole: Ring) -> Iterator[float]:
    """Yield the left sides of the columns of pixels to try: below the highest point first."""
    top = hole[np.argmin(hole[:, 1]), 0]
    first, last = np.floor(hole[:, 0].min()), np.floor(hole[:, 0].max())
    columns = np.arange(first, last + 1)
    nearest = np.argsort(np.abs(columns + 0.3 - top), kind="stable")
    yield from columns[nearest[:_COLUMNS]].tolist()


def _joined(ring: Ring, hole: Ring, column: float, others: Sequence[Ring]) -> Ring | None:
    """Return ``ring`` and ``hole`` as one, joined by a slit in a column; None if it would cross anything."""
    left, right = column + _LEFT, column + _RIGHT
    # Seen from below: the slit leaves the ring on its way to the right, and the hole on its way to the left.
    entrance, exit_ = _highest(hole, left), _highest(hole, right)
    if entrance is None or exit_ is None:
        return None
    down, up = _above(ring, left, entrance[1]), _above(ring, right, exit_[1])
    if down is None or up is None:
        return None
    (enter, y_enter), (leave, y_leave) = entrance, exit_
    (out, y_out), (back, y_back) = down, up
    around = _between(hole, enter, leave)
    rest = _between(ring, back, out)
    slit = np.array(((left, y_out), (left, y_enter), (right, y_leave), (right, y_back)))
    obstacles = [ring, hole, *others]
    if crosses(slit[0], slit[1], obstacles) or crosses(slit[2], slit[3], obstacles):
        return None
    joined = np.concatenate((rest, slit[:2], around, slit[2:]))
    if abs(_area(joined) - _area(ring) - _area(hole)) > 1 + (abs(y_out - y_enter) + abs(y_back - y_leave)):
        return None  # the slit cut off a piece that was more than itself
    return joined


def _highest(ring: Ring, x: float) -> tuple[int, float] | None:
    """Return the segment, and y, where the upright line at ``x`` meets ``ring`` first from above."""
    index, y = _crossings(ring, x)
    if not index.size:
        return None
    first = int(np.argmin(y))
    return int(index[first]), float(y[first])


def _above(ring: Ring, x: float, below: float) -> tuple[int, float] | None:
    """Return the segment, and y, where the upright line meets ``ring`` last above ``below``."""
    index, y = _crossings(ring, x)
    above = y < below
    if not above.any():
        return None
    last = int(np.argmax(np.where(above, y, -np.inf)))
    return int(index[last]), float(y[last])


def _crossings(ring: Ring, x: float) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    start, end = ring, np.roll(ring, -1, axis=0)
    index = np.flatnonzero((start[:, 0] < x) != (end[:, 0] < x))
    start, end = start[index], end[index]
    share = (x - start[:, 0]) / (end[:, 0] - start[:, 0])
    return index, start[:, 1] + share * (end[:, 1] - start[:, 1])


def _between(ring: Ring, after: int, until: int) -> Ring:
    """Return the points of ``ring`` from the end of the segment ``after`` to the start of ``until``."""
    if after == until:  # both ends of the slit are on one segment: all points, from its end to its start
        return np.roll(ring, -(after + 1), axis=0)
    count = (until - after) % len(ring)
    return np.roll(ring, -(after + 1), axis=0)[:count]


def _area(ring: Ring) -> float:
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2
