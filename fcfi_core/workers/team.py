"""Units of work are handed to workers; the answers come back one by one, each exactly once.

Workers pull: whoever is ready has one unit in work and one waiting, so a slow machine holds nothing up. A
worker that is lost, for whatever reason, is replaced, and its units go to others. Where a unit was in work
each time that several workers were lost, it is the unit's fault: it is given up, and the rest goes on.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from fcfi_core.errors import FcfiError

logger = logging.getLogger("fcfi.workers")

Unit = TypeVar("Unit")
Answer = TypeVar("Answer")

MOST_LOSSES = 3
"""Workers that one unit may cost before it is given up."""

_AHEAD = 2
"""Units under way for each worker: one in work, one waiting."""

_FRUITLESS = 4
"""Workers lost in a row for each that there should be, without one answer between, before all is given up."""

_FEWEST_FRUITLESS = 10
_PATIENCE = 30.0


class WorkerError(FcfiError):
    """Workers end again and again, whatever they are given."""


@dataclass(frozen=True)
class Lost:
    """What comes back for a unit that is given up.

    Args:
        workers: how many ended in the middle of it.
    """

    workers: int

    def __str__(self) -> str:
        return (
            f"{self.workers} worker processes ended in the middle of it (is there enough memory?); give "
            "each more memory, then try it again"
        )


@dataclass(frozen=True)
class Job(Generic[Unit, Answer]):
    """What is done with each unit.

    Args:
        here: does it in threads of this process.
        make: returns what does it in another process, called once in each; picklable, as units and answers
            have to be. None: only this process can do it.
    """

    here: Callable[[Unit], Answer]
    make: Callable[[], Callable[[Unit], Answer]] | None = None


class Worker(Protocol):
    """Does one unit after the other, in the order given."""

    @property
    def ready(self) -> Future[Any]:
        """Done when the worker can work; failed if it cannot."""

    @property
    def losses(self) -> tuple[type[BaseException], ...]:
        """What a future is failed with if the worker is lost."""

    def give(self, unit: Any) -> Future[Any]:
        """Return the answer to come."""

    def dismiss(self) -> None:
        """Let the worker go, and what it was given with it."""


class Place(Protocol):
    """Where workers are."""

    @property
    def count(self) -> int:
        """How many to hire."""

    @property
    def fewest(self) -> int:
        """Units below which hiring costs more than it saves."""

    def __enter__(self) -> Self:
        """Open the place."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""

    def hire(self, job: Job[Any, Any]) -> Worker:
        """Return a worker for ``job``; it need not be ready yet, or ever."""


def finished(
    place: Place, job: Job[Unit, Answer], units: Sequence[Unit], pending: Sequence[int]
) -> Iterator[tuple[int, Answer | Lost]]:
    """Yield ``(index, answer)`` of the ``pending`` indices of ``units``, as they are finished.

    Args:
        place: open.
        job: raises what shall end all work; whatever belongs to one unit is part of its answer.
        units: all of them.
        pending: those to do.

    Raises:
        WorkerError: if workers are lost whatever they are given.
    """
    team: _Team[Unit, Answer] = _Team(place, job, units, pending)
    try:
        yield from team.answers()
    finally:
        team.dismiss()


@dataclass(eq=False)
class _Member(Generic[Answer]):
    """A worker, and what it was given, in order."""

    worker: Worker
    given: dict[int, Future[Answer]] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return self.worker.ready.done()

    @property
    def awaited(self) -> list[Future[Any]]:
        return list(self.given.values()) if self.is_ready else [self.worker.ready]

    def is_lost(self, future: Future[Any]) -> bool:
        return future.done() and isinstance(future.exception(), self.worker.losses)


class _Team(Generic[Unit, Answer]):
    def __init__(
        self, place: Place, job: Job[Unit, Answer], units: Sequence[Unit], pending: Sequence[int]
    ) -> None:
        self._place = place
        self._job = job
        self._units = units
        self._again: deque[int] = deque()
        self._fresh = iter(pending)
        self._losses: Counter[int] = Counter()
        self._fruitless = 0
        self._told = False
        self._members: list[_Member[Answer]] = []
        for _ in range(min(place.count, len(pending))):
            self._hire()

    def answers(self) -> Iterator[tuple[int, Answer | Lost]]:
        while True:
            self._hand_out()
            if not any(member.given for member in self._members) and not self._units_wait():
                return
            awaited = [future for member in self._members for future in member.awaited]
            if not wait(awaited, _PATIENCE, FIRST_COMPLETED).done:
                self._tell_of_waiting()
                continue
            for member in list(self._members):
                if member.is_lost(member.worker.ready):
                    yield from self._replace(member)
                    continue
                if member.is_ready:
                    member.worker.ready.result()
                yield from self._collect(member)

    def dismiss(self) -> None:
        for member in self._members:
            member.worker.dismiss()

    def _hire(self) -> None:
        self._members.append(_Member(self._place.hire(self._job)))

    def _hand_out(self) -> None:
        for depth in range(1, _AHEAD + 1):  # first one for each
            for member in self._members:
                while member.is_ready and len(member.given) < depth and (index := self._next()) is not None:
                    member.given[index] = _given(member.worker, self._units[index])

    def _next(self) -> int | None:
        return self._again.popleft() if self._again else next(self._fresh, None)

    def _units_wait(self) -> bool:
        index = self._next()
        if index is None:
            return False
        self._again.appendleft(index)
        return True

    def _collect(self, member: _Member[Answer]) -> Iterator[tuple[int, Answer | Lost]]:
        for index, future in list(member.given.items()):
            if member.is_lost(future):
                yield from self._replace(member)
                return
            if future.done():
                answer = future.result()
                del member.given[index]
                self._fruitless = 0
                yield index, answer

    def _replace(self, member: _Member[Answer]) -> Iterator[tuple[int, Lost]]:
        """Hire another worker in place of a lost one; yield its unit if that is to be given up."""
        self._members.remove(member)
        member.worker.dismiss()
        self._fruitless += 1
        if self._fruitless >= max(_FRUITLESS * self._place.count, _FEWEST_FRUITLESS):
            raise WorkerError(
                f"{self._fruitless} worker processes ended one after the other without one answer (is there "
                "enough memory?); the same command goes on where it stopped, with fewer --workers if need be."
            )
        unfinished = list(member.given)
        if unfinished:
            first = unfinished[0]  # the one in work
            self._losses[first] += 1
            logger.warning("a worker ended in the middle of unit %d (%d)", first, self._losses[first])
            if self._losses[first] >= MOST_LOSSES:
                yield unfinished.pop(0), Lost(self._losses[first])
        self._again.extendleft(reversed(unfinished))
        self._hire()

    def _tell_of_waiting(self) -> None:
        if not self._told and not any(member.is_ready for member in self._members):
            self._told = True
            logger.warning("no worker is ready yet: waiting for room on the machines")


def _given(worker: Worker, unit: Any) -> Future[Any]:
    """Return the answer to come; failed at once if the worker is known to be lost."""
    try:
        return worker.give(unit)
    except worker.losses as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future
