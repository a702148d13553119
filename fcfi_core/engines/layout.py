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
    marks = [(*place, click.positive) for place, click in zip(places, clicks, strict=True)]
    batch = [marks]
    if flip:
        batch.append([(row, frame.width - 1 - column, positive) for row, column, positive in marks])
    return points_of(batch)


def points_of(
    batch: Sequence[Sequence[tuple[float, float, bool]]], most: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ``points`` and ``new_points`` of the engine's call for several lists of clicks.

    Args:
        batch: per sample its clicks as (row, column, positive) in order; the last is the new one.
        most: points kept of each sign, the newest ones; None: all.

    Returns:
        (B, 2N, 3) float32 rows (row, column, order), N positive then N negative, -1 where unused; and
        (B, 1, 3) int64 rows (row, column, label).
    """
    by_sign = [
        [
            [(row, column, order) for order, (row, column, positive) in enumerate(marks) if positive == sign]
            for sign in (True, False)
        ]
        for marks in batch
    ]
    count = max(1, *(len(clicks) for signs in by_sign for clicks in signs))
    count = count if most is None else min(count, most)
    points = np.full((len(batch), 2, count, 3), -1, np.float32)
    for sample, signs in zip(points, by_sign, strict=True):
        for rows, clicks in zip(sample, signs, strict=True):
            kept = clicks[-count:]
            if kept:
                rows[: len(kept)] = kept
    # Truncated towards zero where the disks keep fractions: the official networks were trained so.
    newest = [
        [[int(row), int(column), int(positive)]] for row, column, positive in (one[-1] for one in batch)
    ]
    return points.reshape(len(batch), 2 * count, 3), np.array(newest, np.int64)


def averaged(maps: Map) -> Map:
    """Return (h, w): the only map of the batch, or the mean of the view's and the mirrored mirror's."""
    if len(maps) == 1:
        return np.asarray(maps[0])
    return np.asarray(np.float32(0.5) * (maps[0] + maps[1][:, ::-1]))
