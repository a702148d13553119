"""Masks of one image that may not overlap: each pixel belongs to one object at most.

Where nothing better is known the smaller object lies in front, and of equally large ones the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import Mask, box_of, crop

Likelihood = Callable[[int, Box], NDArray[np.float32]]
"""(number of the object, part of the image) -> how likely each pixel of the part belongs to it, 0..1."""

_WITHIN = 0.8
"""Share of a mask that lies in a larger one, from which it lies in front of it."""


def partition(masks: Sequence[Mask], likelihood: Likelihood) -> tuple[Mask, ...]:
    """Return ``masks`` without overlaps: a disputed pixel goes to the likeliest object.

    But what lies nearly all within a larger object lies in front of it, as a spoon on a plate: whoever asks
    for it does so to set it apart. At equal likelihood a pixel goes to the smaller object.

    Args:
        masks: (H, W) bool each, of one size.
        likelihood: asked only for parts where two masks meet.

    >>> left, right = np.array([[True, True, False]]), np.array([[False, True, True]])
    >>> parts = partition([left, right], lambda number, part: np.full((1, 1), (0.6, 0.9)[number]))
    >>> [part.astype(int).tolist() for part in parts]
    [[[1, 0, 0]], [[0, 1, 1]]]
    """
    boxes = [box_of(mask) for mask in masks]
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    depths = _depths(masks, boxes, areas)
    parts = list(masks)
    for one in range(len(masks)):
        for other in range(one + 1, len(masks)):
            shared = _shared(boxes[one], boxes[other])
            if shared is None:
                continue
            disputed = crop(masks[one], shared) & crop(masks[other], shared)
            if not disputed.any():
                continue
            mine = likelihood(one, shared) + np.float32(depths[one])
            theirs = likelihood(other, shared) + np.float32(depths[other])
            other_wins = (theirs > mine) | ((theirs == mine) & (areas[other] < areas[one]))
            for number, lost in ((one, disputed & other_wins), (other, disputed & ~other_wins)):
                if parts[number] is masks[number]:
                    parts[number] = masks[number].copy()
                crop(parts[number], shared)[lost] = False
    return tuple(parts)


def beside(mask: Mask, finished: Iterable[Mask], clicks: Iterable[Click] = ()) -> Mask:
    """Return ``mask`` without the pixels of masks that a person has finished already.

    A finished mask keeps its pixels, with two exceptions. A disputed part in which a positive click lies was
    asked for: it stays. And a mask of which more than half lies in a finished one keeps that half: it is a
    thing in front of the other, or a part of it.

    Args:
        mask: (H, W) bool.
        finished: masks of the same size, one at a time.
        clicks: those that ``mask`` answers.

    >>> mask, table = np.array([[True, True, True, False]]), np.array([[False, False, True, True]])
    >>> beside(mask, [table]).astype(int), beside(mask, [table], [Click(2, 0)]).astype(int)
    (array([[1, 1, 0, 0]]), array([[1, 1, 1, 0]]))
    """
    box = box_of(mask)
    if box is None:
        return mask
    wanted = [
        click
        for click in clicks
        if click.positive and box.x1 <= click.x <= box.x2 and box.y1 <= click.y <= box.y2
    ]
    mine, left = crop(mask, box), crop(mask, box).copy()
    area = int(np.count_nonzero(mine))
    for other in finished:
        disputed = mine & crop(other, box)
        if not 0 < 2 * int(np.count_nonzero(disputed)) <= area:
            continue
        if wanted:
            parts = cv2.connectedComponents(disputed.view(np.uint8), connectivity=8)[1]
            asked = {int(parts[click.y - box.y1, click.x - box.x1]) for click in wanted} - {0}
            disputed &= ~np.isin(parts, list(asked))
        left &= ~disputed
    cut = np.zeros_like(mask)
    crop(cut, box)[:] = left
    return cut


class Overlaid:
    """Masks laid over each other one by one, as numbers of objects.

    Args:
        shape: (height, width) of the masks.

    Attributes:
        numbers: (height, width) int32, 0 where there is no object, 1..n in the order they were added.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.numbers: NDArray[np.int32] = np.zeros(shape, np.int32)
        self._areas = [np.inf]

    def add(self, mask: Mask | None) -> None:
        """Add ``mask`` (H, W) bool as the next number; None: the number of an object without a mask.

        Raises:
            DataError: if it is of another size.
        """
        if mask is not None and mask.shape != self.numbers.shape:
            raise DataError(f"a mask of {mask.shape} among {self.numbers.shape}; give masks of one size.")
        box = None if mask is None else box_of(mask)
        area = 0 if mask is None else int(np.count_nonzero(mask))
        if mask is not None and box is not None:
            part = crop(self.numbers, box)
            part[crop(mask, box) & (np.array(self._areas)[part] > area)] = len(self._areas)
        self._areas.append(area)


def _depths(masks: Sequence[Mask], boxes: Sequence[Box | None], areas: Sequence[int]) -> list[int]:
    """Return of each mask within how many larger ones it nearly all lies."""
    depths = [0] * len(masks)
    for inner, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
        for outer, other in enumerate(masks):
            shared = _shared(box, boxes[outer]) if areas[outer] > areas[inner] else None
            if shared is not None:
                within = int(np.count_nonzero(crop(mask, shared) & crop(other, shared)))
                depths[inner] += within >= _WITHIN * areas[inner]
    return depths


def _shared(one: Box | None, other: Box | None) -> Box | None:
    """Return the part of the image that lies in both boxes, or None."""
    if one is None or other is None:
        return None
    x1, y1 = max(one.x1, other.x1), max(one.y1, other.y1)
    x2, y2 = min(one.x2, other.x2), min(one.y2, other.y2)
    return Box(x1, y1, x2, y2) if x1 <= x2 and y1 <= y2 else None
