"""Workers of this machine: threads of this process, or processes of their own.

A network in Python leaves cores idle beside it, whatever its threads; processes with a network each do not.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from fcfi_core.errors import SettingsError
from fcfi_core.workers.team import Answer, Job, Place, Unit

_FEWEST = 8
"""Units for each worker below which starting processes costs more than it saves."""


@dataclass(frozen=True)
class _Here:
    """Workers of this machine.

    Args:
        count: how many.

    Raises:
        SettingsError: if ``count`` is below 1.
    """

    count: int = 1

    def __post_init__(self) -> None:
        require_count(self.count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""


@dataclass(frozen=True)
class Threads(_Here):
    """Threads of this process, which share all it has."""

    fewest = 0

    def hire(self, job: Job[Any, Any]) -> _Executed:
        """Return a thread."""
        return _Executed(ThreadPoolExecutor(1, thread_name_prefix="worker"), _nothing, job.here)


@dataclass(frozen=True)
class Processes(_Here):
    """Processes of this machine."""

    count: int = 2

    @property
    def fewest(self) -> int:
        """Units below which threads are quicker; one process is never quicker than a thread."""
        return _FEWEST * self.count if self.count > 1 else 1 << 62

    def hire(self, job: Job[Any, Any]) -> _Executed:
        """Return a process."""
        assert job.make is not None
        # Not a fork of this process: its locks and threads would be copied in whatever state they are.
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        return _Executed(ProcessPoolExecutor(1, mp_context=context), _begin, _work_here, job.make)


def suited(place: Place, job: Job[Unit, Answer], units: Sequence[Unit], pending: Sequence[int]) -> Place:
    """Return ``place``, or threads of this process where processes of this machine are not worth the trouble.

    Args:
        place: where the work is to be done, not yet open.
        job, units, pending: as for :func:`~fcfi_core.workers.team.finished`.

    Raises:
        SettingsError: if the work is to be done elsewhere, and cannot leave this process.
    """
    if isinstance(place, Threads) or not pending:
        return place if isinstance(place, Threads) else Threads()
    travels = job.make is not None and _travels(units[pending[0]])
    if travels and len(pending) >= place.fewest:
        return place
    if not isinstance(place, Processes):
        raise SettingsError("what this run reads cannot be sent to other machines; run it without --cluster.")
    return Threads(place.count)


def _travels(unit: object) -> bool:
    """Return whether a unit can be sent to a process; those of earlier plugins need not."""
    try:
        pickle.dumps(unit)
    except Exception:  # whatever an object that is no plain value raises
        return False
    return True


def require_count(count: int) -> None:
    """Raise SettingsError for a number of workers below 1."""
    if count < 1:
        raise SettingsError(f"number of workers is {count}; give 1 or more.")


class _Executed:
    """The one thread or process of an executor.

    Args:
        executor: of one.
        begin: done there first, with ``given``.
        work: done there with each unit.
    """

    losses: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(
        self, executor: Executor, begin: Callable[..., None], work: Callable[[Any], Any], *given: Any
    ) -> None:
        self._executor = executor
        self._work = work
        self.ready: Future[Any] = executor.submit(begin, *given)

    def give(self, unit: Any) -> Future[Any]:
        """Return the answer to come."""
        return self._executor.submit(self._work, unit)

    def dismiss(self) -> None:
        """End the thread or process as soon as it has done what it is doing."""
        self._executor.shutdown(cancel_futures=True)


_here: list[Callable[[Any], Any]] = []
"""The work of this worker process; made when it begins, which can hand it on in no other way."""


def _begin(make: Callable[[], Callable[[Any], Any]]) -> None:
    """Begin as a worker process: an interruption is the main process's to handle, with which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_main, name="watch", daemon=True).start()
    _here[:] = [make()]


def _end_with_main() -> None:
    """End this process as soon as the main process is gone, which may be killed and never say so.

    Otherwise it would wait for work for ever: it holds both ends of the pipe by which work comes.
    """
    main = multiprocessing.parent_process()
    assert main is not None
    main.join()
    os._exit(1)


def _work_here(unit: Any) -> Any:
    return _here[0](unit)


def _nothing() -> None:
    """Begin as a thread."""
