"""CVAT's recorded requests through the handler, by nuclio's own test platform."""

from __future__ import annotations

import io
import json
import logging

import numpy as np
import pytest
from PIL import Image

from cvat_function import main
from fcfi_core.masks import cvat

NAMES = [
    "first-click", "first-click-older", "negative-click", "session-7-clicks", "jpeg-frame", "box-only",
    "two-boxes", "startswith-box-older", "video-frame", "thin-object", "edge-click", "no-points",
    "null-coordinate", "unreadable-frame", "threshold-field", "repeated-point", "tall-frame", "alpha-frame",
]  # fmt: skip


@pytest.fixture(params=["shapes", "mask", "crop"])
def form(request, monkeypatch):
    monkeypatch.setenv("FCFI_CVAT_RESPONSE", request.param)
    return request.param


@pytest.fixture
def ask(worker, form):
    return worker(main)


def seen(answer, size):
    """The mask the annotator is shown."""
    width, height = size
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    body = json.loads(answer.body)
    if "mask" in body:
        left, top, right, bottom = body.get("bounds", (0, 0, width - 1, height - 1))
        seen = np.zeros((height, width), bool)
        seen[top : bottom + 1, left : right + 1] = body["mask"]
        return seen
    union = np.zeros((height, width), bool)
    for shape in body["shapes"]:
        union |= cvat.decode(shape["points"], width, height)
    return union


def test_every_recorded_case_is_replayed(recorded):
    assert sorted(recorded) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_recorded(name, recorded, ask):
    case, expect = recorded[name], recorded[name]["expect"]
    answer = ask(case["body"])
    if expect["outcome"] == "error":
        assert answer.status_code == 400
        assert set(json.loads(answer.body)) == {"error"}
        return
    mask = seen(answer, expect["image_size"])
    assert mask.shape == tuple(expect["image_size"][::-1])
    if expect["outcome"] == "empty_or_error":
        assert not mask.any()
    assert all(mask[y, x] for x, y in expect.get("contains", []))
    assert not any(mask[y, x] for x, y in expect.get("excludes", []))
    if "same_as" in expect:
        twin = ask(recorded[expect["same_as"]]["body"])
        assert np.array_equal(mask, seen(twin, expect["image_size"]))


def test_two_boxes_are_two_shapes(recorded, worker):
    answer = json.loads(worker(main)(recorded["two-boxes"]["body"]).body)
    assert len(answer["shapes"]) == 2


def test_boxes_of_one_request_do_not_overlap(recorded, worker, encoded):
    """Two boxes around the two halves of one object: each pixel goes to one of them."""
    rows, columns = np.mgrid[:120, :160]
    disc = (columns - 80) ** 2 + (rows - 60) ** 2 <= 45**2
    photo = Image.fromarray(np.where(disc[..., None], (225, 60, 40), (60, 120, 130)).astype(np.uint8))
    body = {"image": encoded(photo), "pos_points": [], "neg_points": []}
    boxes = [[[30, 10], [100, 110]], [[60, 10], [130, 110]]]

    def masks(*corners):
        shapes = json.loads(worker(main)({**body, "obj_bbox": [one for box in corners for one in box]}).body)[
            "shapes"
        ]
        return [cvat.decode(shape["points"], 160, 120) for shape in shapes]

    (left,), (right,) = masks(boxes[0]), masks(boxes[1])
    assert (left & right).any(), "alone, each takes what lies in both boxes"
    apart = masks(*boxes)
    assert not (apart[0] & apart[1]).any()
    assert np.array_equal(apart[0] | apart[1], left | right)


def test_a_body_nuclio_did_not_parse_is_read(recorded, ask):
    body = json.dumps(recorded["first-click"]["body"]).encode()
    answer = ask(body, "application/json; charset=utf-8")
    assert answer.body == ask(recorded["first-click"]["body"]).body


def test_undo_and_other_images_leave_no_trace(recorded, ask):
    first = ask(recorded["first-click"]["body"]).body
    for name in ("session-7-clicks", "two-boxes", "null-coordinate", "tall-frame", "unreadable-frame"):
        ask(recorded[name]["body"])
        assert ask(recorded["first-click"]["body"]).body == first


def test_images_over_the_limit_are_refused_before_decoding(monkeypatch, worker, encoded):
    monkeypatch.setenv("FCFI_MAX_MEGAPIXELS", "0.01")
    answer = worker(main)({"image": encoded(Image.new("L", (200, 100))), "pos_points": [[1, 1]]})
    assert answer.status_code == 400
    assert "Traceback" not in answer.body


def test_a_defect_is_a_500_without_details(monkeypatch, recorded, worker):
    monkeypatch.setattr("cvat_function.main.response.encode", lambda *_, **__: 1 / 0)
    answer = worker(main)(recorded["first-click"]["body"])
    assert answer.status_code == 500
    assert "division" not in answer.body


def test_the_log_tells_the_stages_and_never_the_image(recorded, worker):
    import nuclio_sdk

    log = io.StringIO()
    logger = nuclio_sdk.Logger(logging.INFO, "test")
    logger.set_handler("default", log, nuclio_sdk.logger.JSONFormatter())
    context = nuclio_sdk.Context(logger)
    main.init_context(context)
    main.handler(context, nuclio_sdk.Event(body=recorded["first-click"]["body"]))
    for stage in ("request", "image", "clicks", "answer"):
        assert f'"{stage}"' in log.getvalue()
    assert len(log.getvalue()) < 3000
