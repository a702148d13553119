"""What CVAT posts, and what it must not."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvat_function.request import clicks, corner_pairs, parse, share_out
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import FcfiError, PromptError
from fcfi_core.prompt import Prompt

BODY = {"image": "AAAA", "pos_points": [[64.2, 59.9]], "neg_points": [[150.5, 8.25]], "obj_bbox": []}


def test_reads_an_interaction():
    asked = parse(BODY)
    assert asked.image == b"\0\0\0"
    assert asked.objects(160, 120) == (Prompt([(64, 60), (151, 8, False)]),)


@pytest.mark.parametrize("wrap", [json.dumps, lambda body: json.dumps(body).encode(), dict])
def test_takes_text_bytes_and_objects(wrap):
    assert parse(wrap(BODY)) == parse(BODY)


@pytest.mark.parametrize("nothing", [{"obj_bbox": None}, {"obj_bbox": []}, {}])
def test_no_box_has_three_spellings(nothing):
    body = {name: value for name, value in BODY.items() if name != "obj_bbox"} | nothing
    assert parse(body).boxes == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b'{"image": "\xff\xfe"}',
        b"[" * 100_000,
        "image",
        [1, 2],
        None,
        {},
        {**BODY, "image": ""},
        {**BODY, "image": 7},
        {**BODY, "image": "@@@"},
        {**BODY, "image": "AAA"},
        {**BODY, "pos_points": {"x": 1}},
        {**BODY, "pos_points": "1,2"},
        {**BODY, "pos_points": [10, 20]},
        {**BODY, "pos_points": [[10]]},
        {**BODY, "pos_points": [[1, 2, 3]]},
        {**BODY, "pos_points": [["a", "b"]]},
        {**BODY, "pos_points": [[None, 12.0]]},
        {**BODY, "pos_points": [[True, False]]},
        {**BODY, "pos_points": [[[1, 2]]]},
        {**BODY, "pos_points": [[float("nan"), 1.0]]},
        {**BODY, "pos_points": [[float("inf"), 1.0]]},
        {**BODY, "neg_points": [[10**400, 1]]},
        {**BODY, "obj_bbox": [[1, 1]]},
        {**BODY, "obj_bbox": [[1, 1], [2, 2]] * 51},
        {**BODY, "obj_bbox": 5},
        {**BODY, "obj_bbox": ["a", "b"]},
    ],
)
def test_refuses_in_one_short_sentence(body):
    with pytest.raises(FcfiError) as refusal:
        parse(body)
    assert len(str(refusal.value)) < 200
    assert "\n" not in str(refusal.value)


@given(st.dictionaries(st.sampled_from(sorted(BODY)), st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)))  # fmt: skip
def test_never_fails_otherwise(body):
    with contextlib.suppress(FcfiError):
        parse({"image": "AAAA", **body}).objects(16, 12)


def test_clicks_on_the_rim_are_inside():
    found = clicks(((-0.5, 0.31), (159.49, 119.3)), True, 160, 120)
    assert found == (Click(0, 0), Click(159, 119))


def test_clicks_far_outside_are_refused():
    with pytest.raises(PromptError, match="outside the image of 160 x 120"):
        clicks(((480.0, -50.0),), True, 160, 120)


def test_a_double_click_is_one_click():
    assert clicks(((3.1, 4.0), (9, 9), (2.9, 4.2)), True, 20, 20) == (Click(3, 4), Click(9, 9))


def test_boxes_come_in_one_flat_list_of_corners():
    assert corner_pairs(((1, 2), (3, 4), (5, 6), (7, 8))) == ((1, 2, 3, 4), (5, 6, 7, 8))


def test_corners_may_be_swapped_and_boxes_are_cut_at_the_border():
    asked = parse({**BODY, "pos_points": [], "obj_bbox": [[190.0, 90.0], [10.4, 10.4]]})
    assert asked.objects(160, 80)[0].box == Box(10, 10, 159, 79)


def test_several_boxes_are_several_objects():
    left, right = Box(0, 0, 9, 9), Box(20, 0, 29, 9)
    inside, near_right, stray = Click(5, 5), Click(18, 5), Click(15, 20, False)
    shared = share_out((inside, near_right), (stray,), (left, right))
    assert shared == (Prompt((inside, stray), left), Prompt((near_right, stray), right))
