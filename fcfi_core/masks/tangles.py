"""Which rings cross or touch themselves or one another: what polygon libraries call invalid.

Thinning an outline may draw a line across its neighbour, or a hole out of its part. Here that is found;
:mod:`fcfi_core.masks.simplification` mends it. Touching counts as crossing: the result is stricter than the
rules of "simple features", under which a hole may touch its exterior in one point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint

Ring = NDArray[np.float64]

_PAIRS = 1 << 20
"""Pairs of segments that are looked at together."""
_MOST_TURNS = 200
_SLACK = 1e-7
"""Areas below this count as none: coordinates are multiples of small fractions of a pixel."""


def tangled(rings: Sequence[Ring], parts: Sequence[int], is_hole: Sequence[bool]) -> dict[int, set[int]]:
    """Return where rings are not simple, meet another one of their part, or lie outside it.

    Args:
        rings: (N, 2) closed paths (x, y).
        parts: number of the part that each belongs to; rings of different parts may overlap.
        is_hole: whether each is a hole; a part has one ring that is none.

    Returns:
        For each such ring, by its index, the segments concerned, by the number of the point they begin at.
    """
    found: dict[int, set[int]] = {}
    if not rings:
        return found
    for owners, places in _meeting(rings, np.asarray(parts)):
        for owner, place in zip(owners.tolist(), places.tolist(), strict=True):
            found.setdefault(owner, set()).add(place)
    exteriors = {part: index for index, part in enumerate(parts) if not is_hole[index]}
    for index, (part, hole) in enumerate(zip(parts, is_hole, strict=True)):
        outer = exteriors[part]
        if hole and index not in found and not _within(rings[index][0], rings[outer]):
            found[index], found[outer] = set(range(len(rings[index]))), set(range(len(rings[outer])))
    return found


def uncrossed(ring: Ring) -> Ring:
    """Return the closed path with the same points in an order in which no two segments cross.

    Of a figure eight one half is turned round: what it encloses stays nearly the same. The path is found by
    turning round what lies between two crossing segments, which makes it shorter every time.
    """
    for _ in range(_MOST_TURNS):
        checkpoint()
        a, b = ring, np.roll(ring, -1, axis=0)
        first, second = np.triu_indices(len(ring), 2)
        low, high = np.minimum(a, b), np.maximum(a, b)
        near = ((low[first] <= high[second]) & (low[second] <= high[first])).all(axis=1)
        first, second = first[near], second[near]
        found = np.flatnonzero(_cross_properly(a[first], b[first], a[second], b[second]))
        if not found.size:
            break
        start, end = int(first[found[0]]) + 1, int(second[found[0]]) + 1
        ring = np.concatenate((ring[:start], ring[start:end][::-1], ring[end:]))
    return ring


def crosses(start: NDArray[np.float64], end: NDArray[np.float64], rings: Sequence[Ring]) -> bool:
    """Return whether the segment between two points meets any of ``rings``; its very ends do not count."""
    a = np.concatenate(rings)
    b = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    inset = (end - start) * 1e-3
    one, other = np.broadcast_to(start + inset, a.shape), np.broadcast_to(end - inset, a.shape)
    return bool(_intersect(one, other, a, b).any())


def _meeting(
    rings: Sequence[Ring], parts: NDArray[np.int_]
) -> Iterator[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Yield the ring indices, and the places in them, of segments that meet another one of their part."""
    sizes = np.array([len(ring) for ring in rings])
    a = np.concatenate(rings)
    b = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    owner = np.repeat(np.arange(len(rings)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.argsort(low[:, 0], kind="stable")
    # Of the segments sorted by their left ends, those from first to last begin before the first one ends.
    last = np.searchsorted(low[order, 0], high[order, 0], side="right")
    counts = last - np.arange(len(order)) - 1
    for chunk in _chunks(counts):
        checkpoint()
        here = np.repeat(chunk, counts[chunk])
        steps = np.arange(here.size) - np.repeat(np.cumsum(counts[chunk]) - counts[chunk], counts[chunk])
        i, j = order[here], order[here + 1 + steps]
        near = (parts[owner[i]] == parts[owner[j]]) & (low[i, 1] <= high[j, 1]) & (low[j, 1] <= high[i, 1])
        i, j = i[near], j[near]
        same = owner[i] == owner[j]
        forward = same & ((place[i] + 1) % sizes[owner[i]] == place[j])
        backward = same & ((place[j] + 1) % sizes[owner[j]] == place[i])
        i, j = np.where(backward, j, i), np.where(backward, i, j)
        beside = forward | backward
        meet = np.where(beside, _turn_back(a[i], b[i], b[j]), _intersect(a[i], b[i], a[j], b[j]))
        both = np.concatenate((i[meet], j[meet]))
        yield owner[both], place[both]


def _chunks(counts: NDArray[np.int_]) -> Iterator[NDArray[np.int_]]:
    """Yield runs of indices whose counts together are about :data:`_PAIRS`."""
    edges = np.flatnonzero(np.diff(np.cumsum(counts) // _PAIRS)) + 1
    yield from np.split(np.arange(len(counts)), edges)


def _turn_back(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where the path a-b-c comes back along the line it went, or stands still."""
    ahead, after = b - a, c - b
    back: NDArray[np.bool_] = (ahead * after).sum(axis=1) <= _SLACK
    return back & (np.abs(_cross(ahead, after)) <= _SLACK)


def _intersect(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return where the segments a-b and c-d have a point in common; all are (N, 2)."""
    sides = [_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)]
    found = _cross_properly(a, b, c, d)
    for side, start, end, point in zip(sides, (a, a, c, c), (b, b, d, d), (c, d, a, b), strict=True):
        found |= (side == 0) & _spans(start, end, point)
    return found


def _cross_properly(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return where the segments a-b and c-d cross between their ends."""
    apart: NDArray[np.bool_] = _side(a, b, c) * _side(a, b, d) < 0
    return apart & (_side(c, d, a) * _side(c, d, b) < 0)


def _side(
    start: NDArray[np.float64], end: NDArray[np.float64], point: NDArray[np.float64]
) -> NDArray[np.float64]:
    area = _cross(end - start, point - start)
    return np.where(np.abs(area) <= _SLACK, 0.0, np.sign(area))


def _spans(
    start: NDArray[np.float64], end: NDArray[np.float64], point: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return where ``point`` lies in the rectangle around the segment."""
    low, high = np.minimum(start, end) - _SLACK, np.maximum(start, end) + _SLACK
    inside: NDArray[np.bool_] = (low[:, 0] <= point[:, 0]) & (point[:, 0] <= high[:, 0])
    return inside & (low[:, 1] <= point[:, 1]) & (point[:, 1] <= high[:, 1])


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    return product


def _within(point: NDArray[np.float64], ring: Ring) -> bool:
    """Return whether ``point`` lies within ``ring``: an odd number of its segments is left of it."""
    start, end = ring, np.roll(ring, -1, axis=0)
    spans = (start[:, 1] <= point[1]) != (end[:, 1] <= point[1])
    start, end = start[spans], end[spans]
    share = (point[1] - start[:, 1]) / (end[:, 1] - start[:, 1])
    return bool(np.count_nonzero(start[:, 0] + share * (end[:, 0] - start[:, 0]) < point[0]) % 2)
