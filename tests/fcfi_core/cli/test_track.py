"""``fcfi track``: what it writes, what it refuses, and corrections in order."""

from __future__ import annotations

import csv
import json
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from fcfi_core import Predictor, propagation
from fcfi_core.cli import main, track
from fcfi_core.evaluation.metrics import iou

SIZE = HEIGHT, WIDTH = 96, 128
PLACES = range(30, 90, 6)


def disc(x):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - 48) ** 2 <= 18**2


def picture(x):
    noise = np.random.default_rng(x).integers(0, 12, (*SIZE, 3))
    return (np.where(disc(x)[..., None], (210, 60, 40), (60, 85, 45)) + noise).astype(np.uint8)


@pytest.fixture
def frames(tmp_path):
    """A folder of pictures of a moving disc, called so that sorting by letters would mix them up."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, x in enumerate(PLACES):
        cv2.imwrite(str(folder / f"{number + 5}.png"), picture(x)[..., ::-1])
    return folder


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.0, (WIDTH, HEIGHT))
    for x in PLACES:
        writer.write(np.ascontiguousarray(picture(x)[..., ::-1]))
    writer.release()
    return path


@pytest.fixture
def follow(tmp_path, monkeypatch, colour_model):
    """Run ``fcfi track`` into ``out`` with an engine that is right on plain pictures."""
    monkeypatch.setattr(track, "load_predictor", lambda arguments: Predictor(colour_model))

    def run(*words):
        given = [*words, "--out", tmp_path / "out", "--device", "cpu", "--threads", 1, "--quiet"]
        return main(["track", *map(str, given)])

    return run


def masks(folder):
    return [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0 for path in sorted(folder.glob("*.png"), key=number)
    ]


def number(path):
    return int("".join(filter(str.isdigit, path.stem)))


def test_a_folder_becomes_masks_a_video_and_lists(frames, follow, tmp_path, capsys):
    assert follow(frames, "--click", "30,48", "--label", "disc") == 0
    out = tmp_path / "out"
    assert "in 10 of 10 frames" in capsys.readouterr().out
    found = masks(out / "masks")
    assert len(found) == len(PLACES)
    for mask, x in zip(found, PLACES, strict=True):
        assert iou(mask, disc(x)) > 0.85
    record = json.loads((out / "track.json").read_text())
    assert record["finished"]
    assert record["prompts"] == ["click 0:30,48"]
    assert [one["name"] for one in record["frames"]][:2] == ["5.png", "6.png"]
    assert [one["seen"] for one in record["frames"]] == [True] + [False] * 9
    with (out / "review.csv").open() as file:
        assert [int(row["frame"]) for row in csv.DictReader(file)] == record["to_review"]
    video = cv2.VideoCapture(str(out / "overlay.webm"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == len(PLACES)
    there, shown = video.read()
    assert there
    assert shown.shape == (*SIZE, 3)


def test_the_default_follows_it_as_well(frames, tmp_path):
    words = ["--click", "30,48", "--out", tmp_path / "out", "--threads", 1, "--quiet", "--no-overlay"]
    assert main(["track", str(frames), *map(str, words)]) == 0
    for mask, x in zip(masks(tmp_path / "out" / "masks"), PLACES, strict=True):
        assert iou(mask, disc(x)) > 0.85


def test_a_video_file_is_taken_apart_once(film, follow, tmp_path, capsys):
    assert follow(film, "--click", "30,48", "--no-overlay", "--json") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == len(PLACES)
    first = tmp_path / "out" / "frames" / "frame_000000.jpg"
    before = first.stat().st_mtime_ns
    assert not (tmp_path / "out" / "overlay.webm").exists()
    assert follow(film, "--click", "30,48", "--click", "5:60,48", "--no-overlay") == 0
    assert first.stat().st_mtime_ns == before
    record = json.loads((tmp_path / "out" / "track.json").read_text())
    assert [one["number"] for one in record["frames"] if one["seen"]] == [0, 5]
    assert record["frames"][3]["name"] == "frame_000003"


def test_platforms_get_their_files(frames, follow, tmp_path):
    assert follow(frames, "--click", "30,48", "--label", "disc") == 0
    out = tmp_path / "out"
    truth = masks(out / "masks")

    images = ElementTree.parse(out / "cvat-masks.xml").getroot().findall("image")
    assert [image.get("name") for image in images][:2] == ["5.png", "6.png"]
    polygons = ElementTree.parse(out / "cvat-track.xml").getroot().findall("track/polygon")
    assert [int(polygon.get("frame")) for polygon in polygons] == list(range(10))

    tasks = json.loads((out / "label-studio.json").read_text())
    assert tasks[0]["data"]["image"] == "/data/local-files/?d=frames/5.png"
    from fcfi_core.masks import label_studio

    (region, _) = tasks[0]["predictions"][0]["result"]
    assert np.array_equal(label_studio.decode(region["value"]["rle"], WIDTH, HEIGHT), truth[0])


def test_clicks_count_in_the_order_given(frames, follow, monkeypatch):
    asked = []
    correct = propagation.Track.correct

    def listening(self, number, clicks=(), box=None, mask=None):
        asked.append((number, [(click.x, click.positive) for click in clicks], box is not None))
        return correct(self, number, clicks, box, mask)

    monkeypatch.setattr(propagation.Track, "correct", listening)
    words = ["--box", "2:22,28,62,68", "--click", "4:54,48", "--click", "4:5,5,-", "--click", "30,48"]
    assert follow(frames, *words, "--no-overlay") == 0
    assert asked == [
        (2, [], True),
        (4, [(54, True), (5, False)], False),
        (0, [(30, True)], False),
    ]


def test_a_mask_shows_the_object(frames, follow, tmp_path):
    path = tmp_path / "drawn.png"
    cv2.imwrite(str(path), disc(PLACES[9]) * np.uint8(255))
    assert follow(frames, "--mask", f"9:{path}", "--no-overlay") == 0
    found = masks(tmp_path / "out" / "masks")
    assert np.array_equal(found[9], disc(PLACES[9]))
    assert iou(found[0], disc(PLACES[0])) > 0.85


def test_bad_frames_are_counted(frames, follow, tmp_path, capsys):
    (frames / "8.png").write_bytes(b"no picture")
    assert follow(frames, "--click", "30,48", "--no-overlay") == 1
    assert "not usable: 3 (frame 3, 8.png" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "track.json").read_text())
    assert record["unusable"] == [3]
    assert "error" in record["frames"][3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing shows the object"),
        (["--click", "99:3,3"], "there is no frame 99"),
        (["--click", "3"], "click"),
        (["--box", "1,1,9,9", "--box", "2,2,8,8"], "several boxes"),
        (["--mask", "no-such.png"], "no-such.png"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(words, said, frames, follow, capsys):
    assert follow(frames, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_inputs_are_never_overwritten(frames, follow, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert follow(frames, "--click", "30,48") == 2
    assert "choose an empty folder" in capsys.readouterr().err
    assert main(["track", str(frames), "--click", "30,48", "--out", str(frames / "out")]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert main(["track", str(frames), "--click", "30,48", "--out", str(tmp_path)]) == 2
    assert "nothing of yours is overwritten" in capsys.readouterr().err
    assert (out / "mine.txt").read_text() == "mine"


def test_what_is_no_video_is_refused(tmp_path, follow, capsys):
    assert follow(tmp_path / "missing.mp4", "--click", "3,3") == 2
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "._1.jpg").write_bytes(b"hidden, as macOS leaves it")
    assert follow(tmp_path / "text.mp4", "--click", "3,3") == 2
    assert follow(tmp_path / "empty", "--click", "3,3") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "there is no" in errors[0]
    assert "cannot be read as a video" in errors[1]
    assert "holds no picture" in errors[2]


def test_an_interrupted_run_leaves_no_half_video_and_can_be_repeated(frames, follow, tmp_path, monkeypatch):
    from fcfi_core.propagation import following

    real, count = propagation.track.follow, iter(range(100))

    def interrupted(*words, **more):
        if next(count) == 4:
            raise KeyboardInterrupt
        return real(*words, **more)

    assert following.follow is real
    with monkeypatch.context() as patched:
        patched.setattr(propagation.track, "follow", interrupted)
        assert follow(frames, "--click", "30,48") == 130
    out = tmp_path / "out"
    assert not list(out.glob("*overlay*"))
    assert not json.loads((out / "track.json").read_text())["finished"]
    assert follow(frames, "--click", "30,48") == 0
    assert (out / "overlay.webm").is_file()
