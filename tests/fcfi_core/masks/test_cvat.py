from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fcfi_core.errors import DataError
from fcfi_core.masks import cvat

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


@pytest.fixture(scope="module")
def sdk():
    return pytest.importorskip("cvat_sdk.masks", reason="the CVAT SDK, the oracle of this code, is missing")


def assert_round_trip(mask):
    points = cvat.encode(mask)
    assert all(type(number) is int for number in points)
    assert (cvat.decode(points, mask.shape[1], mask.shape[0]) == mask).all()


def assert_equals(sdk, mask):
    height, width = mask.shape
    points = cvat.encode(mask)
    assert points == sdk.encode_mask(mask)
    assert (sdk.decode_mask(points, image_width=width, image_height=height) == mask).all()


def test_special(special_mask):
    assert_round_trip(special_mask)


def test_special_in_the_sdk(sdk, special_mask):
    assert_equals(sdk, special_mask)


def test_big(big_mask):
    assert_round_trip(big_mask)


def test_big_in_the_sdk(sdk, big_mask):
    assert_equals(sdk, big_mask)


@settings(deadline=None, max_examples=60)
@given(mask=masks)
def test_any(mask):
    assert_round_trip(mask)


@settings(deadline=None, max_examples=60)
@given(mask=masks)
def test_any_in_the_sdk(sdk, mask):
    assert_equals(sdk, mask)


def test_worked_example():
    mask = np.array([[False, False, False], [False, True, True], [False, False, True]])
    assert cvat.encode(mask) == [0, 2, 1, 1, 1, 1, 2, 2]
    mask[2] = [True, False, True]
    assert cvat.encode(mask) == [1, 3, 1, 1, 0, 1, 2, 2]


def test_an_empty_mask_is_one_empty_pixel():
    assert cvat.encode(np.zeros((5, 6), bool)) == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "points",
    [
        [],
        [0, 0, 0, 0],
        [1, 2, 0, 0, 0, 0],
        [4, 0, 0, 2, 2],
        [0, 4, 0, 0, 4, 0],
        [0, 1, -1, 0, 0, 0],
        [0, 1.5, 0, 0, 0, 0],
        [0, float("nan"), 0, 0, 0, 0],
        [0, float("inf"), 0, 0, 0, 0],
        [2, -1, 0, 0, 0, 0],
        ["a", 1, 0, 0, 0, 0],
        [[0, 1], 0, 0, 0, 0],
    ],
)
def test_bad_points(points):
    with pytest.raises(DataError):
        cvat.decode(points, 4, 4)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-1, 9), max_size=12))
def test_any_points_are_a_mask_or_refused(points):
    try:
        mask = cvat.decode(points, 4, 3)
    except DataError:
        return
    assert mask.shape == (3, 4)


@pytest.mark.parametrize(("width", "height"), [(0, 3), (3, -1), (2.0, 3), (None, 3)])
def test_bad_size(width, height):
    with pytest.raises(DataError, match="mask size"):
        cvat.decode([0, 1, 0, 0, 0, 0], width, height)
