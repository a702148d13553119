from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.errors import SettingsError
from fcfi_core.pipelines import journal as module
from fcfi_core.pipelines.journal import Journal

RUN = {"model": "a", "options": {"clean": True}}


def test_entries_come_back_in_order_of_the_source(tmp_path) -> None:
    with Journal(tmp_path / "j", RUN) as journal:
        for index in (2, 0, 1):
            journal.append(index, {"image": f"{index}.jpg"})
    with Journal(tmp_path / "j", RUN) as journal:
        assert [index for index, _ in journal.entries()] == [0, 1, 2]
        assert journal.get(2) == {"index": 2, "image": "2.jpg"}
        assert 1 in journal
        assert 3 not in journal


def test_newest_entry_counts(tmp_path) -> None:
    with Journal(tmp_path / "j", RUN) as journal:
        journal.append(0, {"error": "no"})
        journal.append(0, {"objects": []})
    with Journal(tmp_path / "j", RUN) as journal:
        assert journal.get(0) == {"index": 0, "objects": []}
        assert len(journal) == 1


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_killed_at_any_byte(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    with Journal(path, RUN) as journal:
        for index in range(4):
            journal.append(index, {"image": "é" * index})
    content = path.read_bytes()
    size = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:size])
    with Journal(path, RUN) as journal:
        survivors = len(journal)
        assert survivors == max(content[:size].count(b"\n") - 1, 0)
        for index in range(survivors, 4):
            journal.append(index, {"image": "é" * index})
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line", [b'{"index":1,"image":"\0\0\0"}\n', b'{"index":1,"im\n', b'{"in":2}\n', b"[]\n"]
)
def test_a_line_that_is_no_entry_ends_the_journal(tmp_path, line) -> None:
    with Journal(tmp_path / "j", RUN) as journal:
        journal.append(0, {"image": "a"})
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole + line + b'{"index":2,"image":"c"}\n')
    with Journal(tmp_path / "j", RUN) as journal:
        assert [index for index, _ in journal.entries()] == [0]
    assert (tmp_path / "j").read_bytes() == whole


def test_a_line_damaged_within_is_told(tmp_path) -> None:
    with Journal(tmp_path / "j", RUN) as journal:
        journal.append(0, {"image": "a"})
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole + b'{"index":1,"image":\xff}\n')
    with (
        Journal(tmp_path / "j", RUN) as journal,
        pytest.raises(SettingsError, match=r"damaged where .* image 1"),
    ):
        list(journal.entries())


def test_the_disk_is_waited_for_each_second_and_at_the_end(tmp_path, monkeypatch) -> None:
    synced: list[int] = []
    now = [100.0]
    monkeypatch.setattr(module.os, "fsync", synced.append)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Journal(tmp_path / "j", RUN) as journal:
        for index in range(10):
            now[0] += 0.3
            journal.append(index, {"image": "a"})
            assert json.loads((tmp_path / "j").read_bytes().splitlines()[-1])["index"] == index
        assert len(synced) == 2
    assert len(synced) == 3


def test_another_run_is_refused(tmp_path) -> None:
    Journal(tmp_path / "j", RUN).__exit__(None, None, None)
    with pytest.raises(SettingsError, match=r"another run \(model differ"):
        Journal(tmp_path / "j", {**RUN, "model": "b"})
    with pytest.raises(SettingsError, match="another run"):
        Journal(tmp_path / "j", {**RUN, "more": 1})


def test_what_is_no_journal_is_left_alone(tmp_path) -> None:
    path = tmp_path / "j"
    path.write_text("my diary\n")
    with pytest.raises(SettingsError, match="no journal"):
        Journal(path, RUN)
    assert path.read_text() == "my diary\n"
    path.write_text("a line without an end")
    with pytest.raises(SettingsError, match="no journal"):
        Journal(path, RUN)
    assert path.read_text() == "a line without an end"
    path.write_text(json.dumps({"fcfi_journal": 99, "run": RUN}) + "\n")
    with pytest.raises(SettingsError, match="no journal"):
        Journal(path, RUN)


def test_two_runs_at_once_are_refused(tmp_path) -> None:
    with Journal(tmp_path / "j", RUN), pytest.raises(SettingsError, match="in use"):
        Journal(tmp_path / "j", RUN)


def test_unwritable_place_is_named(tmp_path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        Journal(tmp_path / "nowhere" / "j", RUN)


def test_a_journal_that_names_no_engine_was_made_with_torch(tmp_path):
    run = {"model": "a"}
    Journal(tmp_path / "journal", run).__exit__(None, None, None)
    with Journal(tmp_path / "journal", {**run, "engine": "torch 2.13"}) as journal:
        assert len(journal) == 0
    with pytest.raises(SettingsError, match="engine differ"):
        Journal(tmp_path / "journal", {**run, "engine": "openvino 2026"})
