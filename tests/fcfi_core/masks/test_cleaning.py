from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fcfi_core.clicks import Click
from fcfi_core.errors import DataError
from fcfi_core.masks import clean

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))
sizes = st.integers(0, 12)


def scene():
    """A 20 x 20 square with a pinhole of 2 pixels and a hole of 25, a speck of 3, a part of 16."""
    mask = np.zeros((40, 60), bool)
    mask[5:25, 5:25] = True
    mask[8, 8:10] = False
    mask[14:19, 14:19] = False
    mask[30, 40:43] = True
    mask[30:34, 50:54] = True
    return mask


def background(mask):
    """Label what is outside ``mask`` and a rim around it."""
    return cv2.connectedComponents(np.pad(~mask, 1, constant_values=True).view(np.uint8), connectivity=4)[1]


def reference(mask, keep, min_area, max_hole):
    """The same by labelled components, one after the other."""
    cleaned = mask.copy()

    def filled(part):  # with everything it encloses
        around = background(part)
        return (around != around[0, 0])[1:-1, 1:-1]

    labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1]
    parts = [labels == label for label in range(1, labels.max() + 1)]
    parts.sort(key=np.argmax)  # reading order decides which of equal parts is the largest
    areas = [filled(part).sum() for part in parts]
    largest = int(np.argmax(areas)) if parts else -1
    for index, part in enumerate(parts):
        clicked = any(click.positive and part[click.y, click.x] for click in keep)
        if areas[index] < min_area and index != largest and not clicked:
            cleaned &= ~part
    outside = background(cleaned)
    for label in range(1, outside.max() + 1):
        hole = (outside == label)[1:-1, 1:-1]
        if label == outside[0, 0]:
            continue
        area = filled(hole).sum()
        clicked = any(
            not click.positive and hole[click.y, click.x] and not mask[click.y, click.x] for click in keep
        )
        if area <= max_hole and not clicked:
            cleaned |= hole
    return cleaned


@settings(deadline=None, max_examples=150)
@given(masks, sizes, sizes, st.data())
def test_equals_the_reference(mask, min_area, max_hole, data):
    height, width = mask.shape
    clicks = st.builds(Click, st.integers(0, width - 1), st.integers(0, height - 1), st.booleans())
    keep = data.draw(st.lists(clicks, max_size=3))
    before = mask.copy()
    cleaned = clean(mask, keep=keep, min_area=min_area, max_hole=max_hole)
    assert (mask == before).all()
    assert (cleaned == reference(mask, keep, min_area, max_hole)).all()
    for click in keep:
        if click.positive and mask[click.y, click.x]:
            assert cleaned[click.y, click.x]


def test_defaults_remove_specks_and_pinholes_only():
    cleaned = clean(scene())
    expected = scene()
    expected[8, 8:10] = True
    expected[30, 40:43] = False
    assert (cleaned == expected).all()


def test_a_clicked_speck_stays():
    cleaned = clean(scene(), keep=[Click(41, 30)])
    assert cleaned[30, 40:43].all()


def test_a_clicked_pinhole_stays():
    cleaned = clean(scene(), keep=[Click(8, 8, positive=False)])
    assert not cleaned[8, 8:10].any()


def test_the_hole_around_a_clicked_island_may_close_over_it():
    mask = scene()
    mask[16, 16] = True
    assert clean(mask, keep=[Click(16, 16)])[16, 16]
    assert clean(mask, keep=[Click(16, 16)], max_hole=30)[14:19, 14:19].all()
    assert not clean(mask)[16, 16]


def test_a_clicked_speck_in_a_removed_ring_stays():
    mask = np.zeros((30, 30), bool)
    mask[0:10, 0:30] = True
    mask[15:20, 15:20] = True
    mask[16:19, 16:19] = False
    mask[17, 17] = True
    cleaned = clean(mask, keep=[Click(17, 17)], min_area=30, max_hole=0)
    assert cleaned[17, 17]
    assert cleaned.sum() == 301


def test_the_largest_part_stays_whatever_the_limit():
    cleaned = clean(scene(), min_area=10_000, max_hole=0)
    assert cleaned[5, 5]
    assert not cleaned[30:].any()


def test_zero_keeps_everything():
    assert (clean(scene(), min_area=0, max_hole=0) == scene()).all()


def test_a_thin_line_is_no_speck():
    mask = np.zeros((200, 200), bool)
    mask[np.arange(150), np.arange(150)] = True
    mask[180:190, 180:190] = True
    assert (clean(mask) == mask).all()


def test_holes_at_the_border_are_no_holes():
    mask = np.ones((9, 9), bool)
    mask[0, 4] = False
    assert (clean(mask, max_hole=50) == mask).all()


def test_special(special_mask):
    assert clean(special_mask).any() == special_mask.any()


def test_clicks_outside_the_image_do_nothing():
    assert (clean(scene(), keep=[Click(-1, 500), Click(100, 3, positive=False)]) == clean(scene())).all()


def test_big(big_mask):
    cleaned = clean(big_mask, keep=[Click(3000, 2000)])
    assert cv2.connectedComponents(cleaned.view(np.uint8))[0] == 2
    assert cv2.connectedComponents((~cleaned).view(np.uint8), connectivity=4)[0] <= 5


@pytest.mark.parametrize("name", ["min_area", "max_hole"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_bad_limits(name, value):
    with pytest.raises(DataError, match=name):
        clean(scene(), **{name: value})
