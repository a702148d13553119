"""What a frame shows as the engine wants it: a batch of one view, or of the view and its mirror image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.clicks import Click
from fcfi_core.geometry import Frame


def of(view: Map, flip: bool) -> Map:
    """Return (1, h, w[, 3]), or with ``flip`` (2, h, w[, 3]): the view, and its mirror image."""
    return np.stack([view, view[:, ::-1]]) if flip else view[None]


def of_clicks(
    frame: Frame, clicks: Sequence[Click], flip: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ``points`` and ``new_points`` of the engine's call; the last click is the new one."""
    places = frame.apply_clicks(clicks)
    batch = [places]
    if flip:
        batch.append([(row, frame.width - 1 - column) for row, column in places])
    count = max(1, sum(click.positive for click in clicks), sum(not click.positive for click in clicks))
    points = np.full((len(batch), 2 * count, 3), -1, np.float32)
    for sample, sample_places in zip(points, batch, strict=True):
        used = {True: 0, False: count}
        for order, (click, place) in enumerate(zip(clicks, sample_places, strict=True)):
            sample[used[click.positive]] = (*place, order)
            used[click.positive] += 1
    # Truncated towards zero where the disks keep fractions: the official networks were trained so.
    label = int(clicks[-1].positive)
    newest = [[[int(row), int(column), label]] for row, column in (one[-1] for one in batch)]
    return points, np.array(newest, np.int64)


def averaged(maps: Map) -> Map:
    """Return (h, w): the only map of the batch, or the mean of the view's and the mirrored mirror's."""
    if len(maps) == 1:
        return np.asarray(maps[0])
    return np.asarray(np.float32(0.5) * (maps[0] + maps[1][:, ::-1]))


def sigmoid(logits: Map) -> Map:
    """Return the probabilities; written with tanh, which cannot overflow."""
    half = np.float32(0.5)
    return np.asarray(half * np.tanh(half * logits) + half)
