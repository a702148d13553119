"""Bounds on what a process holds back; each in a process of its own, since they cannot be taken back."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os
from fcfi_core.engines.memory import keep_flat
keep_flat()
keep_flat()
print(os.environ["LRU_CACHE_CAPACITY"], os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"])
"""


def settled(**variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_caches_are_bounded_unless_the_operator_bounds_them():
    assert settled() == ["16", "64"]
    assert settled(LRU_CACHE_CAPACITY="7", MALLOC_ARENA_MAX="4") == ["7", "64"]
