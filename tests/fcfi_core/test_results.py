"""A result answers in the image's pixels, lazily, and its confidence means something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core import masks
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import SettingsError
from fcfi_core.geometry import Frame, Region
from fcfi_core.masks import coco, cvat, label_studio
from fcfi_core.results import Result

VIEWS = arrays(np.float32, (6, 8), elements=st.floats(0, 1, width=32))


def result(view, height=48, width=64, **more):
    frame = Frame.of(Region.whole(height, width), (height, width), target=max(view.shape))
    return Result(frame, np.asarray(view, np.float32), 0.49, (Click(3, 4),), **more)


@given(VIEWS)
@settings(deadline=None)
def test_confidence_is_bounded_and_zero_for_nothing(view):
    found = result(view).confidence
    assert 0 <= found <= 1
    assert (found == 0) == (not (view > 0.49).any())


@given(VIEWS, st.integers(0, 47), st.floats(0.01, 1))
@settings(deadline=None)
def test_confidence_rises_with_certainty(view, pixel, step):
    surer = view.copy()
    row, column = divmod(pixel, 8)
    target = 1.0 if view[row, column] > 0.49 else 0.0
    surer[row, column] += np.float32(step) * np.float32(target - view[row, column])
    assert result(surer).confidence >= result(view).confidence - 1e-6


def test_confidence_is_the_expected_overlap():
    view = np.zeros((6, 8))
    view[:2] = 0.75
    view[2] = 0.25
    assert result(view).confidence == pytest.approx(16 * 0.75 / (16 + 8 * 0.25))


def test_mask_probability_box_and_one_pixel_agree():
    view = np.zeros((6, 8))
    view[2:4, 3:6] = 0.9
    found = result(view)
    assert np.array_equal(found.mask, found.probability > 0.49)
    assert found.box == masks.box_of(found.mask)
    assert found.probability_at(Click(30, 20)) == pytest.approx(found.probability[20, 30], abs=1e-6)
    assert result(np.zeros((6, 8))).box is None


def test_arrays_are_read_only():
    found = result(np.ones((6, 8)))
    for array in (found.mask, found.probability):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


def test_codes_decode_to_the_mask():
    view = np.zeros((6, 8))
    view[2:4, 3:6] = 0.9
    found = result(view)
    assert np.array_equal(coco.decode(found.rle("coco")), found.mask)
    assert np.array_equal(label_studio.decode(found.rle("label_studio"), 64, 48), found.mask)
    assert np.array_equal(cvat.decode(found.rle("cvat"), 64, 48), found.mask)
    with pytest.raises(SettingsError, match="'png'"):
        found.rle("png")


def test_polygons_stay_in_their_budget():
    view = np.zeros((6, 8))
    view[1:5, 1:6] = 0.9
    view[2, 3] = 0
    polygons = result(view).polygons(max_points=30)
    assert polygons.point_count <= 30
    assert polygons.lost_iou < 0.1


def test_cleaning_spares_the_clicked_part_and_leaves_the_original():
    view = np.zeros((48, 64))
    view[4, 3] = view[40, 60] = 0.9
    view[20:30, 20:40] = 0.9
    found = result(view)
    cleaned = found.cleaned(min_area=5, max_hole=0)
    assert cleaned.mask[4, 3]
    assert not cleaned.mask[40, 60]
    assert found.mask[40, 60]
    assert cleaned.confidence == found.confidence
    assert cleaned.box == Box(3, 4, 39, 29)
