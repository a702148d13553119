"""Bounded waiting, and no work for answers nobody will see."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from fcfi_core.allowance import checkpoint
from fcfi_core.errors import BusyError
from fcfi_core.serving.scheduler import Scheduler, Superseded, Turn


@pytest.fixture
def make():
    made = []

    def make(workers=1, waiting=8, seconds=10.0):
        made.append(Scheduler(workers, waiting, seconds))
        return made[-1]

    yield make
    for scheduler in made:
        scheduler.stop(5)


class Gate:
    """Work that waits to be let through."""

    def __init__(self):
        self.open = threading.Event()
        self.begun = threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.open.wait(10)
        checkpoint()
        return "done"


def turn(*regions, of="object", content=None):
    return Turn(of, regions, content or regions)


def blocked(scheduler, **kwargs):
    gate = Gate()
    future = scheduler.submit(gate, **kwargs)
    assert gate.begun.wait(5)
    return gate, future


def test_results_and_errors_reach_the_asker(make):
    scheduler = make()

    def fail():
        raise KeyError("x")

    assert scheduler.submit(lambda: 7).result.result(5) == 7
    with pytest.raises(KeyError):
        scheduler.submit(fail).result.result(5)
    assert scheduler.submit(lambda: 8).result.result(5) == 8


def test_a_waiting_request_makes_room_for_a_newer_one_of_the_same_object(make):
    scheduler = make()
    gate, running = blocked(scheduler)
    computed = []
    first = scheduler.submit(lambda: computed.append(1), turn("a"))
    other = scheduler.submit(lambda: computed.append("other"), turn("z", of="another object"))
    second = scheduler.submit(lambda: computed.append(2), turn("a", "b"))
    with pytest.raises(Superseded):
        first.result.result(5)
    gate.open.set()
    second.result.result(5)
    other.result.result(5)
    assert running.result.result(5) == "done"
    assert computed == ["other", 2]


def test_a_running_request_stops_at_its_next_checkpoint(make):
    scheduler = make(workers=2)
    gate, running = blocked(scheduler, turn=turn("a"))
    assert scheduler.submit(lambda: "new", turn("a", "b")).result.result(5) == "new"
    gate.open.set()
    with pytest.raises(Superseded):
        running.result.result(5)


def test_a_request_that_was_overtaken_on_the_way_is_the_one_that_goes(make):
    scheduler = make()
    gate, _ = blocked(scheduler)
    newer = scheduler.submit(lambda: "newer", turn("a", "b"))
    with pytest.raises(Superseded):
        scheduler.submit(lambda: "older", turn("a")).result.result(5)
    gate.open.set()
    assert newer.result.result(5) == "newer"


def test_a_dragged_dot_replaces_and_a_repetition_does_not(make):
    scheduler = make()
    gate, _ = blocked(scheduler)
    first = scheduler.submit(lambda: 1, turn("a", content="here"))
    again = scheduler.submit(lambda: 2, turn("a", content="here"))
    dragged = scheduler.submit(lambda: 3, turn("a", content="there"))
    for gone in (first, again):
        with pytest.raises(Superseded):
            gone.result.result(5)
    repeated = scheduler.submit(lambda: 4, turn("a", content="there"))
    gate.open.set()
    assert (dragged.result.result(5), repeated.result.result(5)) == (3, 4)


def test_a_full_queue_refuses_with_a_hint(make):
    scheduler = make(waiting=2)
    gate, _ = blocked(scheduler)
    waiting = [scheduler.submit(lambda: None) for _ in range(2)]
    with pytest.raises(BusyError) as refused:
        scheduler.submit(lambda: None)
    assert refused.value.retry_after >= 1
    gate.open.set()
    for future in waiting:
        future.result.result(5)
    assert scheduler.submit(lambda: "free again").result.result(5) == "free again"


def test_a_request_that_waited_too_long_is_not_computed(make):
    scheduler = make(seconds=0.05)
    gate, running = blocked(scheduler)
    late = scheduler.submit(lambda: "computed")
    time.sleep(0.1)
    gate.open.set()
    for future in (running, late):
        with pytest.raises(BusyError, match="too late"):
            future.result.result(5)


def test_a_cancelled_request_is_not_computed_and_harms_nobody(make):
    scheduler = make()
    gate, _ = blocked(scheduler)
    given_up = scheduler.submit(lambda: 1, turn("a"))
    assert given_up.result.cancel()
    after = scheduler.submit(lambda: 2, turn("a", "b"))
    gate.open.set()
    assert after.result.result(5) == 2


def test_stopping_lets_running_work_end_and_refuses_the_rest():
    scheduler = Scheduler(1, 8, 10.0)
    gate, running = blocked(scheduler)
    waiting = scheduler.submit(lambda: 1)
    stopper = threading.Thread(target=scheduler.stop, args=(5,))
    stopper.start()
    with pytest.raises(BusyError, match="stopping"):
        waiting.result.result(5)
    gate.open.set()
    stopper.join(5)
    assert running.result.result(0) == "done"
    with pytest.raises(BusyError):
        scheduler.submit(lambda: 2)


def test_work_without_an_end_is_interrupted_when_its_time_is_over(make):
    def endless():
        while True:
            checkpoint()
            time.sleep(0.01)

    with pytest.raises(BusyError, match="too late"):
        make(seconds=0.2).submit(endless).result.result(5)


def test_a_withdrawn_request_ends_whether_it_waits_or_runs(make):
    scheduler = make()
    gate, running = blocked(scheduler)
    waiting = scheduler.submit(lambda: 1)
    for job in (waiting, running):
        scheduler.withdraw(job, KeyError("gone"))
    with pytest.raises(KeyError):
        waiting.result.result(5)
    gate.open.set()
    with pytest.raises(KeyError):
        running.result.result(5)
    assert scheduler.submit(lambda: "free again").result.result(5) == "free again"


def test_closing_gives_what_runs_little_time(make):
    scheduler = make(seconds=60)

    def endless():
        while True:
            checkpoint()
            time.sleep(0.01)

    running = scheduler.submit(endless)
    time.sleep(0.05)
    scheduler.close(0.1)
    with pytest.raises(BusyError):
        running.result.result(5)


class Picture:
    """Something large."""


def test_a_worker_that_waits_holds_nothing_of_what_it_did(make):
    """Neither what it made, nor what a call that failed had made by then, though the error is still held."""
    there = []

    def made():
        picture = Picture()
        there.append(weakref.ref(picture))
        return picture

    def fails_with_one():
        picture = made()
        try:
            int("no number")
        except ValueError:
            raise BusyError("no.") from None
        return picture

    gc.disable()
    try:
        scheduler = make()
        job = scheduler.submit(made)
        assert isinstance(job.result.result(10), Picture)
        error = scheduler.submit(fails_with_one).result.exception(10)
        assert isinstance(error, BusyError)
        del job
        until = time.monotonic() + 10
        while any(one() is not None for one in there) and time.monotonic() < until:
            time.sleep(0.01)
        assert [one() for one in there] == [None, None]
    finally:
        gc.enable()


def test_an_error_that_names_itself_as_its_cause_ends_no_worker(make):
    def fails():
        error = BusyError("no.")
        raise error from error

    scheduler = make()
    assert isinstance(scheduler.submit(fails).result.exception(10), BusyError)
    assert scheduler.submit(lambda: "done").result.result(10) == "done"
