"""How busy the machine is with other work."""

from __future__ import annotations

import subprocess

from fcfi_core.cli import _machine


def test_without_the_kernels_counters_the_load_average_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(_machine.os, "getloadavg", lambda: (1.0, 0.0, 0.0))
    monkeypatch.setattr(_machine.os, "cpu_count", lambda: 4)
    load = _machine.OtherLoad(tmp_path / "none")
    assert load.share() == 0.25
    monkeypatch.setattr(_machine.os, "getloadavg", lambda: (9.0, 0.0, 0.0))
    assert load.share() == 1.0


def test_others_use_between_nothing_and_everything():
    assert 0 <= _machine.other_load(0.01) <= 1


def test_processes_kept_busy_end_with_the_block(monkeypatch):
    started = []
    real = subprocess.Popen

    def recorded(*words, **options):
        started.append(real(*words, **options))
        return started[-1]

    monkeypatch.setattr(_machine.subprocess, "Popen", recorded)
    with _machine.kept_busy(2):
        assert [process.poll() for process in started] == [None, None]
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)
