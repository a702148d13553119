"""Shapes to prompts and masks to shapes; the journal; what is left to do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cvat_function.client import asked_pause
from cvat_function.settings import Settings
from cvat_function.upgrade import prompts
from cvat_function.upgrade.outcomes import Outcome, Outcomes
from cvat_function.upgrade.run import Options, pending, upgrade
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.evaluation.metrics import iou
from fcfi_core.images import load
from fcfi_core.masks import cvat, polygons
from fcfi_core.pipelines.journal import Journal

WIDTH, HEIGHT = 160, 120


def shape(kind, points, **more):
    return {"id": 1, "type": kind, "frame": 0, "label_id": 1, "points": points, "attributes": [], **more}


@pytest.fixture
def image(disc):
    return load(np.asarray(disc[0]))


def test_a_rectangle_is_a_box_and_nothing_else():
    drawn = prompts.read(shape("rectangle", [10.0, 20.0, 30.0, 60.0]), WIDTH, HEIGHT)
    assert drawn.box == Box(10, 20, 29, 59)
    assert drawn.clicks == ()
    whole = prompts.read(shape("rectangle", [0.0, 0.0, 160.0, 60.0]), WIDTH, HEIGHT)
    assert whole.box == Box(0, 0, 159, 59)


def test_a_turned_rectangle_is_the_box_around_it():
    drawn = prompts.read(shape("rectangle", [40.0, 50.0, 80.0, 70.0], rotation=90.0), WIDTH, HEIGHT)
    assert drawn.box == Box(50, 40, 69, 79)


def test_turning_is_clockwise_on_the_screen():
    corners = prompts.rotated(np.array([[0.0, 0.0], [4.0, 2.0]]), 90)
    assert np.allclose(corners[0], (3, -1))


def test_points_are_clicks():
    drawn = prompts.read(shape("points", [10.9, 20.2, 10.2, 20.9, 160.0, 5.0]), WIDTH, HEIGHT)
    assert drawn.clicks == (Click(10, 20), Click(159, 5))


@pytest.mark.parametrize("point", [(-300.0, 20.0), (10.0, -9.0), (700.0, 20.0), (10.0, 5000.0)])
def test_a_point_far_outside_is_never_moved_inside(point):
    with pytest.raises(PromptError, match="outside the frame"):
        prompts.read(shape("points", [20.0, 20.0, *point]), WIDTH, HEIGHT)


def test_a_shape_outside_is_refused():
    with pytest.raises(PromptError):
        prompts.read(shape("rectangle", [500.0, 10.0, 600.0, 50.0]), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", [27.0, 23.0, 101.0, 97.0]),
        ("polygon", [64.0, 22.0, 101.0, 60.0, 64.0, 98.0, 27.0, 60.0]),
        ("points", [64.5, 60.5]),
    ],
)
def test_finds_the_object(kind, points, predictor, image, disc):
    found = prompts.segment(predictor, image, shape(kind, points))
    assert iou(found.mask, disc[1]) > 0.9
    assert prompts.fit(shape(kind, points), found.mask) > 0.8


def test_a_rectangle_is_not_left(predictor, image):
    found = prompts.segment(predictor, image, shape("rectangle", [40.0, 40.0, 64.0, 64.0]))
    rows, columns = np.nonzero(found.mask)
    assert columns.min() >= 40
    assert columns.max() <= 63
    assert rows.max() <= 63


def test_fit_tells_runaway_and_empty_masks():
    box = shape("rectangle", [10.0, 10.0, 20.0, 20.0])
    mask = np.zeros((HEIGHT, WIDTH), bool)
    assert prompts.fit(box, mask) == 0
    mask[10:20, 10:20] = True
    assert prompts.fit(box, mask) == 1
    mask[:] = True
    assert prompts.fit(box, mask) < 0.01
    assert prompts.fit(shape("points", [1.0, 1.0]), mask) == 1


def test_what_belongs_to_the_shape_is_kept():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:20, 10:20] = mask[40:60, 40:60] = True
    mask[45:50, 45:50] = False
    old = shape(
        "rectangle", [1.0, 1.0, 9.0, 9.0], occluded=True, outside=False, z_order=3, group=0, source="manual"
    )
    old["attributes"] = [{"spec_id": 4, "value": "red", "id": 9}]
    (new,) = prompts.replacements(old, mask, 0.87654, "mask", 7)
    assert np.array_equal(cvat.decode(new["points"], WIDTH, HEIGHT), mask)
    assert (new["occluded"], new["z_order"], new["group"], new["source"]) == (True, 3, 0, "semi-auto")
    assert new["attributes"] == [{"spec_id": 4, "value": "red"}]
    parts = prompts.replacements(old, mask, 0.87654, "polygon", 7)
    assert [part["group"] for part in parts] == [7, 7]
    assert [part["score"] for part in (new, *parts)] == [0.8765] * 3, "CVAT's filters find it by its score"
    drawn = [polygons.Polygon(np.reshape(part["points"], (-1, 2))) for part in parts]
    assert iou(polygons.from_polygons(drawn, WIDTH, HEIGHT), mask) > 0.95, "the hole is still there"


def test_an_empty_mask_is_no_shape():
    with pytest.raises(PromptError, match="empty"):
        prompts.replacements(shape("points", [1.0, 1.0]), np.zeros((3, 4), bool), 0, "mask", 1)


class Work:
    """A task in memory."""

    name = "task-1"
    tracks = 0

    def __init__(self, shapes, picture):
        self.shapes = shapes
        self.labels = {
            1: SimpleNamespace(name="ball", type="any"),
            2: SimpleNamespace(name="box", type="rectangle"),
        }
        self.deleted_frames = frozenset({9})
        self.written, self._picture = [], picture

    def label_name(self, label):
        return self.labels[label].name

    def accepts(self, label, kind):
        return self.labels[label].type in ("any", kind)

    def frame(self, number):
        return b"damaged" if number == 5 else self._picture

    def holds(self, shapes):
        return False

    def write(self, shapes, *, replace):
        self.written.append((replace, shapes))


@pytest.fixture
def work(disc, encoded):
    import base64

    box = [27.0, 23.0, 101.0, 97.0]
    shapes = [
        shape("rectangle", box, id=4, frame=2),
        shape("rectangle", box, id=3),
        shape("rectangle", box, id=5, frame=9),
        shape("polygon", box, id=6),
        shape("rectangle", box, id=7, label_id=2),
        shape("rectangle", box, id=8, frame=5),
        shape("rectangle", [900.0, 900.0, 950.0, 950.0], id=9, frame=2),
    ]
    return Work(shapes, base64.b64decode(encoded(disc[0])))


def test_what_is_pending(work):
    outcomes = Outcomes()
    assert {
        frame: [s["id"] for s in shapes] for frame, shapes in pending(work, Options(), outcomes).items()
    } == {
        0: [3, 7],
        2: [4, 9],
        5: [8],
    }
    outcomes.add([Outcome(3, 0, "ball", "rectangle", 0.9, 0.9)])
    outcomes.add([Outcome(8, 5, "ball", "rectangle", 0, 0, "damaged")])
    only = Options(only_labels=frozenset({"ball"}))
    assert sorted(pending(work, only, outcomes)) == [2, 5], "what failed is tried again"


def test_each_frame_is_one_request(work, predictor, tmp_path):
    about = {"work": "task-1"}
    with Outcomes(Journal(tmp_path / "journal.jsonl", about)) as outcomes:
        for _ in upgrade(work, Settings(), predictor, Options(), outcomes):
            pass
        before = set(outcomes.to_review(1, 1))
    assert [(replace, [one["id"] for one in shapes]) for replace, shapes in work.written] == [
        (True, [3]),
        (True, [4]),
    ]
    with Outcomes(Journal(tmp_path / "journal.jsonl", about)) as again:
        assert again.upgraded == {3, 4}
        assert set(again.to_review(1, 1)) == before
    problems = {outcome.shape: outcome.problem for outcome in before if outcome.problem}
    assert sorted(problems) == [7, 8, 9]
    assert "box does not take" in problems[7]


def test_review_lists_the_worst_first():
    outcomes = Outcomes()
    outcomes.add(
        [
            Outcome(1, 0, "a", "rectangle", 0.95, 0.9),
            Outcome(2, 0, "a", "rectangle", 0.60, 0.9),
            Outcome(3, 0, "a", "rectangle", 0.95, 0.2),
            Outcome(4, 0, "a", "rectangle", 0, 0, "the mask is empty."),
            Outcome(2, 0, "a", "rectangle", 0.70, 0.9),
        ]
    )
    assert [(entry.shape, entry.confidence) for entry in outcomes.to_review(0.8, 0.5)] == [
        (4, 0),
        (2, 0.7),
        (3, 0.95),
    ]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (None, 0),
        ({}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "9999"}, 120),
        ({"Retry-After": "soon"}, 0),
    ],
)
def test_the_asked_pause(headers, seconds):
    assert asked_pause(headers) == seconds
