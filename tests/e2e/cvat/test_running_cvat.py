"""A running CVAT with our functions: over REST, by our commands, and in the interface as a person uses it."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fcfi_core.cli import main
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.evaluation.metrics import iou
from fcfi_core.masks import cvat

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CUP = (270, 150)  # in coffee.jpg, the second photo, 600 x 400
AROUND_CUP = (150.0, 40.0, 480.0, 360.0)
SIZE = (600, 400)
FRAME = 1
PHOTOS = Path(__file__).parents[3] / "fcfi_core" / "serving" / "playground" / "assets" / "samples"


def mask_of(answer, size=SIZE):
    (shape,) = answer["shapes"]
    return cvat.decode(shape["points"], *size)


def saved(client, task):
    """The shapes of the photo, latest last."""
    return [one for one in task.get_annotations().shapes if one.frame == FRAME]


def wait_for_shape(client, task, count, seconds=30):
    end = time.monotonic() + seconds
    while len(found := saved(client, task)) < count:
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.3)
    return found


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def test_the_server_lists_our_functions_as_they_are_meant(client, functions):
    text = client.api_client.lambda_api.list_functions(_parse_response=False)[1].data
    listed = {one["id"]: one for one in json.loads(text)}
    clicks, boxes, tracker = listed["fcfi"], listed["fcfi-box"], listed["fcfi-tracker"]
    assert (clicks["min_pos_points"], clicks["min_neg_points"]) == (1, 0)
    assert not clicks["startswith_box"]
    assert not clicks["startswith_box_optional"]
    assert (boxes["min_pos_points"], boxes["startswith_box_optional"]) == (0, True)
    assert tracker["supported_shape_types"] == ["mask", "polygon", "rectangle"]


def test_prompts_are_answered_over_rest(ask, task):
    where = {"task": task.id, "frame": FRAME}
    first = ask("fcfi", **where, pos_points=[CUP], neg_points=[], obj_bbox=[])
    assert mask_of(first)[CUP[1], CUP[0]]
    second = ask("fcfi", **where, pos_points=[CUP], neg_points=[[20, 20]], obj_bbox=[])
    assert not mask_of(second)[20, 20]
    assert ask("fcfi", **where, pos_points=[CUP], neg_points=[], obj_bbox=[]) == first, "undo is exact"
    corners = [AROUND_CUP[:2], AROUND_CUP[2:]]
    boxed = ask("fcfi-box", **where, pos_points=[], neg_points=[], obj_bbox=corners)
    assert mask_of(boxed).any()
    two = ask("fcfi-box", **where, pos_points=[], neg_points=[], obj_bbox=[*corners, [0, 0], [100, 100]])
    assert len(two["shapes"]) == 2
    inner = [[200, 60], [420, 300]]
    over = ask("fcfi-box", **where, pos_points=[], neg_points=[], obj_bbox=[*corners, *inner])
    whole, part = (mask_of({"shapes": [shape]}) for shape in over["shapes"])
    assert whole.any()
    assert part.any()
    assert not (whole & part).any(), "boxes of one request do not overlap"
    assert ask("fcfi-box", **where, pos_points=[], neg_points=[[20, 20]], obj_bbox=[]) == {"shapes": []}


def test_the_tracker_over_rest(ask, task):
    """One and the same photo twice: the object stays where it is, and the state stays small."""
    where = {"task": task.id, "frame": FRAME}
    first = ask("fcfi", **where, pos_points=[CUP], neg_points=[], obj_bbox=[])["shapes"][0]
    drawn = [
        {"type": "mask", "points": first["points"]},
        {"type": "rectangle", "points": list(AROUND_CUP)},
    ]
    begun = ask("fcfi-tracker", **where, shapes=drawn)
    assert max(len(state) for state in begun["states"]) < 5000, "as the guide says"
    followed = ask("fcfi-tracker", **where, states=begun["states"])
    assert [one["type"] for one in followed["shapes"]] == ["mask", "rectangle"]
    assert iou(cvat.decode(followed["shapes"][0]["points"], *SIZE), mask_of({"shapes": [first]})) > 0.8


def test_boxes_are_upgraded_with_their_score(server, client, task, tmp_path, monkeypatch, capsys):
    from cvat_sdk import models

    label = task.get_labels()[0].id
    box = models.LabeledShapeRequest(type="rectangle", frame=FRAME, label_id=label, points=[*AROUND_CUP])
    task.set_annotations(models.LabeledDataRequest(shapes=[box]))
    monkeypatch.chdir(tmp_path)
    words = ["cvat", "upgrade-task", "--task", str(task.id), "--server-host", server.url]
    words += ["--user", f"{server.user}:{server.password}"]
    assert main(words) == 0
    assert "1 shapes upgraded." in capsys.readouterr().out
    (shape,) = saved(client, task)
    assert str(shape.type) == "mask"
    assert 0 < shape.score < 1
    assert main(words) == 0
    assert "Nothing was left to do" in capsys.readouterr().out


def test_a_region_of_interest_is_a_photo_of_its_own(ask, task, functions):
    """The server cuts the frame and moves clicks and answer back and forth."""
    left, top, right, bottom = 120, 20, 520, 390
    where = {"task": task.id, "frame": FRAME, "roi": [left, top, right, bottom]}
    found = mask_of(ask("fcfi", **where, pos_points=[CUP], neg_points=[], obj_bbox=[]))
    body, answer = functions["fcfi"][-1]
    assert body["pos_points"] == [[CUP[0] - left, CUP[1] - top]]
    size = right - left, bottom - top
    assert Image.open(io.BytesIO(base64.b64decode(body["image"]))).size == size
    assert np.array_equal(found[top:bottom, left:right], mask_of(answer, size))
    assert found[CUP[1], CUP[0]]
    assert found.sum() == mask_of(answer, size).sum()


def test_a_token_that_only_reads_serves_a_dry_run(server, client, post, task, tmp_path, monkeypatch, capsys):
    """CVAT makes tokens that only read unless asked otherwise; its own policies refuse them the rest."""
    from cvat_sdk import models

    label = task.get_labels()[0].id
    box = models.LabeledShapeRequest(type="rectangle", frame=FRAME, label_id=label, points=[*AROUND_CUP])
    task.set_annotations(models.LabeledDataRequest(shapes=[box]))
    token = post("/api/auth/access_tokens", {"name": "fcfi e2e"})
    assert token["read_only"] is True
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", token["value"])
    words = ["cvat", "upgrade-task", "--task", str(task.id), "--server-host", server.url]
    assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err
    assert (tmp_path / f"upgrade-task-{task.id}.png").exists()
    capsys.readouterr()
    assert main(words) == 2
    assert "read-only" in capsys.readouterr().err.lower()
    assert [str(shape.type) for shape in saved(client, task)] == ["rectangle"]
    assert main(["doctor", "cvat", "--server-host", server.url]) == 1
    assert "read-only" in capsys.readouterr().out.lower()


def test_the_doctor_makes_a_real_click(server, functions, capsys):
    words = ["doctor", "cvat", "--server-host", server.url, "--user", f"{server.user}:{server.password}"]
    assert main(words) == 0, capsys.readouterr().out
    assert "CVAT and the function work together" in capsys.readouterr().out


def exported(task, kind, folder):
    """Return the folder of an export of ``task``, with its photos."""
    task.export_dataset(kind, folder / "export.zip", include_images=True)
    with zipfile.ZipFile(folder / "export.zip") as archive:
        archive.extractall(folder / "export")
    return folder / "export"


@pytest.fixture
def clicked(client, ask, task):
    """The task with one mask saved as the function gave it, and that mask."""
    from cvat_sdk import models

    answer = ask("fcfi", task=task.id, frame=FRAME, pos_points=[CUP], neg_points=[], obj_bbox=[])
    shape = models.LabeledShapeRequest(
        type="mask",
        frame=FRAME,
        label_id=task.get_labels()[0].id,
        points=[float(number) for number in answer["shapes"][0]["points"]],
    )
    task.set_annotations(models.LabeledDataRequest(shapes=[shape]))
    return task, mask_of(answer)


@pytest.mark.parametrize(
    ("kind", "annotations"),
    [
        ("CVAT for images 1.1", "annotations.xml"),
        ("COCO 1.0", "annotations/instances_default.json"),
        ("Segmentation mask 1.1", ""),
        ("Ultralytics YOLO Segmentation 1.0", ""),
    ],
)
def test_a_clicked_mask_survives_the_exports(clicked, tmp_path, kind, annotations):
    """To the pixel; outlines lose an edge's pixels, and each part is an object of its own."""
    task, mask = clicked
    dataset = open_dataset(exported(task, kind, tmp_path) / annotations)
    read = [dataset.read(name) for name in dataset.image_names]
    ((photo, found),) = [(one, one.photo.objects) for one in read if one.photo.objects]
    assert photo.photo.file_name.endswith("coffee.jpg")
    assert {one.label for one in found} == {"animal"}
    union = np.logical_or.reduce([photo.mask(one.number) for one in found])
    if "YOLO" in kind:
        assert iou(union, mask) > 0.95
    else:
        assert len(found) == 1
        assert np.array_equal(union, mask)


