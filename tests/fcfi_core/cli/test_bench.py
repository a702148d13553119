"""``fcfi bench`` measures both paths and refuses to judge beside other work."""

from __future__ import annotations

import json

import pytest

from fcfi_core.cli import _machine, bench, main
from fcfi_core.cli._footprint import Footprint


@pytest.fixture
def command(checkpoint):
    return ["bench", "--model", str(checkpoint), "--with", "--side", "32", "--threads", "1", "--repeats", "3"]


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(bench, "other_load", lambda: 0.0)
    monkeypatch.setattr(_machine.OtherLoad, "share", lambda self: 0.0)
    monkeypatch.setattr(bench, "_CLICKS", bench._CLICKS[:3])


@pytest.mark.usefixtures("quiet")
def test_both_paths_in_one_run(command, capsys, monkeypatch):
    monkeypatch.setattr(bench, "_MOST_SPREAD", 1e9)
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows, (size,) = report["rows"], report["sizes"]
    assert size["memory"] > size["memory_without"] > 0
    assert size["file"] == pytest.approx(2 * size["parameters"] * 1e6 / 2**20, rel=0.1)
    assert [row["path"] for row in rows] == ["fast", "plain"]
    for row in rows:
        assert row["clicks"] == 9
        for low, middle, high in (row["first"], row["further"], row["network"]):
            assert 0 < low <= middle <= high
        assert row["network"][1] <= row["further"][1]
    times = (1.0, 2.0, 3.0)
    pair = [bench.Row("m", path, 32, times, times, times, 9) for path in ("fast", "plain")]
    bench._print(pair, [Footprint("m", 2.7, 5.2, 400, 300)], [])
    assert "m: 1.0 x faster on a first click" in capsys.readouterr().out


@pytest.mark.usefixtures("quiet")
def test_own_processes_are_no_other_programs(command, capsys, monkeypatch):
    spawned = []

    def footprint(*arguments):
        spawned.append(arguments)
        return Footprint("m", 2.7, 5.2, 400, 300)

    monkeypatch.setattr(bench, "_MOST_SPREAD", 1e9)
    monkeypatch.setattr(bench, "footprint", footprint)
    monkeypatch.setattr(_machine.OtherLoad, "share", lambda self: 1.0 if spawned else 0.0)
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert spawned
    assert (report["other_load"], report["doubts"]) == (0.0, [])


@pytest.mark.usefixtures("quiet")
def test_widely_spread_times_get_no_verdict(command, capsys, monkeypatch):
    monkeypatch.setattr(bench, "_MOST_SPREAD", 0.0)
    assert main(command) == 1
    assert "No verdict" in capsys.readouterr().out


def test_a_busy_machine_is_refused(command, capsys, monkeypatch):
    monkeypatch.setattr(bench, "other_load", lambda: 0.6)
    assert main(command) == 1
    captured = capsys.readouterr()
    assert "60 %" in captured.err
    assert not captured.out


def test_too_few_rounds(command, capsys):
    assert main([*command[:-1], "2"]) == 2
    assert "--repeats is 2" in capsys.readouterr().err


def test_other_load_is_what_is_not_ours(tmp_path, monkeypatch):
    statistics = tmp_path / "stat"
    statistics.write_text("cpu 100 0 0 1000 0 0 0 0 0 0\n")
    load = _machine.OtherLoad(statistics)
    monkeypatch.setattr(_machine.os, "times", lambda: _times(0.0))
    second = _machine.os.sysconf("SC_CLK_TCK")
    statistics.write_text(f"cpu {100 + 3 * second} 0 0 {1000 + second} 0 0 0 0 0 0\n")
    assert load.share() == pytest.approx(0.75, abs=0.3)


def _times(seconds):
    class Times:
        user = seconds
        system = 0.0

    return Times()
