"""Where the milliseconds of a click went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Milliseconds spent in the network's two parts, and in all, since creation."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._parts = {"encode": 0.0, "network": 0.0}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time spent inside to "encode" or "network"."""
        start = time.perf_counter()
        yield
        self._parts[name] += 1000 * (time.perf_counter() - start)

    def finished(self) -> dict[str, float]:
        """Return the parts, the "rest" and the "total"."""
        total = 1000 * (time.perf_counter() - self._start)
        return {**self._parts, "rest": total - sum(self._parts.values()), "total": total}
