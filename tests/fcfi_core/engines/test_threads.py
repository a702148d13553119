"""CPU threads follow the container's share; one of their own makes the calls."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest

from fcfi_core.engines.threads import OwnThread, container_share, cpu_quota

FORKED = """
import os
from fcfi_core.engines.threads import OwnThread
thread = OwnThread("own")
assert thread.call(os.getpid) == os.getpid()
child = os.fork()
if child == 0:
    os._exit(thread.call(os.getpid) != os.getpid())
print(os.waitpid(child, 0)[1])
"""


def test_calls_of_all_threads_are_made_by_one():
    own, seen = OwnThread("own"), []
    callers = [threading.Thread(target=lambda: seen.append(own.call(threading.get_ident))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


def test_what_a_call_raises_is_raised_and_the_next_one_is_made():
    own = OwnThread("own")
    with pytest.raises(ZeroDivisionError):
        own.call(lambda: 1 // 0)
    assert own.call(lambda: 7) == 7


def test_a_forked_process_gets_a_thread_of_its_own():
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "0"


class Worker:
    def __init__(self, after):
        self.rested = threading.Event()
        self.thread = OwnThread("own", self.rest, after)

    def rest(self):
        self.seen = threading.get_ident()
        self.rested.set()


def test_after_a_while_without_work_it_rests_in_its_own_thread():
    worker = Worker(0.05)
    own = worker.thread.call(threading.get_ident)
    assert worker.rested.wait(30)
    assert worker.seen == own
    worker.rested.clear()
    assert worker.thread.call(lambda: 7) == 7
    assert worker.rested.wait(30)  # every time


def test_it_does_not_rest_while_there_is_work_and_keeps_nobody_alive():
    worker = Worker(3600.0)
    worker.thread.call(lambda: None)
    worker.thread._look()  # as the alarm does, too early
    assert not worker.rested.is_set()
    gone = weakref.ref(worker)
    del worker
    gc.collect()
    assert gone() is None


def lay(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/pod/box",
                "sys/fs/cgroup/pod/cpu.max": "200000 100000",
                "sys/fs/cgroup/pod/box/cpu.max": "400000 100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n1:name=systemd:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_the_quota_of_either_version(tmp_path, files, quota):
    assert cpu_quota(lay(tmp_path, files)) == quota


def test_half_a_core_is_one_thread(tmp_path):
    root = lay(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert container_share(root) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system tells no affinity")
def test_cpus_that_share_a_core_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 5})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = lay(tmp_path, {topology.format(0): "0-1", topology.format(1): "0-1", topology.format(2): "2-3"})
    assert container_share(root) == 3


def test_openmp_number_of_threads_is_a_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1,4")
    assert container_share(tmp_path) == 1


def test_this_machine_gives_at_least_one():
    assert container_share() >= 1
