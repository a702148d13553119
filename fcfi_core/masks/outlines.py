"""The exact outlines of a mask: closed paths along pixel edges.

Every vertex where the boundary turns is a *corner*. Along each line between pixel rows the corners
pair up to horizontal edges, along each line between columns to vertical ones; following the edges
with the object on the right yields the paths. Where two pixels touch only diagonally, two paths pass
through one vertex; they turn so that the pixels stay connected.

All corners are found and paired by whole-array operations; only the walk is a loop, with one step
per corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box
from fcfi_core.masks.changes import changes_down, framed
from fcfi_core.masks.extent import Mask, box_of, crop

Corners = NDArray[np.int32]

# The four pixels around a vertex as bits: 1 upper left, 2 upper right, 4 lower left, 8 lower right.
# The path leaves these corners sideways, all others up or down.
_LEAVES_SIDEWAYS = np.isin(np.arange(16), (1, 8, 13, 11, 9))
_RISING, _FALLING = 6, 9  # two diagonal pixels: / and \\
PINCH = 0.125
"""Pixels by which a path keeps away from a vertex between two pixels that touch diagonally."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A closed path around a part or a hole.

    Attributes:
        path: (N, 2) int32 corners (x, y), beginning with the leftmost of the topmost: the pixel of that
            name belongs to the part, or to the hole. Clockwise as seen on screen around a part,
            counter-clockwise around a hole.
        pinched: (N,) bool, the corners where two pixels touch only diagonally: another corner, of this
            path or of another one of the part, lies there too.
        area: pixels that the path encloses.
        holes: of a part, largest first.
    """

    path: Corners
    pinched: NDArray[np.bool_]
    area: float
    holes: tuple[Outline, ...] = ()

    def opened(self) -> NDArray[np.float64]:
        """Return the path, (N, 2) float64, that meets neither itself nor another path of the part.

        Where pixels touch diagonally it keeps :data:`PINCH` away from the vertex on both sides, so that
        they hang together by a neck.
        """
        path = self.path.astype(np.float64)
        if not self.pinched.any():
            return path
        coming = np.sign(path - np.roll(path, 1, axis=0))
        going = np.sign(np.roll(path, -1, axis=0) - path)
        path += PINCH * self.pinched[:, None] * (going - coming)
        return path


def trace(mask: Mask, within: Box | None = None) -> list[Outline]:
    """Return the parts of ``mask`` (H, W) bool, largest first (equal ones in reading order).

    Args:
        mask: (H, W) bool.
        within: a box that is known to hold all of it; None: it may be anywhere.
    """
    box = within or box_of(mask)
    if box is None:
        return []
    pixels = crop(mask, box).view(np.uint8)
    paths, pinched, areas = _paths(pixels)
    largest_first = np.argsort(-np.abs(areas), kind="stable").tolist()
    exteriors = [index for index in largest_first if areas[index] > 0]
    holes = [index for index in largest_first if areas[index] < 0]
    owners = _owners(pixels, [paths[index] for index in exteriors], [paths[index] for index in holes])
    corner = np.array((box.x1, box.y1), np.int32)
    owned: list[list[Outline]] = [[] for _ in exteriors]
    for index, owner in zip(holes, owners, strict=True):
        owned[owner].append(Outline(paths[index] + corner, pinched[index], -areas[index]))
    return [
        Outline(paths[index] + corner, pinched[index], areas[index], tuple(inner))
        for index, inner in zip(exteriors, owned, strict=True)
    ]


def _owners(pixels: NDArray[np.uint8], exteriors: list[Corners], holes: list[Corners]) -> list[int]:
    """Return for each of ``holes`` the index of the exterior of the part that it lies in."""
    if len(exteriors) == 1 or not holes:
        return [0] * len(holes)
    labels = cv2.connectedComponents(pixels, connectivity=8)[1]
    index_of = {int(labels[y, x]): index for index, (x, y) in enumerate(path[0] for path in exteriors)}
    # The pixel above the first one of a hole belongs to the part.
    return [index_of[int(labels[y - 1, x])] for x, y in (path[0] for path in holes)]


def encloses(outline: Outline, x: int, y: int) -> bool:
    """Return whether the pixel (x, y) lies within: an odd number of upright edges is left of it."""
    start, end = outline.path, np.roll(outline.path, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    crossed = (start[:, 0] <= x) & (low <= y) & (y < high)
    return bool(np.count_nonzero(crossed) % 2)


def _paths(
    pixels: NDArray[np.uint8],
) -> tuple[list[Corners], list[NDArray[np.bool_]], list[float]]:
    """Return all closed paths around (h, w) uint8 0/1, their pinched corners, and their areas.

    Areas are below 0 for holes. All are in reading order of the paths' first corners.
    """
    x, y, pinched, following = _corners(framed(pixels))
    successor: list[int] = following.tolist()
    order: list[int] = []
    starts: list[int] = []
    seen = bytearray(len(successor))
    for first in range(len(successor)):
        if seen[first]:
            continue
        starts.append(len(order))
        node = first
        while not seen[node]:
            seen[node] = 1
            order.append(node)
            node = successor[node]
    # Along an edge to the right the area above it is taken away, along one to the left it is added.
    strips = y * (x - x[following])
    areas: list[float] = np.add.reduceat(strips[order], starts).astype(np.float64).tolist()
    vertices = np.stack((x, y), axis=1).astype(np.int32)[order]
    return np.split(vertices, starts[1:]), np.split(pinched[order], starts[1:]), areas


def _corners(
    padded: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return x, y of the corners in reading order, whether pixels touch diagonally there, and for each the
    index of the next on its path.

    Args:
        padded: (h + 2, w + 2) uint8 0/1 with a rim of 0.
    """
    y, x = np.divmod(_turns(padded), padded.shape[1] - 1)
    around = (
        padded[y, x]
        | padded[y, x + 1] << 1
        | padded[y + 1, x] << 2
        | padded[y + 1, x + 1] << 3
    )  # fmt: skip
    # A diagonal vertex is two corners: one whose sideways edge goes left, one whose goes right.
    twice = np.where((around == _RISING) | (around == _FALLING), 2, 1)
    first = np.cumsum(twice) - twice
    x, y, around = np.repeat(x, twice), np.repeat(y, twice), np.repeat(around, twice)
    goes_right = np.zeros(x.size, np.int64)
    goes_right[first[twice == 2] + 1] = 1

    # Sideways, corners pair up in reading order; upright, in column order. To keep the two pixels of
    # a diagonal connected, the corner with the right edge takes the upper one of \ and the lower of /.
    goes_down = np.where(around == _FALLING, 1 - goes_right, goes_right)
    by_column = np.lexsort((goes_down, y, x))
    partner = np.arange(x.size) ^ 1
    upright_partner = np.empty_like(partner)
    upright_partner[by_column] = by_column[partner]
    diagonal = (around == _RISING) | (around == _FALLING)
    return x, y, diagonal, np.where(_LEAVES_SIDEWAYS[around], partner, upright_partner)


def _turns(padded: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the flat indices of the vertices between (h + 2, w + 2) pixels where an outline turns.

    Where it does, a pixel differs from the one above it: most of a mask is told apart by whole words.
    """
    width = padded.shape[1] - 1
    y, x = changes_down(padded)
    # The vertices left and right of each such pixel, in reading order; those between two of them come twice.
    flat = np.stack((y * width + x - 1, y * width + x), axis=1).ravel()
    flat = flat[np.append(True, flat[1:] != flat[:-1])[: flat.size]]
    y, x = np.divmod(flat, width)
    left_above, right_above = padded[y, x], padded[y, x + 1]
    left_below, right_below = padded[y + 1, x], padded[y + 1, x + 1]
    above, below = left_above ^ right_above, left_below ^ right_below
    diagonal = above & below & (left_above ^ left_below)
    turns: NDArray[np.int64] = flat[((above ^ below) | diagonal).view(np.bool_)]
    return turns
