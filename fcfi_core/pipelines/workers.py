"""Workers for many units of work: threads of this process, or processes of their own.

A network in Python leaves cores idle beside it, whatever its threads; processes with a network each do not.
What they are given and what they return is small and stands alone, so it does not matter which worker has it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

from fcfi_core.errors import FcfiError

Unit = TypeVar("Unit")
Answer = TypeVar("Answer")

_AHEAD = 2
"""Units under way for each worker: one in work, one waiting."""


class WorkerError(FcfiError):
    """A worker process ended in the middle of its work."""


class Workers(Generic[Unit, Answer]):
    """A number of workers.

    Args:
        count: how many.
        work: done in threads of this process.
        make_work: returns the work in a process of its own, once in each; None: threads. It has to be
            picklable, and so have units and answers.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[Unit], Answer],
        make_work: Callable[[], Callable[[Unit], Answer]] | None = None,
    ) -> None:
        self._count = count
        self._work: Callable[[Unit], Answer] = work if make_work is None else _work_here
        self._make_work = make_work

    def finished(self, units: Sequence[Unit], pending: Sequence[int]) -> Iterator[tuple[int, Answer]]:
        """Yield ``(index, answer)`` of the ``pending`` indices of ``units``, as they are finished.

        Raises:
            WorkerError: if a process ended, for example because the system ran out of memory.
        """
        waiting = iter(pending)
        running: dict[Future[Answer], int] = {}
        pool = self._pool()
        try:
            while True:
                while len(running) < _AHEAD * self._count and (index := next(waiting, None)) is not None:
                    running[pool.submit(self._work, units[index])] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise WorkerError(
                "a worker process ended in the middle of its work (is there enough memory?); the same "
                "command goes on where it stopped, with fewer --workers if need be."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)

    def _pool(self) -> Executor:
        if self._make_work is None:
            return ThreadPoolExecutor(self._count, thread_name_prefix="worker")
        # Not a fork of this process: its locks and threads would be copied in whatever state they are.
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        return ProcessPoolExecutor(
            self._count, mp_context=context, initializer=_begin, initargs=(self._make_work,)
        )


_here: list[Callable[[Any], Any]] = []
"""The work of this worker process; made by its initializer, which can hand it on in no other way."""


def _begin(make_work: Callable[[], Callable[[Any], Any]]) -> None:
    """Begin as a worker process: an interruption is the main process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here[:] = [make_work()]


def _work_here(unit: Any) -> Any:
    return _here[0](unit)
