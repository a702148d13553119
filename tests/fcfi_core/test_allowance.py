"""Time and memory that work may take."""

from __future__ import annotations

import threading
import time

import pytest

from fcfi_core import allowance
from fcfi_core.allowance import Allowance, Memory, capacity_of, granted, half_of_memory, reserved
from fcfi_core.errors import BusyError, DataError, ImageError


def test_work_ends_when_its_time_is_over_or_nobody_waits():
    with granted(Allowance(time.monotonic() + 60)) as work:
        allowance.checkpoint()
        work.stop(KeyError("gone"))
        with pytest.raises(KeyError):
            allowance.checkpoint()
    with granted(Allowance(time.monotonic() - 1)), pytest.raises(BusyError):
        allowance.checkpoint()
    allowance.checkpoint()  # outside, nothing is granted and nothing ends


def test_what_is_reserved_is_given_back_also_after_an_error():
    memory = Memory(100)
    with granted(Allowance(memory=memory)):
        with reserved(60, "a picture"), reserved(40, "another"):
            assert memory.used == 100
        with pytest.raises(ZeroDivisionError), reserved(50, "a picture"):
            raise ZeroDivisionError
    assert (memory.used, memory.most) == (0, 100)


def test_more_than_there_will_ever_be_is_refused_in_a_sentence():
    with (
        granted(Allowance(memory=Memory(1_000_000))),
        pytest.raises(ImageError, match=r"a picture would take about 2 MB.*FCFI_MEMORY_MEGABYTES"),
        reserved(2_000_000, "a picture", ImageError),
    ):
        raise AssertionError
    with granted(Allowance(memory=Memory(1))), pytest.raises(DataError), reserved(2, "x"):
        raise AssertionError


def test_what_others_hold_is_waited_for():
    memory, held = Memory(100), threading.Event()

    def hold():
        with granted(Allowance(memory=memory)), reserved(80, "x"):
            held.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(5)
    with granted(Allowance(memory=memory)), reserved(80, "y"):
        assert memory.used == 80
    thread.join()


def test_waiting_ends_with_the_deadline():
    memory = Memory(100)
    memory.take(80, "x")
    work = Allowance(time.monotonic() + 0.2, memory)
    with granted(work), pytest.raises(BusyError), reserved(80, "y"):
        raise AssertionError
    with pytest.raises(BusyError, match="in use"):
        memory.take(80, "without waiting")
    assert memory.used == 80


def test_threads_have_allowances_of_their_own():
    seen = []
    with granted(Allowance(time.monotonic() - 1)):
        thread = threading.Thread(target=lambda: seen.append(allowance.present().seconds))
        thread.start()
        thread.join()
    assert seen == [float("inf")]


def test_half_of_the_smallest_limit(tmp_path):
    for name, text in {
        "proc/meminfo": "MemFree: 1 kB\nMemTotal:       8000 kB\n",
        "sys/fs/cgroup/memory.max": "max",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert half_of_memory(tmp_path) == 8000 * 1024 / 2
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("2000000\n")
    assert half_of_memory(tmp_path) == 1_000_000
    assert half_of_memory(tmp_path / "nowhere") > 0


def test_a_number_of_the_operator_wins():
    assert capacity_of(5) == 5_000_000
    assert capacity_of(3000, allowance.MOST_OF_A_SERVER) == 3_000_000_000
    assert 0 < capacity_of(0, allowance.MOST_OF_A_SERVER) <= allowance.MOST_OF_A_SERVER
