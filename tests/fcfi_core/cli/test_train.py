"""``fcfi train``: what it refuses before anything starts. Training itself: tests/fcfi_core/training."""

from __future__ import annotations

import json

import pytest

from fcfi_core.cli import main
from fcfi_core.cli._duration import seconds_of
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.training import fine_tuning
from fcfi_core.training.state import saved_step, write_state


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give either a configuration"),
        (["run.toml", "--from", "default"], "give either a configuration"),
        (["run.toml"], "run.toml cannot be read"),
        (["run.toml", "--steps", "0"], "--steps is 0; give at least 1"),
        (["run.toml", "--for", "soon"], "--for is 'soon'; give a length of time such as 90s, 9m or 2h30m"),
        (["run.toml", "--for", "0m"], "--for is '0m'"),
        (["--from", "default", "--for", "9m"], "--for belongs to a configuration"),
        (["run.toml", "--data", "export.json"], "--data belongs to fine-tuning"),
        (["run.toml", "--click-margin", "0.5"], "--click-margin belongs to fine-tuning"),
        (["run.toml", "--clicks", "log.jsonl"], "--clicks belongs to fine-tuning"),
        (["--from", "default", "--out", "tuned"], "fine-tuning needs --data"),
        (["--from", "default", "--data", "export.json"], "fine-tuning needs --out"),
        (["--from", "default", "--data", "e.json", "--out", "t", "--margin", "-1"], "--margin is -1.0"),
        (["--from", "default", "--data", "e.json", "--out", "t", "--margin", "nan"], "--margin is nan"),
        (["--from", "default", "--data", "e.json", "--out", "t"], "e.json"),
        (["--from", "default", "--data", "e.json", "--out", "t", "--threads", "-1"], "threads is -1"),
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


TUNE = ("train", "--from", "default", "--data", "e.json", "--out", "t")


@pytest.mark.parametrize(
    ("environment", "words", "taken"),
    [
        ({}, [], ("auto", 0)),
        ({"FCFI_DEVICE": "cpu", "FCFI_THREADS": "3"}, [], ("cpu", 3)),
        ({"FCFI_DEVICE": "cuda", "FCFI_THREADS": "3"}, ["--device", "cpu", "--threads", "2"], ("cpu", 2)),
    ],
)
def test_fine_tuning_follows_the_environment(environment, words, taken, monkeypatch):
    seen = []

    def fine_tune(*_, options, **__):
        seen.append((options.device, options.threads))
        raise DataError("enough.")

    for name in ("FCFI_DEVICE", "FCFI_THREADS"):
        monkeypatch.setenv(name, environment.get(name, ""))
    monkeypatch.setattr(fine_tuning, "fine_tune", fine_tune)
    assert main([*TUNE, *words]) == 2
    assert seen == [taken]


@pytest.mark.parametrize("threads", ["many", "-2"])
def test_a_wrong_environment_is_one_sentence(threads, monkeypatch, capsys):
    monkeypatch.setenv("FCFI_THREADS", threads)
    assert main([*TUNE]) == 2
    assert threads in capsys.readouterr().err


@pytest.mark.parametrize("step", [None, 150])
@pytest.mark.parametrize("quiet", [[], ["--json"]])
def test_an_interruption_tells_how_to_go_on(step, quiet, tmp_path, monkeypatch, capsys):
    def fine_tune(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fine_tuning, "fine_tune", fine_tune)
    if step is not None:
        (tmp_path / "t").mkdir()
        write_state(tmp_path / "t", {"step": step})
    assert main([*TUNE, *quiet]) == 130
    told = "starts afresh" if step is None else "the same command continues at the last checkpoint, step 150"
    assert capsys.readouterr().err.splitlines()[-1].endswith(told)


def test_the_bar_of_a_continued_run_begins_where_it_continues(monkeypatch, capsys):
    def fine_tune(*_, report, **__):
        report("continuing at step 200")
        report("step 210/300")
        raise DataError("enough.")

    monkeypatch.setattr(fine_tuning, "fine_tune", fine_tune)
    assert main([*TUNE]) == 2
    err = capsys.readouterr().err
    assert "200/300" in err
    assert "210/300" in err


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("9m", 540), ("2h", 7200), ("1H30m5s", 5405)])
def test_lengths_of_time(text, seconds):
    assert seconds_of(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "9", "m", "30m1h", "-9m", "1.5h"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(SettingsError, match="give a length of time"):
        seconds_of(text, "--for")


def test_a_stretch_ends_and_the_same_command_goes_on(make_folder, tmp_path, capsys):
    configuration = tmp_path / "run.toml"
    configuration.write_text(
        f"""
        out = "out"
        steps = 100000
        threads = 1
        development_share = 0
        arguments = {{ width = 16, decoder_width = 16, middle_channels = 8 }}
        phases = [{{ share = 1, size = 64, batch = 2 }}]
        sources = [{{ path = "{make_folder()}" }}]
        """
    )
    assert main(["train", str(configuration), "--for", "1s"]) == 0
    reached = saved_step(tmp_path / "out")
    assert f"the stretch ended at step {reached} of 100000" in capsys.readouterr().out
    assert main(["train", str(configuration), "--steps", str(reached + 1), "--for", "1h", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ended"], told["steps"], saved_step(tmp_path / "out")) == (True, reached + 1, reached + 1)
