"""Threads that sleep while they wait; imported by :mod:`fcfi_core` before anything else.

OpenMP's threads, which do torch's work on the CPU, wait for their next piece by running in circles. On a
machine with a free core for each of them that is a little quicker; beside a browser and an annotation
platform they take the very cores that the work needs, and a click that takes tens of milliseconds takes
seconds (``benchmarks/busy_machine.py``). The policy is read once, when torch loads the OpenMP library:
whoever imports torch before this package sets ``OMP_WAIT_POLICY=PASSIVE`` in the environment instead.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # what the operator says wins
