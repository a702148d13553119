"""The memo forgets by size and by time, and counts."""

from __future__ import annotations

import threading

from fcfi_core.memo import Memo


def test_the_cap_drops_the_least_recently_used():
    memo = Memo(100)
    memo.put("a", 1, 40)
    memo.put("b", 2, 40)
    assert memo.get("a") == 1
    memo.put("c", 3, 40)
    assert memo.get("b") is None
    assert memo.get("a") == 1
    assert memo.statistics() == {
        "hits": 2,
        "misses": 1,
        "evictions": 1,
        "expirations": 0,
        "entries": 2,
        "bytes": 80,
        "capacity": 100,
    }


def test_what_is_larger_than_the_cap_is_not_kept():
    memo = Memo(100)
    memo.put("a", 1, 40)
    memo.put("b", 2, 101)
    assert memo.get("a") == 1
    assert memo.get("b") is None


def test_replacing_counts_bytes_once():
    memo = Memo(100)
    memo.put("a", 1, 40)
    memo.put("a", 2, 60)
    assert memo.get("a") == 2
    assert memo.statistics()["bytes"] == 60


def test_time_forgets_what_is_not_used(clock):
    memo = Memo(100, seconds=10, clock=clock)
    memo.put("a", 1, 1)
    memo.put("b", 2, 1)
    clock.now = 8
    assert memo.get("a") == 1
    clock.now = 12
    assert memo.get("b") is None
    assert memo.get("a") == 1
    clock.now = 30
    assert memo.statistics()["entries"] == 0
    assert memo.statistics()["expirations"] == 2


def test_the_first_known_key_counts_once():
    memo = Memo(100)
    memo.put("b", 2, 1)
    assert memo.first(["a", "b"]) == (1, 2)
    assert memo.first(["x", "y"]) == (2, None)
    assert memo.first([]) == (0, None)
    statistics = memo.statistics()
    assert (statistics["hits"], statistics["misses"]) == (1, 2)


def test_clearing_keeps_the_counters():
    memo = Memo(100)
    memo.put("a", 1, 1)
    memo.get("a")
    memo.clear()
    assert memo.get("a") is None
    assert memo.statistics()["hits"] == 1
    assert memo.statistics()["bytes"] == 0


def test_threads_leave_the_books_in_order():
    memo = Memo(50)

    def work(start):
        for number in range(300):
            memo.put((start, number % 7), number, 10)
            memo.get((start, number % 5))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = memo.statistics()
    assert statistics["bytes"] == 10 * statistics["entries"] <= 50
    assert statistics["hits"] + statistics["misses"] == 1200
