"""A box that is known to hold a mask changes nothing but the time that finding its own takes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fcfi_core.clicks import Box, Click
from fcfi_core.masks import box_of, clean, coco, cvat, label_studio, to_polygons
from fcfi_core.masks.outlines import trace

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


@st.composite
def boxed(draw):
    """A mask somewhere in a larger picture, and a box that holds it."""
    mask = draw(masks)
    top, bottom, left, right = (draw(st.integers(0, 3)) for _ in range(4))
    whole = np.pad(mask, ((top, bottom), (left, right)))
    rows, columns = mask.shape
    return whole, Box(left, top, left + columns - 1, top + rows - 1)


@given(boxed(), st.integers(0, 5), st.integers(0, 5))
def test_the_same_mask_with_and_without_a_known_box(given_mask, min_area, max_hole):
    mask, within = given_mask
    assert box_of(mask, within) == box_of(mask)
    for encode in (coco.encode, cvat.encode, label_studio.encode):
        assert encode(mask, within=within) == encode(mask)
    paths = [outline.path.tolist() for outline in trace(mask, within)]
    assert paths == [outline.path.tolist() for outline in trace(mask)]
    one, other = to_polygons(mask), to_polygons(mask, within=within)
    assert [part.exterior.tolist() for part in one.parts] == [part.exterior.tolist() for part in other.parts]
    keep = [Click(within.x1, within.y1, True)]
    for areas in ({}, {"min_area": min_area, "max_hole": max_hole}):
        known = clean(mask, keep=keep, within=within, **areas)
        assert np.array_equal(known, clean(mask, keep=keep, **areas))


@given(masks)
def test_cleaning_changes_nothing_of_what_it_was_given(mask):
    before = mask.copy()
    cleaned = clean(mask, min_area=3, max_hole=3)
    assert np.array_equal(mask, before)
    assert (cleaned is mask) == np.array_equal(cleaned, before)
