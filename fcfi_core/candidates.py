"""Which of them did you mean? Several answers to one click, from several looks at it.

A click on a cup may mean the cup, its handle or the whole table. The first pass of the network sees the whole
image and answers at one scale; looks at half and at a quarter of the image around the click answer at others.
Each look is a pass of its own with nothing known before, and keeps the part under the click alone; where that
goes on to the border of the look, further passes look further around. A network
that knows other answers by itself gives those instead of the look at half. The answers are ordered by size,
the largest first, and of nearly equal ones only one stays.

A positive click on nearly the same place as the first one asks for the next smaller answer, round and round
(:meth:`fcfi_core.prompt.Prompt.repetitions`). So a choice is made of clicks like everything else: it works
wherever clicks do, and undo takes it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core import rating
from fcfi_core.clicks import Click
from fcfi_core.rules import State

SHARES = (0.5, 0.25)
"""Sides of the further looks, as shares of the image's sides."""

SMALL = (0.25,)
"""... where the network has answers of its own: those see a small part no larger than the first pass did."""

FURTHER = 4
"""Most passes that go on from an answer which its look cut, each where the next click would look."""

SAME = 0.9
"""Intersection over union from which two answers count as one."""


def described(states: Sequence[State], click: Click, threshold: float) -> NDArray[np.float32]:
    """Return what answers from one look look like, see :func:`fcfi_core.rating.described`."""
    frame = states[0].frame
    ((row, column),) = frame.apply_clicks([click])
    place = min(int(row), frame.height - 1), min(int(column), frame.width - 1)
    return rating.described([state.probability for state in states], place, threshold)


def part_under(state: State, click: Click, threshold: float) -> State:
    """Return ``state`` with nothing above ``threshold`` but the part that ``click`` lies in.

    Without such a part it stays as it is.
    """
    inside = (state.probability > threshold).astype(np.uint8)
    _, labels = cv2.connectedComponents(inside, connectivity=8)
    ((row, column),) = state.frame.apply_clicks([click])
    label = labels[min(int(row), labels.shape[0] - 1), min(int(column), labels.shape[1] - 1)]
    if label == 0:
        return state
    others = (labels > 0) & (labels != label)
    if not others.any():
        return state
    probability = np.where(others, np.float32(0), state.probability)
    probability.flags.writeable = False
    return replace(state, probability=probability, corrected=probability, fused=probability)


def is_cut(state: State, size: tuple[int, int], threshold: float) -> bool:
    """Return whether the mask of ``state`` goes on to where the look ended, inside the image.

    It then ends in a straight line that is not the object's.

    Args:
        size: (height, width) of the image, pixels.
        threshold: what belongs to the mask.
    """
    inside, region = state.probability > threshold, state.frame.region
    sides = (
        (region.top > 0, inside[0]),
        (region.left > 0, inside[:, 0]),
        (region.bottom < size[0] - 1, inside[-1]),
        (region.right < size[1] - 1, inside[:, -1]),
    )
    return any(within and bool(side.any()) for within, side in sides)


def distinct(states: Sequence[State], threshold: float) -> tuple[int, ...]:
    """Return the indices of those ``states`` that are answers of their own, the largest mask first.

    Of nearly equal ones the first in ``states`` stays; an empty one is no answer, unless it is the first.
    """
    areas = [_area(state, threshold) for state in states]
    kept: list[int] = []
    for index, state in enumerate(states):
        if index and not areas[index]:
            continue
        if all(_agreement(states[other], state, threshold) < SAME for other in kept):
            kept.append(index)
    return tuple(sorted(kept, key=lambda index: (-areas[index], index)))


def _area(state: State, threshold: float) -> float:
    """Return the pixels of the image that the mask of ``state`` covers, about."""
    region, frame = state.frame.region, state.frame
    pixel = region.height * region.width / (frame.height * frame.width)
    return float((state.probability > threshold).sum()) * pixel


def _agreement(one: State, other: State, threshold: float) -> float:
    """Return the intersection over union of two masks, measured in the finer frame."""
    fine, coarse = sorted((one, other), key=lambda state: state.frame.scale, reverse=True)
    shown = coarse.frame.moved(coarse.probability, fine.frame) > threshold
    pixel = fine.frame.region.height * fine.frame.region.width / (fine.frame.height * fine.frame.width)
    shared = float((shown & (fine.probability > threshold)).sum()) * pixel
    union = _area(one, threshold) + _area(other, threshold) - shared
    return shared / union if union else 1.0
