"""How good is each answer to a first click? What their shapes say of it, before anybody corrects them.

A network's probabilities tell where it sees an edge, not whether the thing within is what was meant: after
one click they promise more than they keep. What the answers look like tells more: how sure they are, how
large, how compact, whether other answers agree with them. A linear model, fitted on photos whose masks are
known (:mod:`fcfi_core.training.rating`) and kept in the header of the weights it was fitted to, makes of that
the expected intersection over union of each answer. So the likeliest one is given, and it is known how far
to trust it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.errors import SettingsError
from fcfi_core.masks import box_of

Numbers = NDArray[np.float64]

FEATURES = (
    "expected",
    "area",
    "inside",
    "undecided",
    "largest",
    "border",
    "compact",
    "filled",
    "extent",
    "eccentric",
    "depth",
)
"""What is said of a mask alone, in this order; its agreement with each of the answers follows."""

MARGIN = 0.03
"""By how much another answer must be worth more than the usual one to be given instead of it."""

RIDGE = 0.15
"""Strength of the regularisation, as a share of the number of clicks."""

_FARTHEST = 4.0
"""Deviations from the mean beyond which a number is taken for no farther: a line leads anywhere there."""

_CONSTANT = 1e-6
"""Deviation below which a number says nothing."""

_LEAST = 1e-4
"""Share of the frame that an empty mask counts as."""


@dataclass(frozen=True, eq=False)
class Rating:
    """A linear model from what all answers look like to what each is worth.

    Args:
        mean, deviation: (K * (F + K),) float64 of the numbers of :func:`described` on the photos it was
            fitted to, row by row.
        weights: (K * (F + K), K) float64, for numbers less their mean in units of their deviation.
        offset: (K,) float64.
    """

    mean: Numbers
    deviation: Numbers
    weights: Numbers
    offset: Numbers

    @classmethod
    def fitted(cls, descriptions: NDArray[np.float32], overlaps: Numbers) -> Rating:
        """Return the model with the least squares (ridge regression).

        Args:
            descriptions: (N, K, F + K) of N first clicks, as :func:`described` returns them.
            overlaps: (N, K) intersection over union of each answer with what was meant.
        """
        numbers = descriptions.reshape(len(descriptions), -1).astype(np.float64)
        mean, deviation = numbers.mean(axis=0), numbers.std(axis=0)
        deviation[deviation < _CONSTANT] = 1
        numbers, offset = _units(numbers, mean, deviation), overlaps.mean(axis=0)
        squares = numbers.T @ numbers + RIDGE * len(numbers) * np.eye(len(mean))
        return cls(mean, deviation, np.linalg.solve(squares, numbers.T @ (overlaps - offset)), offset)

    @classmethod
    def from_dict(cls, stated: object) -> Rating:
        """Return the model that :meth:`to_dict` wrote down.

        Raises:
            SettingsError: if it is none, or of other answers or features than these.
        """
        names = [field.name for field in fields(cls)]
        try:
            if not isinstance(stated, dict) or stated.get("features") != list(FEATURES):
                raise ValueError("it knows other features than this version; fit it again")
            found = cls(*(np.array(stated[name], np.float64) for name in names))
            count = len(found.offset)
            size = count * (len(FEATURES) + count)
            shapes = [getattr(found, name).shape for name in names]
            if shapes != [(size,), (size,), (size, count), (count,)]:
                raise ValueError(f"its parts have the shapes {shapes}")
            if (
                not all(np.isfinite(getattr(found, name)).all() for name in names)
                or (found.deviation <= 0).any()
            ):
                raise ValueError("it holds what is no number")
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"the rating cannot be used: {error}.") from None
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the header of a checkpoint."""
        parts = {field.name: np.round(getattr(self, field.name), 6).tolist() for field in fields(self)}
        return {"features": list(FEATURES), **parts}

    @property
    def count(self) -> int:
        """How many answers it rates."""
        return len(self.offset)

    def expected(self, descriptions: NDArray[np.float32]) -> Numbers:
        """Return the expected intersection over union of each answer to N first clicks, (N, K), 0..1.

        Args:
            descriptions: (N, K, F + K), see :func:`described`.
        """
        numbers = _units(descriptions.reshape(len(descriptions), -1), self.mean, self.deviation)
        expected: Numbers = np.clip(numbers @ self.weights + self.offset, 0, 1)
        return expected


