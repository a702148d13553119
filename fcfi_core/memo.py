"""A bounded memory of what has been computed already.

Whatever stands here can be computed again, so forgetting changes times, never values. Entries leave when
the byte cap is reached (least recently used first) or when they were not used for a while.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class _Entry:
    value: Any
    size: int
    used: float


class Memo:
    """A thread-safe store with a byte cap, a time to live and counters.

    Args:
        capacity: bytes; 0 keeps nothing.
        seconds: an entry unused for so long is forgotten.
        clock: seconds, monotonic.
    """

    def __init__(
        self, capacity: int, seconds: float = 900.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = 0
        self._hits = self._misses = self._evictions = self._expirations = 0

    def get(self, key: Hashable) -> Any | None:
        """Return the value stored under ``key``, or None."""
        return self.first([key])[1]

    def first(self, keys: Sequence[Hashable]) -> tuple[int, Any | None]:
        """Return ``(index, value)`` of the first of ``keys`` that is known, or ``(len(keys), None)``.

        Counts as one hit or one miss.
        """
        with self._lock:
            self._forget_unused()
            for index, key in enumerate(keys):
                entry = self._entries.get(key)
                if entry is not None:
                    entry.used = self._clock()
                    self._entries.move_to_end(key)
                    self._hits += 1
                    return index, entry.value
            self._misses += 1
            return len(keys), None

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Store ``value``, which occupies ``size`` bytes; one larger than the whole cap is not kept."""
        with self._lock:
            self._forget_unused()
            if size > self._capacity:
                return
            previous = self._entries.pop(key, None)
            if previous is not None:
                self._bytes -= previous.size
            self._entries[key] = _Entry(value, size, self._clock())
            self._bytes += size
            while self._bytes > self._capacity:
                self._evictions += 1
                self._drop_oldest()

    def clear(self) -> None:
        """Forget everything; the counters go on."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def statistics(self) -> dict[str, int]:
        """Return hits, misses, evictions (by the cap), expirations (by time), entries, bytes, capacity."""
        with self._lock:
            self._forget_unused()
            return {
                "hits": self._hits,
                "misses": self._misses,
                "evictions": self._evictions,
                "expirations": self._expirations,
                "entries": len(self._entries),
                "bytes": self._bytes,
                "capacity": self._capacity,
            }

    def _forget_unused(self) -> None:
        limit = self._clock() - self._seconds
        while self._entries and next(iter(self._entries.values())).used < limit:
            self._expirations += 1
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, entry = self._entries.popitem(last=False)
        self._bytes -= entry.size
