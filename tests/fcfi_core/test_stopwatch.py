"""The parts of a click's time add up to all of it."""

from __future__ import annotations

from fcfi_core import stopwatch
from fcfi_core.stopwatch import Stopwatch


def test_the_parts_add_up(monkeypatch):
    seconds = iter([0.0, 1.0, 1.5, 2.0, 2.25, 3.0, 3.5, 4.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(seconds))
    watch = Stopwatch()
    with watch.measure("encode"):
        pass
    with watch.measure("network"):
        pass
    with watch.measure("network"):
        pass
    assert watch.finished() == {"encode": 500.0, "network": 750.0, "rest": 2750.0, "total": 4000.0}


def test_what_was_remembered_takes_nothing():
    found = Stopwatch().finished()
    assert found["encode"] == found["network"] == 0
    assert found["total"] == found["rest"] >= 0
