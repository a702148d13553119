"""Which threads do the work: as many as the container's share, called from one of their own."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakMethod, ref

Owner = TypeVar("Owner", bound=Any)
Given = ParamSpec("Given")
Value = TypeVar("Value")


REST_SECONDS = 60.0
"""Without work until an engine gives back the memory that passes need."""


class OwnThread:
    """A thread that makes calls for all others, one at a time.

    torch, OpenMP and oneDNN keep working memory, compiled code and teams of threads per calling thread:
    called from many, a server holds all of that many times, and its memory grows as each of them meets
    its largest frame.

    Args:
        name: of the thread.
        rest: a method to call when nothing was asked for a while; its object is not kept alive for that.
        rest_after: seconds.
    """

    def __init__(
        self, name: str, rest: Callable[[], None] | None = None, rest_after: float = REST_SECONDS
    ) -> None:
        self._name = name
        self._rest = None if rest is None else WeakMethod(rest)
        self._rest_after = rest_after
        self._lock = threading.Lock()
        self._process = 0
        self._executor: ThreadPoolExecutor | None = None
        self._used = 0.0
        self._alarm: threading.Timer | None = None

    def call(self, function: Callable[[], Value]) -> Value:
        """Return ``function()``, computed in this thread; what it raises is raised here."""
        try:
            return self._here().submit(function).result()
        finally:
            self._used = time.monotonic()
            self._wake_later(self._rest_after)

    def _wake_later(self, seconds: float) -> None:
        """Look in ``seconds`` whether there was nothing to do, unless somebody is to look already."""
        with self._lock:
            if self._rest is not None and self._alarm is None:
                self._alarm = threading.Timer(seconds, _woken, (ref(self),))
                self._alarm.daemon = True
                self._alarm.start()

    def _look(self) -> None:
        """Rest if nothing was asked for long enough, else look again later."""
        self._alarm = None
        left = self._used + self._rest_after - time.monotonic()
        rest = self._rest() if self._rest is not None else None
        if left > 0:
            self._wake_later(left)
        elif rest is not None:
            with suppress(RuntimeError):  # the process ends
                self._here().submit(rest)

    def _here(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None or self._process != os.getpid():  # a fork takes no threads along
                self._executor = ThreadPoolExecutor(1, self._name)
                self._process = os.getpid()
                self._alarm = None
            return self._executor


def _woken(thread: ref[OwnThread]) -> None:
    """Let a thread that is still there look whether it may rest."""
    alive = thread()
    if alive is not None:
        alive._look()


def in_own_thread(
    method: Callable[Concatenate[Owner, Given], Value],
) -> Callable[Concatenate[Owner, Given], Value]:
    """Return ``method``, always computed in the :class:`OwnThread` that its object keeps as ``_thread``."""

    @wraps(method)
    def handed_over(self: Owner, /, *given: Given.args, **named: Given.kwargs) -> Value:
        thread: OwnThread = self._thread
        return thread.call(partial(method, self, *given, **named))

    return handed_over


def container_share(root: Path = Path("/")) -> int:
    """Return the number of CPU threads to use, at least 1.

    The smallest of: ``OMP_NUM_THREADS`` if it is set, the cores of the CPUs that this process may run on
    (two CPUs that share a core do the work of one), and the CPU quota of its control group (version 2 or
    1), rounded down: threads beyond the quota make the kernel pause all of them.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    limits = [_cores(root)]
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal():
        limits.append(int(wanted))
    quota = cpu_quota(root)
    if quota is not None:
        limits.append(math.floor(quota))
    return max(1, min(limits))


def _cores(root: Path) -> int:
    """Return the number of cores behind the CPUs that this process may run on."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    siblings = (
        _text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in cpus
    )
    return len({names or str(cpu) for cpu, names in zip(cpus, siblings, strict=True)})


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the CPU quota of this process's control group in cores; None if it has none.

    In a container its own group is mounted at the top; elsewhere the group is named in
    ``/proc/self/cgroup``, and every parent's quota holds as well.
    """
    quotas = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += [_quota_v2(folder) for folder in _with_parents(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers.split(","):
            quotas += [_quota_v1(folder) for folder in _with_parents(root / "sys/fs/cgroup/cpu", path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _with_parents(mount: Path, path: str) -> list[Path]:
    parts = [part for part in path.split("/") if part and part != ".."]
    return [mount.joinpath(*parts[:count]) for count in range(len(parts) + 1)]


def _quota_v2(folder: Path) -> float | None:
    words = _text(folder / "cpu.max").split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
