"""Frames through the nuclio tracker."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cvat_function import tracker, tracking
from fcfi_core.errors import PromptError
from fcfi_core.evaluation.metrics import iou
from fcfi_core.masks import cvat, polygons

SIZE = WIDTH, HEIGHT = 120, 90


def frame(x):
    """A picture with a red disc at ``x``, and the disc."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = (columns - x) ** 2 + (rows - 45) ** 2 <= 18**2
    return Image.fromarray(np.where(disc[..., None], (210, 60, 40), (60, 55, 45)).astype(np.uint8)), disc


@pytest.fixture
def ask(worker, encoded):
    call = worker(tracker)

    def track(image, shapes, states):
        answer = call({"image": encoded(image), "shapes": shapes, "states": states})
        assert answer.status_code == 200, answer.body
        found = json.loads(answer.body)
        assert len(found["shapes"]) == len(found["states"])
        return found["shapes"], found["states"]

    return track


def shape_of(kind, mask):
    return {"type": kind, "points": tracking.to_points(kind, mask)}


def mask_of(shape):
    if shape["type"] == "mask":
        return cvat.decode(shape["points"], *SIZE)
    corners = np.reshape(shape["points"], (-1, 2))
    if shape["type"] == "rectangle":
        mask = np.zeros((HEIGHT, WIDTH), bool)
        (left, top), (right, bottom) = corners.astype(int)
        mask[top:bottom, left:right] = True
        return mask
    return polygons.from_polygons([polygons.Polygon(corners)], *SIZE)


@pytest.mark.parametrize("kind", tracking.SHAPE_TYPES)
def test_a_moving_disc_is_followed(kind, ask):
    image, disc = frame(30)
    first = shape_of(kind, disc)
    shapes, states = ask(image, [first], [])
    assert shapes == [first]
    for x in range(34, 80, 4):
        image, disc = frame(x)
        shapes, states = ask(image, [None], states)
        assert shapes[0]["type"] == kind
        assert iou(mask_of(shapes[0]), mask_of(shape_of(kind, disc))) > 0.85


def test_states_are_small_plain_and_say_their_version(ask):
    image, disc = frame(30)
    (state,) = ask(image, [shape_of("mask", disc)], [])[1]
    assert len(json.dumps(state)) < 500
    assert state["version"] == tracking.VERSION
    assert state["size"] == [WIDTH, HEIGHT]


def test_a_lost_object_is_null_and_found_again(ask):
    image, disc = frame(30)
    _, states = ask(image, [shape_of("mask", disc)], [])
    empty = Image.new("RGB", SIZE, (60, 55, 45))
    shapes, states = ask(empty, [None], states)
    assert shapes == [None]
    shapes, _ = ask(image, [None], states)
    assert shapes[0] is not None


def test_old_servers_send_bare_rectangles(ask):
    shapes, states = ask(frame(30)[0], [[11.0, 26.0, 50.0, 65.0]], [])
    assert shapes == [[11.0, 26.0, 50.0, 65.0]]
    shapes, _ = ask(frame(34)[0], [None], states)
    assert np.allclose(shapes[0], [16, 27, 53, 64], atol=3)


def test_objects_do_not_mix(ask):
    image, disc = frame(30)
    shapes, states = ask(image, [shape_of("mask", disc), None, shape_of("polygon", disc)], [])
    assert shapes[1] is states[1] is None
    shapes, _ = ask(image, [None, None, None], states)
    assert [shape and shape["type"] for shape in shapes] == ["mask", None, "polygon"]


STATE = {
    "version": tracking.VERSION, "type": "mask", "size": list(SIZE),
    **tracking.pack(np.pad(np.ones((2, 2), bool), ((0, 88), (0, 118)))),
    "colours": [[0] * 16] * 3,
}  # fmt: skip


@given(arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_a_packed_mask_comes_back(mask):
    mask[-1, 0] = True
    height, width = mask.shape
    packed = json.loads(json.dumps(tracking.pack(mask)))
    assert np.array_equal(tracking.unpack(packed, width, height), mask)


def test_a_state_is_a_fraction_of_the_run_lengths():
    """A ragged object on a frame of common size, as CVAT quotes it when it signs the state."""
    rows, columns = np.mgrid[:480, :854]
    radius = 150 + 12 * np.sin(np.arctan2(rows - 240, columns - 400) * 23) ** 3
    mask = np.hypot(rows - 240, columns - 400) < radius
    quoted = len(json.dumps(json.dumps(tracking.pack(mask))))
    assert quoted < 0.4 * len(json.dumps(json.dumps(cvat.encode(mask), separators=(",", ":"))))


def test_a_text_that_swells_is_refused_early():
    bomb = base64.b64encode(zlib.compress(b"1" * 50_000_000)).decode()
    with pytest.raises(PromptError):
        tracking.unpack({"box": [0, 0, 1, 1], "mask": bomb}, *SIZE)


@pytest.mark.parametrize(
    ("shapes", "states"),
    [
        ([{"type": "ellipse", "points": [1, 2, 3, 4]}], []),
        ([{"type": "mask", "points": [1, 2]}], []),
        ([{"type": "mask", "points": [5, 0, 0, 119, 89]}], []),
        ([{"type": "polygon", "points": [1, 2, 3, 4, 5]}], []),
        ([{"type": "rectangle", "points": [1, 2, None, 4]}], []),
        ([{"type": "polygon", "points": [500, 500, 510, 500, 510, 510]}], []),
        (["mask"], []),
        ("mask", []),
        ([None], [{"version": 0}]),
        ([None], ["state"]),
        ([None], [{"version": 1, "type": "mask", "size": [120, 90], "points": [0, 1, 0, 0, 0, 0]}]),
        ([None], [{**STATE, "size": [1, 1]}]),
        ([None], [{**STATE, "type": []}]),
        ([None], [{**STATE, "box": None}]),
        ([None], [{**STATE, "box": [0, 0, 120, 0]}]),
        ([None], [{**STATE, "box": [0, 0, 0, 0]}]),
        ([None], [{**STATE, "mask": 7}]),
        ([None], [{**STATE, "mask": "eA=="}]),
        ([None], [{**STATE, "colours": [1]}]),
        ([None, None], [STATE]),
    ],
)
def test_refuses(shapes, states, worker, encoded):
    body = {"image": encoded(frame(30)[0]), "shapes": shapes, "states": states}
    answer = worker(tracker)(body)
    assert answer.status_code == 400
    assert len(json.loads(answer.body)["error"]) < 300