def expected_overlap(view: Map, mask: NDArray[np.bool_]) -> float:
    """Return the intersection over union with the truth that the probabilities themselves promise, 0..1.

    If every pixel belongs to the object independently with its probability p, the mask M meets it in
    sum(p over M) pixels on average, and their union has the area of M and sum(p outside M) more. The
    quotient is 1 for a mask without doubt, falls with every doubtful pixel inside or outside, and is 0 for an
    empty mask.

    Args:
        view: (h, w) float32 probabilities.
        mask: (h, w) bool.
    """
    hits = float(view.sum(where=mask, dtype=np.float64))
    missed = float(view.sum(where=~mask, dtype=np.float64))
    area = float(mask.sum())
    return hits / (area + missed) if area else 0.0


def likeliest(confidences: Numbers) -> NDArray[np.int64]:
    """Return the index of the answer to give, of each row of ``confidences``, (N, K); the first is usual."""
    given: NDArray[np.int64] = np.argmax(confidences - MARGIN * (np.arange(confidences.shape[1]) > 0), axis=1)
    return given


def _units(numbers: NDArray[Any], mean: Numbers, deviation: Numbers) -> Numbers:
    """Return ``numbers`` less their ``mean`` in units of their ``deviation``, within reach."""
    units: Numbers = np.clip((numbers - mean) / deviation, -_FARTHEST, _FARTHEST)
    return units


def described(views: Sequence[Map], place: tuple[int, int], threshold: float) -> NDArray[np.float32]:
    """Return what the answers to a click look like.

    Args:
        views: (h, w) float32 probabilities of the usual answer and the others, in one frame.
        place: (row, column) of the click there.
        threshold: what belongs to a mask.

    Returns:
        (K, F + K) float32: for each answer its :data:`FEATURES`, and its intersection over union with each.
    """
    masks = [view > threshold for view in views]
    rows = [
        (*_alone(view, mask, place), *(_overlap(mask, other) for other in masks))
        for view, mask in zip(views, masks, strict=True)
    ]
    return np.array(rows, np.float32)


def _alone(view: Map, mask: NDArray[np.bool_], place: tuple[int, int]) -> tuple[float, ...]:
    """Return the :data:`FEATURES` of one mask with the click at ``place``, (row, column)."""
    box, area, pixels = box_of(mask), int(np.count_nonzero(mask)), mask.size
    if box is None:
        return (0, np.log(_LEAST), 0, 1, 0, 0, 0, 0, 0, 0, 0)
    small = mask.view(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(small, connectivity=8)
    depth = cv2.distanceTransform(small, cv2.DIST_L2, 3)
    edge = np.count_nonzero(cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    moments = cv2.moments(small, binaryImage=True)
    middle = moments["m01"] / moments["m00"], moments["m10"] / moments["m00"]
    border = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return (
        expected_overlap(view, mask),
        float(np.log(area / pixels + _LEAST)),
        float(view.mean(where=mask, dtype=np.float64)),
        min(cv2.countNonZero(cv2.inRange(view, 0.2, 0.8)) / area, 2.0),
        float(parts[1:, cv2.CC_STAT_AREA].max()) / area,
        float(border.mean()),
        float(np.sqrt(area) / (edge + 1)),
        area / (box.width * box.height),
        box.width * box.height / pixels,
        min(float(np.hypot(middle[0] - place[0], middle[1] - place[1]) / np.sqrt(area)), 3.0),
        float(depth[place]) / max(float(depth.max()), 1.0),
    )


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks, 1 if both are empty."""
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else 1.0
