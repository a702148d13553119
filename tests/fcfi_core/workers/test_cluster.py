"""The cluster without Ray (a stand-in of the few things we call), and with it where it is asked for."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

import pytest

import fcfi_core
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.workers import Job, Lost, finished
from fcfi_core.workers.cluster import Cluster


def doubled(unit):
    if unit == 13:
        raise SystemExit
    if unit == 99:
        raise DataError("of no use to anyone.")
    return 2 * unit


def make_doubled():
    return doubled


def make_nothing():
    raise DataError("no model here.")


def answers(place, units, make=make_doubled):
    return dict(finished(place, Job(doubled, make), units, range(len(units))))


def test_actors_answer_and_a_unit_that_kills_them_is_given_up(ray):
    with Cluster("auto", 2) as place:
        found = answers(place, [1, 2, 13, 4, 5])
    assert found == {0: 2, 1: 4, 2: Lost(3), 3: 8, 4: 10}
    assert ray.told.killed == 5  # two, and one for each that was lost
    assert ray.told.options[0] == {
        "num_cpus": 1,
        "num_gpus": 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "scheduling_strategy": "SPREAD",
    }


@pytest.mark.parametrize(("needs", "count"), [({"processors": 2}, 3), ({"processors": 1, "gpus": 1}, 1)])
def test_as_many_as_there_is_room_for(ray, needs, count):
    with Cluster("ray://head:10001", **needs) as place:
        assert place.count == count
    assert ray.told.addresses == ["ray://head:10001"]


def test_an_error_of_the_work_is_raised_as_it_is(ray):
    with Cluster("auto", 1) as place, pytest.raises(DataError, match=r"^of no use to anyone\.$"):
        answers(place, [99])


def test_what_keeps_a_worker_from_beginning_names_its_machine(ray, tmp_path, monkeypatch):
    host = socket.gethostname()
    with Cluster("auto", 1) as place, pytest.raises(DataError, match=f"machine {host} .*: no model here"):
        answers(place, [1], make_nothing)
    with (
        Cluster("auto", 1, folders=[tmp_path / "unshared"]) as place,
        pytest.raises(SettingsError, match="unshared"),
    ):
        answers(place, [1])
    place = Cluster("auto", 1)
    monkeypatch.setattr("fcfi_core.workers.cluster._Hand.begin", begun_elsewhere(place))
    with place, pytest.raises(SettingsError, match=r"0\.0\.9.*install the same"):
        answers(place, [1])


def begun_elsewhere(place):
    from fcfi_core.workers.cluster import _Hand

    begin = _Hand.begin

    def begun(self, make, version, folders):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fcfi_core, "__version__", "0.0.9")
            return begin(self, make, version, folders)

    return begun


def test_no_cluster_is_one_sentence(ray):
    with pytest.raises(SettingsError, match=r"no Ray cluster at 'nowhere:1'.*ray start") as caught:
        Cluster("nowhere:1").__enter__()
    assert "\n" not in str(caught.value)


def test_no_ray_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"--cluster needs the package 'ray'"):
        Cluster("auto").__enter__()


def test_no_workers_are_refused():
    with pytest.raises(SettingsError, match="workers is 0"):
        Cluster("auto", 0)


def slow_or_deadly(unit):
    if unit == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return unit, os.getpid()


def make_slow_or_deadly():
    return slow_or_deadly


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
def test_real_ray_whoever_is_killed(monkeypatch, tmp_path):
    real = pytest.importorskip("ray", reason="pip install 'fcfi[cluster]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))  # where a worker finds this file
    real.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20)
    address = real.get_runtime_context().gcs_address
    monkeypatch.setattr(real, "init", lambda **given: None)
    units = [*range(13), 13, *range(14, 60)]
    found, killed = {}, None
    with Cluster(address, 2) as place:
        for index, answer in finished(place, Job(slow_or_deadly, make_slow_or_deadly), units, range(60)):
            assert index not in found
            found[index] = answer
            if killed is None and len(found) == 30:
                killed = answer[1]
                os.kill(killed, signal.SIGKILL)
    assert found[13] == Lost(3)
    assert [found[index][0] for index in range(60) if index != 13] == [unit for unit in units if unit != 13]
    assert found[59][1] != killed
