"""What a training run writes down, row by row."""

from __future__ import annotations

import csv
import sys

import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.training.log import TrainingLog


def read(folder):
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_may_bring_new_columns(tmp_path):
    log = TrainingLog(tmp_path)
    log.write({"step": 20, "loss": 0.5})
    log.write({"step": 40, "loss": 0.25, "iou": 0.8})
    log.close()
    assert read(tmp_path) == [
        {"step": "20", "loss": "0.5", "iou": ""},
        {"step": "40", "loss": "0.25", "iou": "0.8"},
    ]


def test_a_continued_run_drops_what_comes_after_its_checkpoint(tmp_path):
    log = TrainingLog(tmp_path)
    for step in (20, 40, 60):
        log.write({"step": step, "loss": step})
    log = TrainingLog(tmp_path, continue_at=40)
    log.write({"step": 60, "loss": 7})
    assert [row["loss"] for row in read(tmp_path)] == ["20", "40", "7"]


def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(SettingsError, match="the same command continues"):
        TrainingLog(tmp_path).write({"step": 20, "loss": 1})


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    log = TrainingLog(tmp_path, tensorboard=True)
    log.write({"step": 20, "loss": 0.5})
    log.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert events.stat().st_size > 0


def test_a_missing_tensorboard_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingsError, match=r"fcfi\[train\]"):
        TrainingLog(tmp_path, tensorboard=True)
