"""Bounds on what a process holds back; set in processes of their own, since they cannot be taken back."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from fcfi_core.heap import keep_compiled, outside_heap

CACHES = """
import os
from fcfi_core.heap import keep_flat
keep_flat()
keep_flat()
print(os.environ["LRU_CACHE_CAPACITY"], os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"])
"""

RESIDENT = """
from fcfi_core.heap import fill_heap, keep_flat

def resident():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * 4096 >> 20

keep_flat()
before = resident()
fill_heap(40)
filled = resident()
blocks = [bytearray(b"x") * (3 << 20) for _ in range(10)]
print(filled - before, resident() - filled)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="bounds glibc's heap")


def said(program, **variables):
    bounds = ("MALLOC_", "LRU_CACHE", "ONEDNN_PRIMITIVE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(bounds)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_caches_are_bounded_unless_the_operator_bounds_them():
    assert said(CACHES) == ["16", "64"]
    assert said(CACHES, LRU_CACHE_CAPACITY="7", MALLOC_ARENA_MAX="4") == ["7", "64"]


@glibc
def test_the_heap_is_taken_once_and_used_again():
    taken, more = map(int, said(RESIDENT))
    assert 38 <= taken <= 48
    assert more <= 4


@glibc
def test_the_heap_is_left_alone_where_the_operator_bounds_it():
    assert int(said(RESIDENT, MALLOC_ARENA_MAX="4")[0]) <= 4


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 2, 1, 0)])
def test_a_copy_outside_the_heap_has_the_same_numbers_in_the_same_layout(axes):
    array = np.random.default_rng(0).random((2, 60, 70, 8), np.float32).transpose(axes)
    copy = outside_heap(array)
    assert copy is not array
    assert copy.strides == array.strides
    assert np.array_equal(copy, array)
    part = outside_heap(array[:, ::2])  # not dense itself
    assert np.array_equal(part, array[:, ::2])


def test_small_arrays_stay_where_they_are():
    array = np.zeros(100, np.float32)
    assert outside_heap(array) is array


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="counts the pages of this process")
def test_a_forgotten_copy_gives_its_pages_back():
    def mapped():
        with open("/proc/self/statm") as status:
            return int(status.read().split()[0]) * 4096 >> 20

    gc.collect()
    before = mapped()
    copies = [outside_heap(np.ones((1 << 20, 4), np.float32)) for _ in range(8)]
    assert mapped() - before >= 100
    del copies
    assert mapped() - before <= 64  # malloc may keep a block of the arrays that were copied


@pytest.mark.parametrize(("present", "kept"), [(None, "512"), ("64", "512"), ("300", "300")])
def test_an_engine_may_hold_more_compiled_code_unless_the_operator_says_how_much(monkeypatch, present, kept):
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    if present is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, present)
    keep_compiled(512)
    assert os.environ[name] == kept
