from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core.errors import DataError
from fcfi_core.evaluation import metrics

masks = arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30)))


def square(y1: int, x1: int, y2: int, x2: int) -> np.ndarray:
    mask = np.zeros((60, 80), np.bool_)
    mask[y1:y2, x1:x2] = True
    return mask


def test_iou_of_shifted_squares_and_of_nothing() -> None:
    assert metrics.iou(square(0, 0, 10, 10), square(0, 5, 10, 15)) == pytest.approx(1 / 3)
    assert math.isnan(metrics.iou(square(0, 0, 0, 0), square(0, 0, 0, 0)))


def test_ignored_pixels_count_neither_way() -> None:
    prediction, truth = square(0, 0, 10, 10), square(0, 0, 10, 5)
    assert metrics.iou(prediction, truth, square(0, 5, 10, 10)) == 1.0
    assert metrics.boundary_iou(prediction, truth, square(0, 5, 10, 10)) == 1.0
    assert metrics.surface_distance(prediction, truth, square(0, 5, 10, 10)) == 0.0


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_overlap_properties(data: st.DataObject) -> None:
    a = data.draw(masks)
    b, ignore = (data.draw(arrays(np.bool_, a.shape)) for _ in range(2))
    for measure in (metrics.iou, metrics.boundary_iou):
        value = measure(a, b)
        assert math.isnan(value) or 0 <= value <= 1
        assert value == measure(b, a) or math.isnan(value)
        assert math.isnan(measure(a, a)) or measure(a, a) == 1
    zeroed = metrics.iou(a & ~ignore, b & ~ignore)
    assert metrics.iou(a, b, ignore) == pytest.approx(zeroed, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_official_boundary_iou_by_its_definition(data: st.DataObject) -> None:
    values = data.draw(
        arrays(np.int8, st.tuples(st.integers(2, 30), st.integers(2, 30)), elements=st.integers(-1, 1))
    )
    prediction = data.draw(arrays(np.bool_, values.shape))
    width = max(1, round(0.02 * math.hypot(*values.shape)))

    def band(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask.astype(np.uint8), 1)
        return mask.astype(np.uint8) - cv2.erode(padded, np.ones((3, 3)), iterations=width)[1:-1, 1:-1]

    truth_band, our_band = band(values), band(prediction) > 0
    counted = truth_band != 255
    union = ((our_band | (truth_band == 1)) & counted).sum()
    expected = (our_band & (truth_band == 1)).sum() / union if union else float("nan")
    result = metrics.boundary_iou(prediction, values == 1, values == -1, official=True)
    assert result == pytest.approx(expected, nan_ok=True)


def test_surface_distance() -> None:
    here, there = square(10, 10, 20, 20), square(10, 13, 20, 23)
    assert metrics.surface_distance(here, here) == 0
    assert 0 < metrics.surface_distance(here, there) < 3
    assert metrics.surface_distance(here, there) == metrics.surface_distance(there, here)
    holed = here & ~square(13, 13, 16, 16)
    assert metrics.surface_distance(here, holed) == 0
    nothing = square(0, 0, 0, 0)
    assert metrics.surface_distance(nothing, here) == 100.0
    assert metrics.surface_distance(nothing, nothing) == 0.0


def test_click_metrics_on_a_table() -> None:
    ious = metrics.table([[0.3, 0.86, 0.7], [0.9], [0.1, 0.2, 0.3], [0.5, 0.6, 0.95]], 3)
    assert metrics.clicks_to(ious, 0.85).tolist() == [2, 1, 3, 3]
    assert metrics.noc(ious, 0.85) == 2.25
    assert metrics.nof(ious, 0.85) == 2
    assert metrics.missed(ious, 0.85) == 1
    assert metrics.mean_at(ious, 3) == pytest.approx((0.7 + 0.9 + 0.3 + 0.95) / 4)


def test_no_objects_and_unknown_values() -> None:
    assert math.isnan(metrics.noc(metrics.table([], 20), 0.9))
    assert metrics.nof(metrics.table([], 20), 0.9) == 0
    unknown = metrics.table([[], [0.5]], 2)
    assert metrics.clicks_to(unknown, 0.4).tolist() == [2, 1]
    assert metrics.mean_at(unknown, 1) == 0.5
    assert metrics.noc(unknown, 0.4) == 1
    assert (metrics.nof(unknown, 0.4), metrics.missed(unknown, 0.4)) == (0, 0)
    assert math.isnan(metrics.noc(unknown[:1], 0.4))


@settings(deadline=None, max_examples=40)
@given(arrays(np.float64, (6, 5), elements=st.floats(0, 1)))
def test_more_is_asked_more_clicks_are_needed(ious: np.ndarray) -> None:
    low, high = metrics.clicks_to(ious, 0.5), metrics.clicks_to(ious, 0.8)
    assert (low <= high).all()
    assert metrics.nof(ious, 0.5) >= metrics.missed(ious, 0.5)


def test_evaluate_names_every_metric() -> None:
    ious = metrics.table([[0.5, 0.92]], 2)
    result = metrics.evaluate(ious, ious, ious, narrow_bious=ious, targets=(0.85, 0.925))
    assert result["noc@85"] == 2
    assert result["missed@92.5"] == 1
    assert {"iou@1", "biou@2", "biou2px@2", "assd@2", "nof@85"} <= result.keys()


def test_the_narrow_band_is_two_pixels_wide() -> None:
    truth = np.zeros((100, 100), np.bool_)
    truth[20:60, 20:60] = True
    larger = np.zeros_like(truth)
    larger[19:61, 19:61] = True
    # Rings of 42 and 40 pixels a side, 2 wide, share the one-pixel ring of the smaller square's outline.
    ours, theirs, shared = 42**2 - 38**2, 40**2 - 36**2, 40**2 - 38**2
    expected = shared / (ours + theirs - shared)
    assert metrics.boundary_iou(larger, truth, pixels=metrics.NARROW) == pytest.approx(expected)
    ignored = np.zeros_like(truth)
    ignored[50:] = True
    cut = metrics.boundary_iou(larger & ~ignored, truth & ~ignored, pixels=2)
    assert metrics.boundary_iou(larger, truth, ignored, pixels=2) == cut


def test_masks_of_other_kinds_are_refused() -> None:
    with pytest.raises(DataError, match="uint8"):
        metrics.iou(np.zeros((3, 3), np.uint8), np.zeros((3, 3), np.bool_))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"\(3, 4\)"):
        metrics.iou(np.zeros((3, 4), np.bool_), np.zeros((3, 3), np.bool_))
