"""``fcfi bench`` measures both paths and refuses to judge beside other work."""

from __future__ import annotations

import importlib.util
import json

import pytest

from fcfi_core.checkpoints import resolve
from fcfi_core.cli import _machine, _timings, bench, main
from fcfi_core.cli._footprint import Footprint


@pytest.fixture
def command(checkpoint):
    return ["bench", "--model", str(checkpoint), "--with", "--side", "32", "--threads", "1", "--repeats", "3"]


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(bench, "other_load", lambda: 0.0)
    monkeypatch.setattr(_machine.OtherLoad, "share", lambda self: 0.0)
    monkeypatch.setattr(bench, "_CLICKS", bench._CLICKS[:3])
    monkeypatch.setattr(bench, "_SIZES", ((60, 80), (480, 640)))


SMALL = Footprint("m", "torch", 2.7, 5.2, 3.0, 2.0, 400, 300, 100)


@pytest.mark.usefixtures("quiet")
def test_all_paths_in_one_run(command, capsys, monkeypatch):
    monkeypatch.setattr(_timings, "_MOST_SPREAD", 1e9)
    assert main([*command, "--json", "--busy", "0", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    engines = [*bench._engines(resolve("default"), "auto", "cpu")]
    assert {name for name in ("openvino", "torch") if importlib.util.find_spec(name)} <= {*engines}
    rows = report["rows"]
    assert [(row["busy"], row["path"]) for row in rows] == [
        (busy, path) for busy in (0, 1) for path in (*engines, "plain")
    ]
    for row in rows:
        assert row["clicks"] == 9
        for name in ("first", "further", "network", "first_processor", "further_processor"):
            low, middle, high = row[name]
            assert 0 < low <= middle <= high
        assert row["network"][1] <= row["further"][1]
    assert [size["engine"] for size in report["sizes"]] == engines
    for size in report["sizes"]:
        assert size["memory"] > size["memory_without"] > 0
        assert size["memory"] >= size["memory_resting"] > size["memory_without"] / 2
        assert size["ready"] > 0 < size["ready_processor"]
        assert size["file"] == pytest.approx(2 * size["parameters"] * 1e6 / 2**20, rel=0.1)
    assert [photo["engine"] for photo in report["photos"]] == [name for name in engines for _ in range(2)]
    for photo in report["photos"]:
        assert 0 < photo["output"][1] < photo["further"][1]


def test_the_verdict_compares_with_the_official_way(capsys):
    slow, quick = (4.0, 6.0, 8.0), (1.0, 2.0, 3.0)
    rows = [
        _timings.Row("m", path, 0, 32, times, times, times, times, times, 9)
        for path, times in (("openvino", quick), ("torch", slow), ("plain", slow))
    ]
    _timings.print_tables(rows, [_timings.PhotoRow("torch", 0.3, slow, quick, quick)], [SMALL], [])
    assert "m, openvino: 3.0 x faster than the official way on a first click" in capsys.readouterr().out


@pytest.mark.usefixtures("quiet")
def test_own_processes_are_no_other_programs(command, capsys, monkeypatch):
    spawned = []

    def footprint(*arguments):
        spawned.append(arguments)
        return SMALL

    monkeypatch.setattr(_timings, "_MOST_SPREAD", 1e9)
    monkeypatch.setattr(bench, "footprint", footprint)
    monkeypatch.setattr(_machine.OtherLoad, "share", lambda self: 1.0 if spawned else 0.0)
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert spawned
    assert (report["other_load"], report["doubts"]) == (0.0, [])


@pytest.mark.usefixtures("quiet")
def test_widely_spread_times_get_no_verdict(command, capsys, monkeypatch):
    monkeypatch.setattr(_timings, "_MOST_SPREAD", 0.0)
    assert main(command) == 1
    assert "No verdict" in capsys.readouterr().out


@pytest.mark.usefixtures("quiet")
def test_a_busy_machine_gets_figures_but_no_verdict(command, capsys, monkeypatch):
    monkeypatch.setattr(bench, "other_load", lambda: 0.6)
    monkeypatch.setattr(bench, "footprint", lambda *_: SMALL)
    assert main([*command, "--engine", "torch"]) == 1
    said = capsys.readouterr().out
    assert "No verdict on wall times: other programs used 60 %" in said
    assert "processor" in said


def test_a_number_of_busy_processes_below_0(command, capsys):
    assert main([*command, "--busy", "-1"]) == 2
    assert "--busy is -1" in capsys.readouterr().err


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
