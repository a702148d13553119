"""Who is served when: a bounded queue, a few workers, and no work for answers nobody will see.

An annotator who clicks faster than answers come is only shown the newest one. So a request that
extends a waiting one of the same object takes its place; the waiting one is answered at once, empty.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fcfi_core.allowance import PROCESS, Allowance, Memory, granted, present
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


@dataclass(eq=False)
class Job(Allowance):
    """A request on its way, with what it may take: its work ends early if the allowance says so.

    Args:
        work: what is to be done, called on a worker.
        turn: which other requests this one replaces; None: none.
        result: of the work.
    """

    work: Callable[[], Any] = field(kw_only=True)
    turn: Turn | None = None
    result: Future[Any] = field(default_factory=Future)

    @property
    def superseded(self) -> bool:
        """Whether a newer request of the same object came."""
        return isinstance(self.stopped, Superseded)


class Scheduler:
    """Runs jobs on a few threads.

    Args:
        workers: threads.
        waiting: jobs that may wait; one more is refused.
        seconds: a job older than that is given up.
        memory: what the jobs share; None: that of the process.
    """

    def __init__(self, workers: int, waiting: int, seconds: float, memory: Memory | None = None) -> None:
        self._limit = waiting
        self._seconds = seconds
        self._memory = memory or PROCESS
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

    def submit(self, work: Callable[[], Any], turn: Turn | None = None) -> Job:
        """Return the job whose result will be that of ``work()``.

        Its time ends with that of whoever submits it, at the latest after ``seconds``.

        Args:
            work: called on a worker, with the job as its allowance.
            turn: which other requests this one replaces; None: none.

        Raises:
            BusyError: if too many jobs wait, or the server is stopping.
        """
        until = min(time.monotonic() + self._seconds, present().until)
        job = Job(until, self._memory, work=work, turn=turn)
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
        return job

    def withdraw(self, job: Job, reason: Exception) -> None:
        """End ``job`` with ``reason``: at once if it waits, at its next checkpoint if it runs."""
        job.stop(reason)
        with self._changed:
            waits = job in self._waiting
            if waits:
                self._waiting.remove(job)
        if waits:
            _refuse(job, reason)

    def _replace(self, job: Job, turn: Turn) -> list[Job]:
        """Mark what ``job`` makes useless (or ``job``, if it came late); return those that need not run."""
        others = [
            other
            for other in (*self._running.values(), *self._waiting)
            if other.turn and other.turn.of == turn.of
        ]
        if any(turn.is_older_than(other.turn) for other in others if other.turn):
            job.stop(Superseded())
            return [job]
        finished = []
        for other in others:
            if other.turn != turn and not other.superseded:
                other.stop(Superseded())
                if other in self._waiting:
                    self._waiting.remove(other)
                    finished.append(other)
                else:
                    self.superseded += 1
        return finished

    def stop(self, seconds: float) -> None:
        """Refuse new jobs, let the running ones end within ``seconds``, and answer the waiting ones busy."""
        self.close(seconds)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def close(self, seconds: float) -> None:
        """Do the same without waiting for the running ones, whose time ends after ``seconds``."""
        with self._changed:
            self._stopping = True
            left = list(self._waiting)
            self._waiting.clear()
            for job in self._running.values():
                job.until = min(job.until, time.monotonic() + seconds)
            self._changed.notify_all()
        for job in left:
            _refuse(job, BusyError("the server is stopping; try again in a moment.", retry_after=5.0))

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
            self._do(job)
            del job  # a worker that waits holds nothing of what it did last

    def _do(self, job: Job) -> None:
        start = time.monotonic()
        try:
            with granted(job):
                job.checkpoint()
                outcome, error = job.work(), None
        except BaseException as raised:  # whatever it is belongs to the one who asked
            outcome, error = None, raised
            _let_go(raised)
        with self._changed:
            del self._running[id(job)]
            self._mean_seconds += 0.1 * (time.monotonic() - start - self._mean_seconds)
        if error is None:
            job.result.set_result(outcome)
        else:
            job.result.set_exception(error)


def _let_go(error: BaseException) -> None:
    """Forget the variables of the calls that an error came through, pictures of gigabytes among them.

    Their memory counts as given back, but whoever holds the error, a future or a log, would hold them, too.
    """
    chain: list[BaseException | None] = [error]
    for one in chain:
        if one is not None:
            traceback.clear_frames(one.__traceback__)
            chain += [further for further in (one.__cause__, one.__context__) if further not in chain]


def _refuse(job: Job, reason: Exception) -> None:
    """End a job that was never begun; whoever asked may have gone away meanwhile."""
    if job.result.set_running_or_notify_cancel():
        job.result.set_exception(reason)