@pytest.mark.parametrize("kind", ["masks", "track"])
def test_a_track_comes_into_a_task_of_its_frames(client, tmp_path, capsys, kind):
    """What `fcfi track` wrote is uploaded as the guide says, and is what it found."""
    from cvat_sdk.core.proxies.tasks import ResourceType

    frames, out = tmp_path / "clip", tmp_path / "cup"
    frames.mkdir()
    photo = np.asarray(Image.open(PHOTOS / "coffee.jpg"))
    for number in range(3):
        Image.fromarray(np.roll(photo, 5 * number, axis=1)).save(frames / f"{number}.png")
    click = ["--click", ",".join(map(str, CUP))]
    assert main(["track", str(frames), *click, "--label", "cup", "--out", str(out), "--no-overlay"]) == 0
    capsys.readouterr()
    task = client.tasks.create_from_data(
        spec={"name": "fcfi e2e track", "labels": [{"name": "cup"}]},
        resource_type=ResourceType.LOCAL,
        resources=sorted(map(str, frames.iterdir())),
    )
    try:
        task.import_annotations("CVAT 1.1", str(out / f"cvat-{kind}.xml"))
        found = task.get_annotations()
    finally:
        task.remove()
    masks = {number: np.array(Image.open(out / "masks" / f"{number}.png")) > 0 for number in range(3)}
    if kind == "masks":
        shapes = {one.frame: cvat.decode(one.points, *SIZE) for one in found.shapes}
        assert shapes.keys() == masks.keys()
        assert all(np.array_equal(shapes[number], masks[number]) for number in masks)
    else:
        (track,) = found.tracks
        assert [(str(one.type), one.frame, one.outside) for one in track.shapes] == [
            ("polygon", number, False) for number in range(3)
        ]
        for one in track.shapes:
            corners = np.array(one.points).reshape(-1, 2)
            drawn = cv2.fillPoly(np.zeros(SIZE[::-1], np.uint8), [corners.round().astype(np.int32)], 1) > 0
            assert iou(drawn, masks[one.frame]) > 0.9


