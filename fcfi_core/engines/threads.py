"""How many CPU threads this process should use: the container's share, not the host's cores."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

_TORCH_START = torch.get_num_threads()
"""Before anybody sets another number."""


def container_share(root: Path = Path("/")) -> int:
    """Return the number of CPU threads to use, at least 1.

    The smallest of: what torch starts with (physical cores, or ``OMP_NUM_THREADS``), the CPUs this
    process may run on, and the CPU quota of its control group (version 2 or 1), rounded down: threads
    beyond the quota make the kernel pause all of them.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    limits = [_TORCH_START]
    if hasattr(os, "sched_getaffinity"):
        limits.append(len(os.sched_getaffinity(0)))
    quota = cpu_quota(root)
    if quota is not None:
        limits.append(math.floor(quota))
    return max(1, min(limits))


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
