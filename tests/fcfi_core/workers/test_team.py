from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.errors import DataError, SettingsError
from fcfi_core.workers import Job, Lost, Processes, Threads, WorkerError, finished
from fcfi_core.workers.team import MOST_LOSSES


def doubled(unit: int) -> tuple[int, int, str]:
    return 2 * unit, os.getpid(), threading.current_thread().name


def make_doubled():
    return doubled


def killed_at(unit_of_death: int, unit: int) -> int:
    if unit == unit_of_death:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def make_killed(unit_of_death: int):
    return partial(killed_at, unit_of_death)


def make_nothing():
    raise DataError("no predictor here.")


def make_death():
    os.kill(os.getpid(), signal.SIGKILL)


def hand_in(place, here, make, units, pending=None):
    return finished(place, Job(here, make), units, range(len(units)) if pending is None else pending)


@pytest.mark.parametrize("place", [Threads(2), Processes(2)])
def test_every_pending_unit_is_answered_once(place) -> None:
    found = dict(hand_in(place, doubled, make_doubled, range(10), [1, 4, 9, 2]))
    assert {index: answer[0] for index, answer in found.items()} == {1: 2, 4: 8, 9: 18, 2: 4}
    assert {answer[1] == os.getpid() for answer in found.values()} == {isinstance(place, Threads)}


def test_no_more_than_two_units_a_worker_are_under_way() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def slow(unit: int) -> int:
        begun.append(unit)
        gate.wait(5)
        return unit

    answers = hand_in(Threads(2), slow, None, range(100))
    threading.Timer(0.3, gate.set).start()
    next(answers)
    assert len(begun) <= 5
    answers.close()


def test_a_unit_that_kills_processes_is_given_up_and_the_rest_goes_on() -> None:
    found = dict(hand_in(Processes(1), doubled, partial(make_killed, 3), range(6)))
    assert found == {0: 0, 1: 1, 2: 2, 3: Lost(MOST_LOSSES), 4: 4, 5: 5}
    assert "3 worker processes ended in the middle of it" in str(found[3])


def test_what_keeps_a_process_from_beginning_is_told() -> None:
    with pytest.raises(DataError, match="no predictor here"):
        list(hand_in(Processes(1), doubled, make_nothing, range(6)))


def test_processes_that_die_before_they_begin_are_one_sentence() -> None:
    with pytest.raises(WorkerError, match="the same command goes on"):
        list(hand_in(Processes(1), doubled, make_death, range(6)))


FORGOTTEN = """
import os, sys, time
from fcfi_core.workers import Job, Processes, finished
def work(unit):
    print(os.getpid(), flush=True)
    time.sleep(600)
def make():
    return work
if __name__ == "__main__":
    list(finished(Processes(2), Job(work, make), range(9), range(9)))
"""


def test_workers_end_with_the_process_that_hired_them_however_it_ends(tmp_path) -> None:
    script = tmp_path / "forgotten.py"
    script.write_text(FORGOTTEN)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        workers = [int(main.stdout.readline()) for _ in range(2)]
        main.kill()
    until = time.monotonic() + 30
    while time.monotonic() < until and any(map(runs, workers)):
        time.sleep(0.1)
    left = [worker for worker in workers if runs(worker)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert not left


def runs(pid) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", [Threads, Processes])
def test_no_workers_are_refused(kind) -> None:
    with pytest.raises(SettingsError, match="workers is 0"):
        kind(0)


class Vanished(Exception):
    pass


class FakeWorker:
    """Answers when it is told to, or is lost with all it was given."""

    losses = (Vanished,)

    def __init__(self, place):
        self.place = place
        self.ready = Future()
        self.queue = []
        self.lost = False

    def give(self, unit):
        assert self.ready.done()
        assert not self.lost
        self.queue.append((unit, Future()))
        return self.queue[-1][1]

    def dismiss(self):
        self.place.workers.remove(self)


class FakeCluster(nullcontext):
    """A cluster on which a random event happens whenever the team waits: a worker comes, answers, or goes.

    Args:
        losses: how many workers may go.
        poison: units in whose work a worker always goes.
    """

    fewest = 0

    def __init__(self, count, seed, losses, poison=()):
        super().__init__()
        self.count = count
        self.random = random.Random(seed)
        self.losses = losses
        self.poison = set(poison)
        self.workers = []
        self.done = []

    def hire(self, job):
        self.workers.append(FakeWorker(self))
        return self.workers[-1]

    def wait(self, awaited, timeout, return_when):
        while not (done := [future for future in awaited if future.done()]):
            self.event()
        return type("Done", (), {"done": done})

    def event(self):
        worker = self.random.choice([worker for worker in self.workers if not worker.lost])
        if not worker.ready.done():
            worker.ready.set_result(None)
        elif worker.queue and worker.queue[0][0] in self.poison:
            self.lose(worker)
        elif self.losses and self.random.random() < 0.3:
            self.losses -= 1
            self.lose(worker)
        elif worker.queue:
            unit, future = worker.queue.pop(0)
            self.done.append(unit)
            future.set_result(10 * unit)

    def lose(self, worker):
        worker.lost = True
        for _, future in worker.queue:
            future.set_exception(Vanished())
        if not worker.queue:  # an idle one is not missed before it is given something
            worker.give = lambda unit: (_ for _ in ()).throw(Vanished())


@given(
    count=st.integers(1, 5),
    units=st.integers(0, 30),
    seed=st.integers(0, 10**6),
    poison=st.sets(st.integers(0, 29), max_size=2),
    losses=st.integers(0, 2),
)
def test_whoever_is_lost_each_unit_is_answered_exactly_once(count, units, seed, poison, losses) -> None:
    place = FakeCluster(count, seed, losses, poison)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcfi_core.workers.team.wait", place.wait)
        found = list(hand_in(place, None, make_doubled, range(units)))
    assert sorted(index for index, _ in found) == list(range(units))
    answers = dict(found)
    assert {index for index, answer in answers.items() if isinstance(answer, Lost)} == {
        index for index in poison if index < units
    }
    assert all(answer == 10 * index for index, answer in answers.items() if index not in poison)
    assert not place.workers  # all were let go


def test_work_goes_on_with_those_who_are_left() -> None:
    place = FakeCluster(2, 1, 0)
    first = []
    place.event_of_all = place.event

    def event():
        # The second worker never gets room.
        worker = place.workers[0]
        if not worker.ready.done():
            worker.ready.set_result(None)
        else:
            unit, future = worker.queue.pop(0)
            first.append(unit)
            future.set_result(unit)

    place.event = event
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcfi_core.workers.team.wait", place.wait)
        assert len(list(hand_in(place, None, make_doubled, range(5)))) == 5
    assert first == [0, 1, 2, 3, 4]
