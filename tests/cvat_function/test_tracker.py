"""Frames through the nuclio tracker."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from cvat_function import tracker, tracking
from fcfi_core.evaluation.metrics import iou
from fcfi_core.masks import cvat, polygons
from fcfi_core.propagation.state import VERSION, State

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
        assert len(found["shapes"]) == len(found["states"]) == len(found["review"])
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
    assert len(json.dumps(state)) < 600
    assert state["version"] == VERSION
    assert state["size"] == [WIDTH, HEIGHT]


def test_a_lost_object_is_null_and_found_again(ask):
    image, disc = frame(30)
    _, states = ask(image, [shape_of("mask", disc)], [])
    empty = Image.new("RGB", SIZE, (60, 55, 45))
    shapes, states = ask(empty, [None], states)
    assert shapes == [None]
    shapes, _ = ask(image, [None], states)
    assert shapes[0] is not None


def test_says_which_frames_to_look_at(worker, encoded):
    call = worker(tracker)
    image, disc = frame(30)
    first = json.loads(call({"image": encoded(image), "shapes": [shape_of("mask", disc)], "states": []}).body)
    assert first["review"] == [""]

    def followed(image):
        body = {"image": encoded(image), "shapes": [None], "states": first["states"]}
        return json.loads(call(body).body)["review"]

    (why,) = followed(frame(32)[0])
    assert "lost" not in why
    assert followed(Image.new("RGB", SIZE, (60, 55, 45))) == ["the object is lost"]


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


STATE = tracking.State(
    "mask",
    State(np.pad(np.ones((2, 2), bool), ((0, 88), (0, 118))), np.full((3, 16), 1 / 16, np.float32), None),
).to_json()


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
        ([None], [{**STATE, "version": 2}]),
        ([None], [{**STATE, "size": [1, 1]}]),
        ([None], [{**STATE, "type": []}]),
        ([None], [{**STATE, "mask": 7}]),
        ([None], [{**STATE, "colours": [1]}]),
        ([None], [{**STATE, "appearance": {"model": "of another", "weights": "ADwAPAA8"}}]),
        ([None, None], [STATE]),
    ],
)
def test_refuses(shapes, states, worker, encoded):
    body = {"image": encoded(frame(30)[0]), "shapes": shapes, "states": states}
    answer = worker(tracker)(body)
    assert answer.status_code == 400
    assert len(json.loads(answer.body)["error"]) < 300
