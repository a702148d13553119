"""``fcfi rank``: the table, and what is refused."""

from __future__ import annotations

import csv
import json

import pytest

from fcfi_core import Predictor
from fcfi_core.cli import main
from fcfi_core.workers import cluster, local


@pytest.fixture
def photos(tmp_path, disc):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        disc[0].save(folder / name)
    (folder / "bad.jpg").write_bytes(b"cut")
    return folder


@pytest.fixture
def rank(colour_model, monkeypatch):
    monkeypatch.setattr(Predictor, "from_settings", lambda values, change=None: Predictor(colour_model))
    return lambda *words: main(["rank", *map(str, words), "--quiet"])


def test_a_folder_of_photos(rank, photos, tmp_path, capsys):
    table, content = tmp_path / "ranking.csv", tmp_path / "ranking.json"
    assert rank(photos, "--out", table, "--json", content, "--batch", 2) == 1
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["image"]) for row in rows] == [("1", "a.png"), ("2", "b.png"), ("3", "bad.jpg")]
    assert 0 <= float(rows[0]["need"]) <= 1
    assert rows[2]["need"] == ""
    assert rows[2]["error"]
    found = json.loads(content.read_text())
    assert found["images"][2]["need"] is None
    assert [one["number"] for one in found["batches"]] == [0, 1]
    told = capsys.readouterr()
    assert "3 images, the neediest first" in told.out
    assert "no prompts" in told.err
    assert "1 cannot be judged (the first: bad.jpg" in told.err


def test_prompts(rank, photos, tmp_path, capsys):
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("image,x,y\na.png,60,60\nb.png,5,5\n")
    table = tmp_path / "ranking.csv"
    assert rank(clicks, "--images", photos, "--out", table) == 0
    with table.open() as file:
        assert {row["objects"] for row in csv.DictReader(file)} == {"1"}
    assert "no prompts" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("missing", "--out", "r.csv"), "missing"),
        (("{photos}", "--out", "r.txt"), ".csv"),
        (("{photos}", "--out", "r.csv", "--batch", "0"), "--batch is 0"),
        (("{empty}", "--out", "r.csv"), "no photo"),
    ],
)
def test_what_is_refused(rank, photos, tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert rank(*(word.format(photos=photos, empty=tmp_path / "empty") for word in words)) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize("place", [("--workers", 2), ("--cluster", "auto")], ids=["processes", "cluster"])
def test_wherever_the_work_is_done_the_table_is_the_same(place, photos, tmp_path, monkeypatch, ray):
    monkeypatch.setattr(local, "_FEWEST", 1)
    hired = []
    for kind in (local.Processes, cluster.Cluster):
        hire = kind.hire
        monkeypatch.setattr(kind, "hire", lambda self, job, hire=hire: hired.append(job) or hire(self, job))
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("image,x,y\na.png,60,60\nb.png,5,5\nbad.jpg,1,1\n")
    words = ["rank", str(clicks), "--images", str(photos), "--device", "cpu", "--threads", "1", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "alone.csv"), "--workers", "1"]) == 1
    assert not hired
    assert main([*words, "--out", str(tmp_path / "spread.csv"), *map(str, place)]) == 1
    assert len(hired) >= 2
    assert (tmp_path / "spread.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
