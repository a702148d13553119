"""What a click log tells, and its clicks asked of another model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fcfi_core import Predictor
from fcfi_core.cli import main
from fcfi_core.click_log import ClickLog, Entry
from fcfi_core.errors import DataError
from fcfi_core.evaluation.click_logs import habits, joined, replay
from fcfi_core.masks.finish import RAW, USUAL
from fcfi_core.prompt import Prompt


def entry(**changes):
    made = Entry(
        *("page", "2026-01-01T00:00:00Z", "00", 90, 90, {"clicks": [{"x": 1, "y": 1}]}, (0.0,), (30.0,)),
        *(0.0, 1, 0, {"name": "n", "version": "v", "digest": "d"}, {}, "00", 3, 0.5),
    )
    return replace(made, **changes)


def clicks(*places):
    return {"clicks": [{"x": x, "y": y, "positive": positive} for x, y, positive in places]}


def test_parts_that_several_processes_wrote_become_one_object():
    first = entry(lasted=4.0, answers=2)
    longer = entry(
        time="2026-01-01T00:00:06Z",
        prompt=clicks((1, 1, True), (5, 5, False)),
        seconds=(0.0, 3.0),
        milliseconds=(9.0, 9.0),
        lasted=3.0,
    )
    much_later = entry(time="2026-01-02T00:00:00Z")
    other_place = entry(prompt=clicks((2, 1, True)))
    found = joined([much_later, longer, first, other_place])
    assert len(found) == 3
    (one,) = [part for part in found if len(part.prompt["clicks"]) == 2]
    assert (one.time, one.answers, one.lasted, one.seconds) == (first.time, 3, 9.0, (6.0, 9.0))


def test_habits_by_door():
    one = entry(
        prompt=clicks((1, 1, True), (5, 5, False), (6, 6, False)),
        seconds=(0.0, 2.0, 6.0),
        milliseconds=(40.0, 20.0, 20.0),
        lasted=6.0,
        taken_back=1,
    )
    page, shop, everything = habits([one, entry(), entry(door="shop")])
    assert (page.door, page.objects, page.clicks, page.median_clicks, page.most_clicks) == (
        "page",
        2,
        2,
        2,
        3,
    )
    assert page.negative == 0.5
    assert (page.seconds, page.seconds_between, page.milliseconds) == (6.0, 3.0, 25.0)
    assert page.taken_back == 0.5
    assert shop.door == "shop"
    assert np.isnan(shop.seconds)
    assert (everything.door, everything.objects) == ("all", 3)


@pytest.fixture
def predictor(colour_model):
    return Predictor(colour_model)


@pytest.fixture
def logged(tmp_path, disc, predictor):
    """A folder with a photo, and a log of two objects: clicked on the file, and on its bare pixels."""
    photos = tmp_path / "photos" / "below"
    photos.mkdir(parents=True)
    disc[0].save(photos / "disc.png")
    log = ClickLog(tmp_path / "clicks.jsonl")
    file, pixels = predictor.load(photos / "disc.png"), predictor.load(np.asarray(disc[0]))
    for image, finish in ((file, USUAL), (pixels, RAW)):
        prompt = Prompt.of([(60, 60), (5, 5, False)])
        result = predictor.answer(image, prompt).finished(finish)
        log.finished("page", image, prompt, result, predictor.model, finish)
    return log.path, tmp_path / "photos"


def test_the_same_model_gives_the_same_masks(logged, predictor):
    from fcfi_core.click_log import read

    path, photos = logged
    entries = read(path).entries
    again = replay(entries, photos, predictor, predictor)
    assert [one.same for one in again.played] == [True, True]
    assert [one.iou for one in again.played] == [1.0, 1.0]
    assert (again.missing, again.failed) == (0, ())
    lost = replay([*entries, replace(entries[0], image="ff" * 16)], photos, predictor)
    assert lost.missing == 1
    with pytest.raises(DataError, match="none of the 1 photos"):
        replay([replace(entries[0], image="ff" * 16)], photos, predictor)
    with pytest.raises(DataError, match="no folder"):
        replay(entries, photos / "missing", predictor)


def test_another_model_is_compared(logged, predictor, tiny_model):
    from fcfi_core.click_log import read

    path, photos = logged
    again = replay(read(path).entries, photos, Predictor(tiny_model), predictor)
    assert not any(one.same for one in again.played)
    assert all(0 <= one.iou < 0.9 for one in again.played)


def test_the_command(logged, predictor, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("fcfi_core.cli._click_log.load_predictor", lambda arguments: predictor)
    path, photos = logged
    assert main(["evaluate", "--log", str(path)]) == 0
    told = capsys.readouterr().out
    assert "2 objects in 2 photos" in told
    assert "2.00" in told
    figures = tmp_path / "figures.json"
    assert (
        main(["evaluate", "--log", str(path), "--images", str(photos), "--quiet", "--json", str(figures)])
        == 0
    )
    assert "2 have the mask of then" in capsys.readouterr().out
    found = json.loads(figures.read_text())
    assert found["replay"]["same_mask"] == 2
    assert found["replay"]["mean_iou"] == 1.0
    assert found["doors"][0]["negative"] == 0.5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to evaluate"),
        (["photos", "--log", "clicks.jsonl"], "give one of them"),
        (["--log", "missing.jsonl"], "cannot be read"),
    ],
)
def test_what_the_command_refuses(words, sentence, capsys):
    assert main(["evaluate", *words]) == 2
    assert sentence in capsys.readouterr().err
