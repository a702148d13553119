"""In the editor, as a person does: keys, clicks, ticks, and what is saved."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcfi_core import Predictor
from fcfi_core.cli import main
from fcfi_core.masks import coco
from fcfi_core.masks import label_studio as code
from fcfi_core.masks.finish import Finish
from fcfi_core.serving.playground import server as playground_server
from fcfi_core.settings import CORE_VARIABLES, read
from label_studio_backend.prompts import from_context
from tests.e2e.label_studio.running import TOKEN

SAMPLES = Path(playground_server.__file__).parent / "assets" / "samples"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (("--output", "brush"), (1400, 900)),
        (("--output", "brush", "--background", "background"), (1024, 700)),
        (("--output", "polygon"), (1366, 768)),
        (("--output", "rectangle"), (1920, 1080)),
        (("--output", "bitmask"), (1280, 800)),
        (("--output", "brush", "--boxes"), (1600, 900)),
    ],
)
def test_in_the_editor_as_a_person_does(
    label_studio, open_editor, project, scene, tmp_path, capsys, options, size
):
    """Log in, Label All Tasks, keys and clicks of the guide, submit, export."""
    number = project(*options)
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    name = f"{'-'.join(options).strip('-')}-{size[0]}".replace("--", "")
    with open_editor(label_studio.url, *size) as editor:
        start = time.monotonic()
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        assert editor.selected_labels() == ["disk"]
        (context,) = editor.click(180 / 640, 240 / 480)
        assert [entry["is_positive"] for entry in context] == [True, True]
        first = editor.hands, time.monotonic() - start
        assert editor.selected_labels() == ["disk"], "the label stays chosen"
        if "--background" in options:
            editor.press("3")
            (disk,) = editor.click(470 / 640, 250 / 480)
            assert disk[-1]["value"]["labels"] == ["background"]
            editor.press("3")
        else:
            (disk,) = editor.click(470 / 640, 250 / 480, negative=True)
            assert disk[-1]["is_positive"] is False
        editor.shot(pictures / f"{name}-negative.png")
        editor.tick()
        assert len(editor.regions()) == 1
        editor.press("2")
        (square,) = editor.click(470 / 640, 250 / 480)
        assert len(square) == 2, "a new object has clicks of its own"
        editor.shot(pictures / f"{name}-second.png")
        editor.tick()
        saved = editor.submit()
        editor.shot(pictures / f"{name}-submitted.png")
    print(f"{name}: first mask after {first[0]} clicks and keys, {first[1]:.1f} s; all {editor.hands}")

    # what was saved is exported
    export = tmp_path / "export.json"
    export.write_bytes(label_studio.ask("GET", f"/api/projects/{number}/export?exportType=JSON").body)
    assert main(["label-studio", "export", str(export), "--to", "coco", "--out", str(tmp_path / "coco")]) == 0
    content = json.loads((tmp_path / "coco" / "instances.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert content["images"][0]["file_name"] == "scene.png"
    found = {name: np.zeros((480, 640), bool) for name in names.values()}
    for one in content["annotations"]:
        found[names[one["category_id"]]] |= coco.decode(one["segmentation"])
    assert set(found) == {"disk", "square & co"}
    predictor = Predictor.from_settings(read(CORE_VARIABLES, os.environ))
    for label, context in (("disk", disk), ("square & co", square)):
        (prompt,) = from_context(context, "background")
        answer = predictor.answer(scene[0], prompt.prompt(640, 480, 640, 480)).finished(Finish())
        if "rectangle" in options:
            box = answer.mask.any(0).nonzero()[0][[0, -1]], answer.mask.any(1).nonzero()[0][[0, -1]]
            wanted = np.zeros_like(answer.mask)
            wanted[box[1][0] : box[1][1] + 1, box[0][0] : box[0][1] + 1] = True
            assert (found[label] == wanted).all()
        elif "polygon" in options:
            assert overlap(found[label], answer.mask) > 0.98
        else:
            assert (found[label] == answer.mask).all()
    assert overlap(found["disk"], scene[1]["disk"]) > (0.75 if "rectangle" in options else 0.9)
    # each mask carries the class it was clicked with, and nothing else
    rows = [entry["value"]["labels"] for entry in saved if entry["type"] == "labels"]
    assert sorted(map(tuple, rows))[:1] == [("disk",)]
    assert {label for row in rows for label in row} == {"disk", "square & co"}
    assert all(len(row) == 1 for row in rows)


def test_a_label_key_pressed_twice_loses_no_mask(label_studio, open_editor, project, tmp_path):
    """The key lets go of its label: the next click gives a mask without a class; the key brings it back."""
    number = project("--output", "brush")
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        editor.click(180 / 640, 240 / 480)
        editor.press("1")
        assert editor.selected_labels() == []
        (alone,) = editor.click(200 / 640, 200 / 480)
        assert [entry["type"] for entry in alone] == ["keypoint"], "a click of no class, sent alone"
        editor.shot(pictures / "key-twice-let-go.png")
        assert editor.all("[data-testid=bottombar-accept-suggestions-button]"), "a mask is shown"
        editor.press("1")
        (together,) = editor.click(160 / 640, 270 / 480)
        editor.shot(pictures / "key-twice-again.png")
        assert sum(entry["type"] == "keypoint" for entry in together) >= 2, (
            "clicks with the label count again"
        )
        editor.tick()
        saved = editor.submit()
    masks = [entry for entry in saved if entry["type"] == "brush"]
    assert len(masks) == 1
    assert [entry["value"]["labels"] for entry in saved if entry["type"] == "labels"] == [["disk"]]


@pytest.fixture
def exclusive(monkeypatch):
    """Let backends started from now on keep finished regions apart."""
    monkeypatch.setenv("FCFI_LABEL_STUDIO_EXCLUSIVE", "1")


def test_finished_regions_keep_their_pixels(label_studio, exclusive, open_editor, project, tmp_path):
    """Alone, the click on the square takes in the disk, too."""
    number = project("--output", "brush")
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        editor.click(180 / 640, 240 / 480)
        editor.click(470 / 640, 250 / 480, negative=True)
        editor.tick()
        time.sleep(6)  # until the editor has saved the draft
        editor.press("2")
        editor.click(470 / 640, 250 / 480)
        editor.shot(pictures / "exclusive.png")
        editor.tick()
        saved = editor.submit()
    disk, square = (
        code.decode(entry["value"]["rle"], 640, 480) for entry in saved if entry["type"] == "brush"
    )
    assert disk.any()
    assert square[250, 470]
    assert not (disk & square).any()


def test_a_track_is_shown_and_accepted(label_studio, served, scene, open_editor, tmp_path, capsys):
    """What `fcfi track` wrote is imported as the guide says, looked at, and submitted as it is."""
    frames, out = served / "clip", tmp_path / "disk"
    frames.mkdir()
    for number in range(2):
        (frames / f"{number}.png").write_bytes(scene[0])
    assert main(["track", str(frames), "--click", "180,240", "--label", "disk", "--out", str(out)]) == 0
    capsys.readouterr()
    config = (out / "label-studio.xml").read_text()
    number = label_studio.post("/api/projects", {"title": "track", "label_config": config})["id"]
    storage = {"project": number, "path": str(frames), "use_blob_urls": True}
    label_studio.post("/api/storages/localfiles", storage)
    label_studio.post(f"/api/projects/{number}/import", json.loads((out / "label-studio.json").read_text()))
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        (region,) = editor.until(editor.regions)
        assert "disk" in region
        editor.shot(Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path) / "track.png")
        mask, label = editor.submit()
    assert label["value"]["labels"] == ["disk"]
    wanted = np.array(Image.open(out / "masks" / "0.png")) > 0
    assert (code.decode(mask["value"]["rle"], 640, 480) == wanted).all()


def test_another_click_on_the_same_place_shows_another_answer(
    label_studio, backend, open_editor, tmp_path, capsys
):
    """One click on a cup may mean cup and saucer, or less: another beside it shows the next answer."""
    backend()
    (tmp_path / "images").mkdir()
    shutil.copy(SAMPLES / "coffee.jpg", tmp_path / "images")
    words = ["label-studio", "setup", str(tmp_path / "images"), "--labels", "cup", "--title", tmp_path.name]
    assert main([*words, "--url", label_studio.url, "--token", TOKEN, "--backend", backend.url]) == 0
    number = int(capsys.readouterr().out.split("project ")[1].split(":")[0])
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    predictor = Predictor.from_settings(read(CORE_VARIABLES, os.environ))
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        places = ((270, 220), (274, 220), (270, 224))  # not on the dot: that selects it
        for count, (x, y) in enumerate(places, start=1):
            (context,) = editor.click(x / 600, y / 400)
            assert sum(entry["type"] == "keypoint" for entry in context) == count
            editor.shot(pictures / f"another-answer-{count}.png")
        editor.tick()
        saved = editor.submit()
    (mask,) = (code.decode(entry["value"]["rle"], 600, 400) for entry in saved if entry["type"] == "brush")
    (prompt,) = from_context(context, "background")
    asked = prompt.prompt(600, 400, 600, 400)
    assert len(asked.repetitions(400, 600)) == 2
    chosen = predictor.answer(SAMPLES / "coffee.jpg", asked).finished(Finish())
    assert (mask == chosen.mask).all()
    first = predictor.segment(SAMPLES / "coffee.jpg", asked.clicks[:1])
    assert 0 < mask.sum() < first.area / 2
