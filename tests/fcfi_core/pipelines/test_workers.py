from __future__ import annotations

import os
import signal
import threading

import pytest

from fcfi_core.errors import DataError
from fcfi_core.pipelines.workers import WorkerError, Workers


def doubled(unit: int) -> tuple[int, int, str]:
    return 2 * unit, os.getpid(), threading.current_thread().name


def make_doubled():
    return doubled


def killed_at_three(unit: int) -> int:
    if unit == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def make_killed():
    return killed_at_three


def make_nothing():
    raise DataError("no predictor here.")


@pytest.mark.parametrize("make", [None, make_doubled])
def test_every_pending_unit_is_answered_once(make) -> None:
    found = dict(Workers(2, doubled, make).finished(range(10), [1, 4, 9, 2]))
    assert {index: answer[0] for index, answer in found.items()} == {1: 2, 4: 8, 9: 18, 2: 4}
    assert {answer[1] == os.getpid() for answer in found.values()} == {make is None}


def test_no_more_than_two_units_a_worker_are_under_way() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def slow(unit: int) -> int:
        begun.append(unit)
        gate.wait(5)
        return unit

    answers = Workers(2, slow).finished(range(100), range(100))
    threading.Timer(0.3, gate.set).start()
    next(answers)
    assert len(begun) <= 5
    answers.close()


def test_a_killed_process_is_one_sentence() -> None:
    with pytest.raises(WorkerError, match="the same command goes on"):
        list(Workers(1, killed_at_three, make_killed).finished(range(6), range(6)))


def test_a_process_that_cannot_begin_is_one_sentence() -> None:
    with pytest.raises(WorkerError, match="ended"):
        list(Workers(1, doubled, make_nothing).finished(range(6), range(6)))
