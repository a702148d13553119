"""``fcfi train``: what it refuses before anything starts. Training itself: tests/fcfi_core/training."""

from __future__ import annotations

import pytest

from fcfi_core.cli import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give either a configuration"),
        (["run.toml", "--from", "default"], "give either a configuration"),
        (["run.toml"], "run.toml cannot be read"),
        (["run.toml", "--steps", "0"], "--steps is 0; give at least 1"),
        (["run.toml", "--data", "export.json"], "--data belongs to fine-tuning"),
        (["run.toml", "--click-margin", "0.5"], "--click-margin belongs to fine-tuning"),
        (["--from", "default", "--out", "tuned"], "fine-tuning needs --data"),
        (["--from", "default", "--data", "export.json"], "fine-tuning needs --out"),
        (["--from", "default", "--data", "e.json", "--out", "t", "--margin", "-1"], "--margin is -1.0"),
        (["--from", "default", "--data", "e.json", "--out", "t", "--margin", "nan"], "--margin is nan"),
        (["--from", "default", "--data", "e.json", "--out", "t"], "e.json"),
        (["--from", "nowhere", "--data", "e.json", "--out", "t"], "'nowhere'"),
    ],
)
def test_a_wrong_call_is_one_sentence(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if words[:1] == ["run.toml"] and len(words) > 1:
        (tmp_path / "run.toml").write_text('out = "run"\nsteps = 1\n[[sources]]\npath = "photos"\n')
    assert main(["train", *words]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "t").exists()
