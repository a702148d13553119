"""Panoptic quality against hand-made values, and against the definition counted pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.errors import DataError
from fcfi_core.evaluation.panoptic import PanopticQuality, compared


def ids(*rows: str) -> np.ndarray:
    return np.array([[int(cell) for cell in row] for row in rows], np.int32)


def by_definition(prediction: np.ndarray, truth: np.ndarray, void: np.ndarray) -> PanopticQuality:
    """The rules of the paper and of the official evaluation, one pair after the other."""
    objects = [truth == number for number in np.unique(truth[~void]) if number]
    objects = [one & ~void for one in objects]
    found = [prediction == number for number in np.unique(prediction) if number]
    total, taken, hit = 0.0, set(), set()
    for one, segment in enumerate(found):
        for other, true in enumerate(objects):
            union = (segment & ~void).sum() + true.sum() - (segment & true).sum()
            iou = (segment & true).sum() / union
            if iou > 0.5:
                total += iou
                taken.add(one)
                hit.add(other)
    wrong = sum(
        (segment & void).sum() / segment.sum() <= 0.5
        for index, segment in enumerate(found)
        if index not in taken
    )
    return PanopticQuality(total, len(taken), int(wrong), len(objects) - len(hit))


def test_values_by_hand() -> None:
    truth = ids("1111000", "1111022", "0000022")
    prediction = ids("1110000", "1110022", "3000022")
    found = compared(prediction, truth)
    assert (found.pairs, found.wrong, found.missed) == (2, 1, 0)
    assert found.iou == pytest.approx(6 / 8 + 1)
    assert found.sq == pytest.approx(1.75 / 2)
    assert found.rq == pytest.approx(2 / 2.5)
    assert found.pq == pytest.approx(1.75 / 2.5)


def test_half_is_not_enough() -> None:
    found = compared(ids("1100"), ids("1000"))
    assert (found.pairs, found.wrong, found.missed, found.pq) == (0, 1, 1, 0.0)
    assert math.isnan(found.sq)


def test_ignored_pixels_shrink_the_union_and_excuse_a_segment() -> None:
    truth, void = ids("11000"), ids("00111").astype(bool)
    assert compared(ids("11110"), truth, void) == PanopticQuality(1.0, 1, 0, 0)
    assert compared(ids("11022"), truth, void) == PanopticQuality(1.0, 1, 0, 0)
    # One of two pixels ignored is not more than half.
    assert compared(ids("00022"), ids("11000"), ids("00010").astype(bool)) == PanopticQuality(0.0, 0, 1, 1)


def test_nothing_at_all() -> None:
    found = compared(ids("000"), ids("000"))
    assert found == PanopticQuality()
    assert math.isnan(found.pq)


@given(st.integers(0, 10_000), st.booleans())
def test_the_definition(seed: int, with_void: bool) -> None:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 4, (3, 4))
    truth = np.kron(coarse, np.ones((3, 3), int)).astype(np.int32)
    prediction = np.where(random.random(truth.shape) < 0.25, random.integers(0, 5, truth.shape), truth)
    void = (random.random(truth.shape) < 0.3) & with_void
    found, expected = (
        compared(prediction.astype(np.int32), truth, void),
        by_definition(prediction, truth, void),
    )
    assert found.iou == pytest.approx(expected.iou)
    assert (found.pairs, found.wrong, found.missed) == (expected.pairs, expected.wrong, expected.missed)


def test_masks_of_other_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="one size"):
        compared(ids("1"), ids("11"))
