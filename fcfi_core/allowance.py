"""What a piece of work may take: time, and memory.

Whoever starts work that others asked for grants it an :class:`Allowance` (:func:`granted`). Loops whose
length the input decides call :func:`checkpoint`, which raises when the time is over or nobody waits for
the answer any more; whatever makes arrays whose size the input decides reserves them first
(:func:`reserved`). So a deadline interrupts, and a few bytes that claim to be a huge picture get a sentence
instead of the machine's memory.

Without a grant there is all the time in the world, and the memory of the process (:data:`PROCESS`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from fcfi_core.errors import BusyError, DataError, FcfiError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEGABYTE = 1_000_000
"""Bytes; and pixels of a megapixel."""

MOST_OF_A_SERVER = 3000 * MEGABYTE
"""Bytes that a server reserves at most if the operator names no number."""

_PATIENCE = 10.0
_TICK = 0.1


class Memory:
    """A number of bytes that all work of a process shares; thread-safe.

    Args:
        capacity: bytes.
    """

    def __init__(self, capacity: float = math.inf) -> None:
        self._capacity = capacity
        self._used = self._most = 0
        self._changed = threading.Condition()

    @property
    def capacity(self) -> float:
        """Bytes that may be reserved together."""
        return self._capacity

    @property
    def used(self) -> int:
        """Bytes reserved now."""
        return self._used

    @property
    def most(self) -> int:
        """The most bytes that were ever reserved at the same time."""
        return self._most

    def limit(self, capacity: float) -> None:
        """Change the number of bytes; what is reserved already stays so."""
        with self._changed:
            self._capacity = capacity
            self._changed.notify_all()

    def take(
        self,
        size: int,
        what: str,
        allowance: Allowance | None = None,
        error: type[FcfiError] = DataError,
    ) -> None:
        """Reserve ``size`` bytes, waiting a while for others to give theirs back.

        Args:
            size: bytes.
            what: for the message: what they are for.
            allowance: whose time counts while waiting; None: there is no waiting.
            error: raised if they can never be had.

        Raises:
            BusyError: if they cannot be had now.
        """
        if size > self._capacity:
            raise error(
                f"{what} would take about {size / MEGABYTE:,.0f} MB of memory, and "
                f"{self._capacity / MEGABYTE:,.0f} MB are set aside; give a smaller one, or raise "
                "FCFI_MEMORY_MEGABYTES."
            )
        until = time.monotonic() + (_PATIENCE if allowance else 0.0)
        with self._changed:
            while self._used + size > self._capacity:
                if allowance:
                    allowance.checkpoint()
                if time.monotonic() >= until:
                    raise BusyError(
                        "the memory set aside for reading and drawing is in use; try again in some seconds.",
                        retry_after=5.0,
                    )
                self._changed.wait(_TICK)
            self._used += size
            self._most = max(self._most, self._used)

    def give_back(self, size: int) -> None:
        """Return ``size`` reserved bytes."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


def half_of_memory(root: Path = Path("/")) -> float:
    """Return half of the bytes that this process may still use, as far as anything limits them.

    The smallest of: the machine's memory, that of the control group (version 2 or 1), and what the limit of
    the address space (``ulimit -v``) leaves.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    limits = [_kilobytes(root / "proc/meminfo", "MemTotal")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _text(root / "sys/fs/cgroup" / name)
        limits.append(int(text) if text.isdigit() else math.inf)
    if resource is not None:
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            taken = _kilobytes(root / "proc/self/status", "VmSize")
            limits.append(max(0.0, soft - taken) if taken < math.inf else soft)
    return min(limits) / 2


def _kilobytes(path: Path, name: str) -> float:
    for line in _text(path).splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return math.inf


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


PROCESS = Memory(half_of_memory())
"""What work without a grant of its own shares. A process has one memory, so this is one of its kind."""


@dataclass(eq=False)
class Allowance:
    """What one piece of work may take.

    Args:
        until: when its time is over, monotonic seconds.
        memory: where it reserves bytes.
        stopped: why it should end early; set by :meth:`stop`, from any thread.
    """

    until: float = math.inf
    memory: Memory = field(default_factory=lambda: PROCESS)
    stopped: Exception | None = None
    _waits: list[Callable[[], None]] = field(default_factory=list, init=False, repr=False)

    def stop(self, reason: Exception) -> None:
        """Let the work end with ``reason`` at its next checkpoint, and break off what it waits for."""
        self.stopped = reason
        for break_off in tuple(self._waits):
            break_off()

    @contextmanager
    def interruptible(self, break_off: Callable[[], None]) -> Iterator[None]:
        """Call ``break_off`` if the work is stopped within the block, in which it waits for others."""
        self._waits.append(break_off)
        try:
            self.checkpoint()
            yield
        finally:
            self._waits.remove(break_off)

    @property
    def seconds(self) -> float:
        """Time left, at least 0."""
        return max(0.0, self.until - time.monotonic())

    def checkpoint(self) -> None:
        """Raise if going on is useless.

        Raises:
            BusyError: if the time is over.
            Exception: what :meth:`stop` was given.
        """
        if self.stopped is not None:
            raise self.stopped
        if time.monotonic() > self.until:
            raise BusyError("the answer would come too late; try again.", retry_after=5.0)


_PRESENT: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def granted(allowance: Allowance) -> Iterator[Allowance]:
    """Let what is called within the block, in this thread, take what ``allowance`` says."""
    token = _PRESENT.set(allowance)
    try:
        yield allowance
    finally:
        _PRESENT.reset(token)


def present() -> Allowance:
    """Return what the work at hand may take."""
    return _PRESENT.get() or Allowance()


def checkpoint() -> None:
    """Raise if the work at hand has no time left, or nobody waits for it any more."""
    allowance = _PRESENT.get()
    if allowance is not None:
        allowance.checkpoint()


@contextmanager
def reserved(size: float, what: str, error: type[FcfiError] = DataError) -> Iterator[None]:
    """Reserve ``size`` bytes within the block.

    Args:
        size: bytes that the block is about to use, at most.
        what: for the message, for example "a picture of 30000 x 20000 pixels".
        error: raised if the process may never use so many.

    Raises:
        BusyError: if other work uses them, and goes on doing so.
    """
    allowance, whole = present(), math.ceil(size)
    allowance.checkpoint()
    allowance.memory.take(whole, what, allowance, error)
    try:
        yield
    finally:
        allowance.memory.give_back(whole)


def capacity_of(megabytes: float, most: float = math.inf) -> float:
    """Return the bytes that the value of FCFI_MEMORY_MEGABYTES stands for.

    Args:
        megabytes: the value; 0: half of what there is, but at most ``most``.
        most: bytes.
    """
    return megabytes * MEGABYTE if megabytes else min(half_of_memory(), most)
