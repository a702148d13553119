"""How busy the machine is with other work: a measurement beside it would be worth nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATISTICS = Path("/proc/stat")


class OtherLoad:
    """Measures the share of the machine's CPU time that went to others, from creation on.

    Args:
        statistics: the kernel's counters; where there are none (not Linux) the load average serves.
    """

    def __init__(self, statistics: Path = STATISTICS) -> None:
        self._statistics = statistics
        self._start = self._counters()

    def share(self) -> float:
        """Return the share since creation, 0..1: busy time of all cores, less this process's own."""
        busy, idle, own = (now - then for now, then in zip(self._counters(), self._start, strict=True))
        if busy + idle <= 0:
            return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        return min(1.0, max(0.0, busy - own) / (busy + idle))

    def _counters(self) -> tuple[float, float, float]:
        """Return seconds busy and idle of all cores together, and seconds of this process."""
        times = os.times()
        try:
            words = self._statistics.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        except OSError:
            return 0.0, 0.0, times.user + times.system
        user, nice, system, idle, iowait, irq, softirq, steal = (int(word) for word in words)
        second = os.sysconf("SC_CLK_TCK")
        busy = (user + nice + system + irq + softirq + steal) / second
        return busy, (idle + iowait) / second, times.user + times.system


def other_load(seconds: float = 1.0) -> float:
    """Return the share of the machine's CPU time that others use during ``seconds`` from now."""
    load = OtherLoad()
    time.sleep(seconds)
    return load.share()


@contextmanager
def kept_busy(count: int) -> Iterator[None]:
    """Run ``count`` processes beside this one that each want a core for themselves."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
