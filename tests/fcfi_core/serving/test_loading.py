"""The predictor on its way."""

from __future__ import annotations

import threading
import time

import pytest

from fcfi_core import checkpoints
from fcfi_core.errors import BusyError, WeightsError
from fcfi_core.serving import loading
from fcfi_core.serving.loading import Loading, version_of


def test_versions_change_with_the_file_and_follow_the_choice(tmp_path, monkeypatch):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"1")
    first = version_of(str(file))
    file.write_bytes(b"2")
    assert first.split("-")[:3] == version_of(str(file)).split("-")[:3]
    assert version_of(str(file)) != first
    monkeypatch.setattr(loading, "chosen", lambda: str(file))
    assert version_of(checkpoints.CHOSEN) == version_of(str(file))


def test_the_embedded_model_has_a_new_version_when_its_weights_change():
    digest = checkpoints.CATALOGUE["default"].sha256
    assert version_of("default").endswith(f"-default-{digest[:8]}")
    assert version_of("no-such-model").endswith("-no-such-model")


def test_a_failure_is_told_to_all_who_wait_and_to_the_owner():
    told = []

    def load():
        raise WeightsError("gone.")

    model = Loading(load, "x").start(lambda: told.append(True))
    for _ in range(2):
        with pytest.raises(WeightsError, match="gone"):
            model.wait(5)
    assert (model.state, model.ready, told) == ("failed", None, [True])


def test_an_unexpected_failure_is_told_without_its_traceback():
    def load():
        raise KeyError("secret")

    with pytest.raises(WeightsError, match="see the log") as refused:
        Loading(load, "x").start().wait(5)
    assert "secret" not in str(refused.value)


def test_waiting_ends():
    with pytest.raises(BusyError):
        Loading(lambda: None, "x").wait(0.01)


class Weights:
    """Stands in for a predictor."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def warm_up(self) -> None:
        if self.broken:
            raise WeightsError("damaged.")


def test_new_weights_take_over_and_broken_ones_do_not(caplog):
    first, second = Weights(), Weights()
    model = Loading(lambda: first, "one").start()
    assert model.wait(5) is first
    assert model.renew(lambda: second, "two")
    assert (model.wait(0), model.version, model.state) == (second, "two", "ready")
    with caplog.at_level("WARNING"):
        assert not model.renew(lambda: Weights(broken=True), "three")
    assert (model.ready, model.version) == (second, "two")
    assert "two stays in use: damaged." in caplog.text


def test_a_running_server_follows_the_choice(tmp_path, monkeypatch):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"1")
    choice = ["default"]
    monkeypatch.setattr(loading, "chosen", lambda: choice[0])
    model = Loading(Weights, version_of(checkpoints.CHOSEN)).start()
    before = model.wait(5)
    stop = threading.Event()
    watch = threading.Thread(target=loading.follow_choice, args=(model, Weights, stop, 0.01))
    watch.start()
    try:
        for change in (lambda: choice.__setitem__(0, str(file)), lambda: file.write_bytes(b"22")):
            change()
            wanted = version_of(checkpoints.CHOSEN)
            deadline = time.monotonic() + 5
            while model.version != wanted and time.monotonic() < deadline:
                time.sleep(0.01)
            assert model.version == wanted
            assert model.ready is not before
            before = model.ready
    finally:
        stop.set()
        watch.join(5)
    assert not watch.is_alive()


def test_whatever_stands_in_the_file_of_the_choice_the_next_one_is_followed(monkeypatch, tmp_path):
    names = iter(["default", "bad\0name", "worse", "~nobody/x", "other", *["other"] * 1000])
    seen, stop = [], threading.Event()
    monkeypatch.setattr(loading, "chosen", lambda: next(names))

    class Model:
        state = "ready"

        def renew(self, load, version):
            seen.append(version)
            if len(seen) == 2:
                raise MemoryError
            if "other" in version:
                stop.set()

    monkeypatch.setattr(loading, "version_of", lambda name: f"v-{loading.chosen()}")
    watch = threading.Thread(target=loading.follow_choice, args=(Model(), None, stop, 0.001), daemon=True)
    watch.start()
    watch.join(10)
    assert not watch.is_alive()
    assert len(seen) >= 3


def test_weights_that_fail_in_an_unforeseen_way_leave_the_present_ones_in_use():
    present = Loading(Weights, "old").start()
    present.wait(5)

    def fail():
        raise MemoryError

    assert not present.renew(fail, "new")
    assert present.version == "old"
