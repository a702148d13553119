"""What a source holds and nothing can be made of: counted by kind, told once, never a reason to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

Note = Callable[[str], None]
"""Tells that one thing of a kind is left out: ``note("rings of fewer than three points")``."""


def listed(counts: Mapping[str, int]) -> str:
    """Return ``{kind: how many}`` in words; of a :class:`LeftOut` with the first case of each kind.

    >>> listed({"boxes": 3, "tasks without a submitted annotation": 1})
    'boxes (3), tasks without a submitted annotation (1)'
    """
    firsts = counts.firsts if isinstance(counts, LeftOut) else {}
    return ", ".join(
        f"{kind} ({count}; the first: {firsts[kind]})" if kind in firsts else f"{kind} ({count})"
        for kind, count in sorted(counts.items())
    )


class LeftOut(Mapping[str, int]):
    """``{kind: how many}``, with the first case of each kind; threads may share one.

    Args:
        counts: to begin with.

    >>> left_out = LeftOut()
    >>> left_out.add("rings of fewer than three points", "a.jpg, object 3")
    >>> print(left_out)
    rings of fewer than three points (1; the first: a.jpg, object 3)
    """

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts = dict(counts or {})
        self._firsts: dict[str, str] = dict(counts.firsts) if isinstance(counts, LeftOut) else {}
        self._lock = threading.Lock()

    def add(self, kind: str, first: str = "", count: int = 1) -> None:
        """Count ``count`` more of a kind; ``first`` tells a person where, and is kept if it is the first."""
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + count
            if first:
                self._firsts.setdefault(kind, first)

    def at(self, place: str) -> Note:
        """Return what counts one thing found at ``place``."""
        return lambda kind: self.add(kind, place)

    def take(self, others: Mapping[str, int]) -> None:
        """Add all of ``others``."""
        firsts = others.firsts if isinstance(others, LeftOut) else {}
        for kind, count in others.items():
            self.add(kind, firsts.get(kind, ""), count)

    @property
    def firsts(self) -> Mapping[str, str]:
        """Where the first of each kind was found, as far as it is known."""
        return self._firsts

    def __getitem__(self, kind: str) -> int:
        return self._counts[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __str__(self) -> str:
        return listed(self)

    def __repr__(self) -> str:
        return f"LeftOut({self._counts!r})"


def nothing_noted(kind: str) -> None:
    """Count nothing: for what was counted before."""
