"""The answer as CVAT's interfaces read it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cvat_function.response import encode, refusal, rows
from fcfi_core.errors import BusyError, ImageError, PromptError
from fcfi_core.masks import cvat

masks = arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7)))


@given(masks)
def test_shapes_hold_the_mask(mask):
    height, width = mask.shape
    answer = json.loads(encode([mask], width, height, "shapes"))
    assert bool(answer["shapes"]) == mask.any()
    for shape in answer["shapes"]:
        assert shape["type"] == "mask"
        assert shape["attributes"] == []
        assert all(isinstance(number, int) for number in shape["points"])
        assert np.array_equal(cvat.decode(shape["points"], width, height), mask)


def test_no_mask_is_hidden():
    """The interface drops shapes below its filter as soon as one answer carries a confidence.

    It also reads the list of attributes without asking whether it is there.
    """
    (shape,) = json.loads(encode([np.ones((3, 4), bool)], 4, 3, "shapes"))["shapes"]
    assert shape["attributes"] == []


@given(masks)
def test_mask_holds_the_whole_frame(mask):
    height, width = mask.shape
    answer = json.loads(encode([mask], width, height, "mask"))
    assert np.array_equal(np.array(answer["mask"]), mask)
    assert "bounds" not in answer
    assert answer.get("points", []) == []
    assert ("points" in answer) == (not mask.any())


@given(masks)
def test_a_crop_holds_the_mask_where_its_bounds_say(mask):
    """As interfaces from 2.4.4 to before 2.60.0 read it: the rows' runs, then the bounds as the box."""
    height, width = mask.shape
    answer = json.loads(encode([mask], width, height, "crop"))
    left, top, right, bottom = answer["bounds"]
    rows = np.array(answer["mask"])
    assert rows.shape == (bottom - top + 1, right - left + 1)
    seen = np.zeros_like(mask)
    seen[top : bottom + 1, left : right + 1] = rows
    assert np.array_equal(seen, mask)
    assert answer.get("points", []) == []
    assert ("points" in answer) == (not mask.any())


def test_a_crop_is_small_on_a_large_frame():
    mask = np.zeros((4000, 6000), bool)
    mask[1000:1400, 2000:2300] = True
    assert len(encode([mask], 6000, 4000, "crop")) < 250_000


def test_each_object_is_a_shape_of_its_own():
    left, right = np.zeros((2, 4, 6), bool)
    left[:, :2], right[:, 4:] = True, True
    answer = json.loads(encode([left, right], 6, 4, "shapes"))
    assert [shape["points"][-4] for shape in answer["shapes"]] == [0, 4]
    union = np.array(json.loads(encode([left, right], 6, 4, "mask"))["mask"])
    assert np.array_equal(union, left | right)


@pytest.mark.parametrize(
    ("form", "empty"),
    [
        ("shapes", {"shapes": []}),
        ("mask", {"mask": [[0, 0]], "points": []}),
        ("crop", {"mask": [[0]], "bounds": [0, 0, 0, 0], "points": []}),
    ],
)
def test_nothing_asked_is_nothing_found(form, empty):
    assert json.loads(encode([], 2, 1, form)) == empty


def test_rows_are_json():
    assert rows(np.array([[True, False], [False, True]])) == "[[1,0],[0,1]]"


def test_a_large_frame_stays_small():
    """A ring with a ragged edge: the worst of ordinary masks."""
    ragged = np.random.default_rng(0).integers(-3, 4, 4000)[:, None] ** 2 * 9000
    y, x = np.ogrid[:4000, :6000]
    ring = np.abs((x - 3000) ** 2 + (y - 2000) ** 2 + ragged - 2_000_000) < 700_000
    assert ring.any(axis=1).sum() > 2500
    assert len(encode([ring], 6000, 4000, "shapes")) < 100_000


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PromptError("no."), 400),
        (ImageError("no."), 400),
        (BusyError("later."), 503),
        (KeyError("/secret"), 500),
    ],
)
def test_refusals_are_one_sentence(error, status):
    found, body = refusal(error)
    assert found == status
    assert list(json.loads(body)) == ["error"]
    assert "secret" not in body
