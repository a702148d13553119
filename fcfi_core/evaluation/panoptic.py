"""Panoptic quality: are the objects of a photo told apart, and how well is each cut out?

As Kirillov et al. define it ("Panoptic Segmentation", CVPR 2019), for objects without classes: a segment
and a true object belong together where their intersection over union is above one half, which at most one
pair of each can be. Over all photos::

    PQ = sum of the IoU of pairs / (pairs + half the segments left over + half the objects left over)

PQ = SQ * RQ: the mean IoU of the pairs, and their F1 score. Ignored pixels count as the official
evaluation counts its unlabelled ones: they are taken out of a segment when the union is formed, and a
segment that lies in them by more than half is no mistake. Pixels of the background do count.

Segments do not overlap. Where masks do, the smaller one lies in front
(:class:`fcfi_core.masks.partition.Overlaid`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import DataError

BoolMask = NDArray[np.bool_]
Segments = NDArray[np.int32]
"""(H, W): 0 for background, 1..n for objects."""

_HALF = 0.5


@dataclass(frozen=True)
class PanopticQuality:
    """The counts of some photos; those of several sets of photos can be added.

    Args:
        iou: sum over the pairs.
        pairs: of a segment and its object.
        wrong: segments without an object.
        missed: objects without a segment.
    """

    iou: float = 0.0
    pairs: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: PanopticQuality) -> PanopticQuality:
        return PanopticQuality(
            self.iou + other.iou,
            self.pairs + other.pairs,
            self.wrong + other.wrong,
            self.missed + other.missed,
        )

    @property
    def pq(self) -> float:
        """Panoptic quality, 0..1; NaN without segments and objects."""
        return self.sq * self.rq if self.pairs else self.rq

    @property
    def sq(self) -> float:
        """Segmentation quality: mean IoU of the pairs, 0..1; NaN without any."""
        return self.iou / self.pairs if self.pairs else float("nan")

    @property
    def rq(self) -> float:
        """Recognition quality: the F1 score of the pairs, 0..1; NaN without segments and objects."""
        weight = self.pairs + _HALF * (self.wrong + self.missed)
        return self.pairs / weight if weight else float("nan")


def compared(prediction: Segments, truth: Segments, ignore: BoolMask | None = None) -> PanopticQuality:
    """Return the counts of one photo.

    Args:
        prediction, truth: of one size.
        ignore: (H, W) bool, pixels that count neither for nor against.

    >>> compared(np.array([[1, 1, 2, 2]], np.int32), np.array([[1, 1, 1, 0]], np.int32)).iou
    0.6666666666666666
    """
    if prediction.shape != truth.shape:
        raise DataError(f"the segments are {prediction.shape}, the truth {truth.shape}; give one size.")
    void = np.zeros(truth.shape, np.bool_) if ignore is None else ignore
    truth = np.where(void, 0, truth)
    count = int(truth.max(initial=0)) + 1
    pairs = prediction.astype(np.int64) * count + truth
    rows = int(prediction.max(initial=0)) + 1
    both = np.bincount(pairs.ravel(), minlength=rows * count).reshape(rows, count)
    in_void = np.bincount(prediction[void], minlength=rows)
    segment_areas, object_areas = both.sum(axis=1), both.sum(axis=0)
    union = segment_areas[:, None] - in_void[:, None] + object_areas[None] - both
    ious = np.where(union > 0, both / np.maximum(union, 1), 0.0)[1:, 1:]
    matched = ious > _HALF
    there = segment_areas[1:] > 0
    unmatched = there & ~matched.any(axis=1)
    excused = in_void[1:] > _HALF * segment_areas[1:]
    return PanopticQuality(
        float(ious[matched].sum()),
        int(np.count_nonzero(matched)),
        int(np.count_nonzero(unmatched & ~excused)),
        int(np.count_nonzero((object_areas[1:] > 0) & ~matched.any(axis=0))),
    )
