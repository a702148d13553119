"""Who is served when: a bounded queue, a few workers, and no work for answers nobody will see.

An annotator who clicks faster than answers come is only shown the newest one. So a request that
extends a waiting one of the same object takes its place; the waiting one is answered at once, empty.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fcfi_core.errors import BusyError


class Superseded(Exception):  # an outcome, not a fault
    """A newer request of the same object made this one's answer useless."""


@dataclass(frozen=True)
class Turn:
    """Which answers replace each other.

    Args:
        of: the object: equal for all requests of one annotator on one object.
        regions: ids of its regions, oldest first.
        content: all that the answer depends on; equal requests (a repetition) do not replace each other.
    """

    of: Hashable
    regions: tuple[str, ...]
    content: Hashable

    def is_older_than(self, other: Turn) -> bool:
        """Return whether ``other`` is surely later: it has these regions and more."""
        return len(self.regions) < len(other.regions) and other.regions[: len(self.regions)] == self.regions


@dataclass
class Job:
    """A request on its way; handed to the work so that it can stop early."""

    work: Callable[[Job], Any]
    turn: Turn | None
    until: float
    result: Future[Any] = field(default_factory=Future)
    superseded: bool = False

    def checkpoint(self) -> None:
        """Raise if going on is useless.

        Raises:
            Superseded: if a newer request came.
            BusyError: if the time for an answer is over.
        """
        if self.superseded:
            raise Superseded
        if time.monotonic() > self.until:
            raise BusyError("the answer would come too late; click again.", retry_after=5.0)


class Scheduler:
    """Runs jobs on a few threads.

    Args:
        workers: threads.
        waiting: jobs that may wait; one more is refused.
        seconds: a job older than that is given up.
    """

    def __init__(self, workers: int, waiting: int, seconds: float) -> None:
        self._limit = waiting
        self._seconds = seconds
        self._waiting: deque[Job] = deque()
        self._running: dict[int, Job] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._mean_seconds = 0.3
        self.superseded = 0
        self._threads = [
            threading.Thread(target=self._serve, name=f"fcfi-worker-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Jobs not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs under way."""
        return len(self._running)

    def submit(self, work: Callable[[Job], Any], turn: Turn | None = None) -> Future[Any]:
        """Return the future result of ``work(job)``.

        Args:
            work: called on a worker.
            turn: which other requests this one replaces; None: none.

        Raises:
            BusyError: if too many jobs wait, or the server is stopping.
        """
        job = Job(work, turn, time.monotonic() + self._seconds)
        gone: list[Job] = []
        with self._changed:
            if turn is not None:
                gone = self._replace(job, turn)
            if not job.superseded:
                if self._stopping or len(self._waiting) >= self._limit:
                    delay = 1.0 + self._mean_seconds * len(self._waiting) / max(1, len(self._threads))
                    raise BusyError(
                        f"{len(self._waiting)} requests are waiting already; try again in {delay:.0f} s.",
                        retry_after=delay,
                    )
                self._waiting.append(job)
                self._changed.notify()
            self.superseded += len(gone)
        for old in gone:
            _refuse(old, Superseded())
        return job.result

    def _replace(self, job: Job, turn: Turn) -> list[Job]:
        """Mark what ``job`` makes useless (or ``job``, if it came late); return those that need not run."""
        others = [
            other
            for other in (*self._running.values(), *self._waiting)
            if other.turn and other.turn.of == turn.of
        ]
        if any(turn.is_older_than(other.turn) for other in others if other.turn):
            job.superseded = True
            return [job]
        finished = []
        for other in others:
            if other.turn != turn and not other.superseded:
                other.superseded = True
                if other in self._waiting:
                    self._waiting.remove(other)
                    finished.append(other)
                else:
                    self.superseded += 1
        return finished

    def stop(self, seconds: float) -> None:
        """Refuse new jobs, let the running ones end within ``seconds``, and answer the waiting ones busy."""
        with self._changed:
            self._stopping = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job in left:
            _refuse(job, BusyError("the server is stopping; try again in a moment.", retry_after=5.0))
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                job = self._waiting.popleft()
                if not job.result.set_running_or_notify_cancel():
                    continue
                self._running[id(job)] = job
            start = time.monotonic()
            try:
                job.checkpoint()
                outcome, error = job.work(job), None
            except BaseException as raised:  # whatever it is belongs to the one who asked
                outcome, error = None, raised
            with self._changed:
                del self._running[id(job)]
                self._mean_seconds += 0.1 * (time.monotonic() - start - self._mean_seconds)
            if error is None:
                job.result.set_result(outcome)
            else:
                job.result.set_exception(error)


def _refuse(job: Job, reason: Exception) -> None:
    """End a job that was never begun; whoever asked may have gone away meanwhile."""
    if job.result.set_running_or_notify_cancel():
        job.result.set_exception(reason)
