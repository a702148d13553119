"""The predictor on its way."""

from __future__ import annotations

import pytest

from fcfi_core import checkpoints
from fcfi_core.errors import BusyError, WeightsError
from label_studio_backend import loading
from label_studio_backend.loading import Loading, version_of


def test_versions_change_with_the_file_and_follow_the_choice(tmp_path, monkeypatch):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"1")
    first = version_of(str(file))
    file.write_bytes(b"2")
    assert first.split("-")[:3] == version_of(str(file)).split("-")[:3]
    assert version_of(str(file)) != first
    monkeypatch.setattr(loading, "chosen", lambda: str(file))
    assert version_of(checkpoints.CHOSEN) == version_of(str(file))
    assert version_of("default").endswith("-default")


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