def test_the_first_left_click_gives_a_mask(person, client, task, functions):
    """Tools, left click, right click, undo, finish, save: what is saved is the function's last answer."""
    person.log_in()
    began, hands = time.monotonic(), person.hands
    person.open(task.id, task.get_jobs()[0].id, FRAME, SIZE)
    assert person.interact("FCFI", shot="tools") is None, "no switch stands in the way of the first click"
    person.click(*CUP)
    assert person.shown == 1
    person.shot("first-click")
    person.click(109, 62, negative=True)
    person.shot("right-click")
    before = functions["fcfi"][-1][1]
    person.click(330, 250)
    asked = len(functions["fcfi"])
    person.remove(330, 250)
    until(lambda: len(functions["fcfi"]) > asked)
    body, after = functions["fcfi"][-1]
    assert (len(body["pos_points"]), len(body["neg_points"])) == (1, 1)
    assert after == before, "undo is exact"
    person.finish()
    (shape,) = wait_for_shape(client, task, 1)
    person.shot("saved")
    assert [int(number) for number in shape.points] == after["shapes"][0]["points"]
    assert str(shape.source) == "semi-auto"
    print(f"{person.hands - hands} clicks and keys, {time.monotonic() - began:.1f} s to the saved mask")


def test_another_click_on_the_same_place_shows_another_answer(person, client, task, functions):
    """One click on a cup may mean cup and saucer, or less; what is saved is the answer that was chosen."""
    person.log_in()
    person.open(task.id, task.get_jobs()[0].id, FRAME, SIZE)
    person.interact("FCFI")
    answers = []
    places = ((270, 220), (275, 224), (265, 224))  # beside the dot: on it is no click
    for count, place in enumerate(places, start=1):
        person.click(*place)
        body, answer = functions["fcfi"][-1]
        assert len(body["pos_points"]) == count
        assert person.shown == 1
        time.sleep(2)  # until it is drawn
        person.shot(f"another-answer-{count}")
        answers.append(mask_of(answer))
    areas = [int(answer.sum()) for answer in answers]
    assert areas[0] > 1.2 * areas[1] > 1.2 * 1.2 * areas[2] > 0  # answers of their own, not corrections
    person.finish()
    (shape,) = wait_for_shape(client, task, 1)
    assert (cvat.decode([int(number) for number in shape.points], *SIZE) == answers[2]).all()


def test_a_box_alone_gives_a_mask(person, client, task, functions):
    person.log_in()
    person.open(task.id, task.get_jobs()[0].id, FRAME, SIZE)
    assert person.interact("FCFI with boxes", shot="tools-box") is True, "CVAT begins with a box"
    person.box(*AROUND_CUP)
    assert person.shown == 1
    person.shot("box")
    person.finish()
    (shape,) = wait_for_shape(client, task, 1)
    body, answer = functions["fcfi-box"][-1]
    assert body["pos_points"] == []
    assert [int(number) for number in shape.points] == answer["shapes"][0]["points"]


@pytest.mark.parametrize("function", ["FCFI", "FCFI with boxes"])
def test_a_right_click_first_waits_for_the_object(function, person, task):
    """Nothing says where the object is yet: no mask and no error; the left click then counts both."""
    person.log_in()
    person.open(task.id, task.get_jobs()[0].id, FRAME, SIZE)
    person.interact(function, box=False)
    person.click(20, 20, negative=True)
    assert person.shown == 0
    person.click(*CUP)
    assert person.shown == 1


def test_a_mask_of_low_confidence_is_shown(person, task, functions):
    """A click on a spot of plain background: whatever the function answers is drawn."""
    person.log_in()
    person.open(task.id, task.get_jobs()[0].id, FRAME, SIZE)
    person.interact("FCFI")
    for place in ((560, 30), (40, 370), (575, 380)):
        person.click(*place)
        (shape,) = functions["fcfi"][-1][1]["shapes"]
        assert np.array(shape["points"]).size >= 6
        assert person.shown == 1
    assert not person.seen(".ant-message", "No shapes to display")
