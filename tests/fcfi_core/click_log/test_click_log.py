"""The click log: what is one object, what is written of it, and that no click ever waits or fails for it."""

from __future__ import annotations

import json
import logging
import pickle
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core import Click, Predictor
from fcfi_core.click_log import ClickLog, Entry, mask_digest, read
from fcfi_core.click_log.file import append, older
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.evaluation.click_logs import habits, joined
from fcfi_core.masks.finish import USUAL, Finish
from fcfi_core.prompt import Prompt


@pytest.fixture
def log(tmp_path, clock):
    made = ClickLog(tmp_path / "clicks.jsonl", clock=clock)
    yield made
    made.close()


@pytest.fixture
def predictor(colour_model):
    return Predictor(colour_model)


@pytest.fixture
def image(predictor, disc):
    return predictor.load(disc[0])


@pytest.fixture
def ask(log, predictor, image):
    """Ask for a mask at a door, as a server does."""

    def asking(*clicks, door="page", **start):
        prompt = Prompt.of(clicks, **start)
        result = predictor.answer(image, prompt).finished(USUAL)
        log.answered(door, image, prompt, result, predictor.model, USUAL)
        return result

    return asking


def test_clicks_on_one_object_become_one_line(ask, log, clock, image, predictor):
    ask((60, 60))
    clock.now += 2.5
    ask((60, 60), (5, 5, False))
    clock.now += 1
    ask((60, 60))  # undone
    clock.now += 4
    last = ask((60, 60), (90, 60))
    log.close()
    (entry,) = read(log.path).entries
    assert entry.asked() == Prompt.of([(60, 60), (90, 60)])
    assert entry.seconds == (0.0, 7.5)
    assert len(entry.milliseconds) == 2
    assert entry.lasted == 7.5
    assert (entry.answers, entry.taken_back) == (4, 1)
    assert entry.time == "1970-01-01T00:00:00Z"
    assert (entry.image, entry.width, entry.height) == (image.digest, 160, 120)
    assert entry.model == {"name": "colour", "version": "1", "digest": "0" * 64}
    assert entry.mask == mask_digest(last.mask)
    assert entry.area == last.mask.sum()
    assert entry.finished_by() == USUAL
    replayed = predictor.answer(image, entry.asked()).finished(entry.finished_by())
    assert mask_digest(replayed.mask) == entry.mask


def test_two_objects_two_doors_and_a_prior_mask_are_told_apart(ask, log, disc):
    ask((60, 60))
    ask((5, 5))
    ask((60, 60), door="other page")
    ask(mask=disc[1])
    ask((100, 100), mask=disc[1])
    ask(box=(20, 20, 90, 90))
    log.close()
    entries = read(log.path).entries
    assert sorted(entry.answers for entry in entries) == [1, 1, 1, 1, 2]
    (with_mask,) = [entry for entry in entries if "mask" in entry.prompt]
    assert np.array_equal(with_mask.asked().mask, disc[1])
    assert with_mask.seconds == (0.0,)


def test_an_object_is_written_when_nobody_goes_on_with_it(tmp_path, predictor, image):
    log = ClickLog(tmp_path / "clicks.jsonl", finished_after=0.05)
    prompt = Prompt.of([(60, 60)])
    log.answered("page", image, prompt, predictor.answer(image, prompt), predictor.model, USUAL)
    until = time.monotonic() + 20
    while not log.path.exists() or not log.path.read_bytes().endswith(b"\n"):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert len(read(log.path).entries) == 1
    log.close()
    assert len(read(log.path).entries) == 1


def test_objects_of_batch_work_are_written_at_once(log, predictor, image):
    prompt = Prompt.of([(60, 60)])
    log.finished("batch", image, prompt, predictor.answer(image, prompt), predictor.model, Finish(0, 0))
    (entry,) = read(log.path).entries
    assert entry.door == "batch"
    assert entry.finished_by() == Finish(0, 0)


def test_nothing_of_the_pixels_or_of_people_is_written(ask, log):
    ask((60, 60))
    log.close()
    fields = json.loads(log.path.read_bytes())
    assert set(fields) == {
        *(
            "format",
            "door",
            "time",
            "image",
            "width",
            "height",
            "prompt",
            "seconds",
            "milliseconds",
            "lasted",
        ),
        *("answers", "taken_back", "model", "finish", "mask", "area", "confidence"),
    }
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_full_disk_is_one_sentence_and_stops_no_click(ask, log, caplog, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fcfi_core.click_log.log.append", full)
    with caplog.at_level(logging.WARNING):
        for column in range(20, 26):
            assert ask((column, 60)).mask is not None
        log.close()
    (record,) = caplog.records
    assert "No space left on device" in record.getMessage()


def test_half_a_line_is_taken_back(tmp_path):
    path = tmp_path / "clicks.jsonl"
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from fcfi_core.click_log.file import append\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (15, 15))\n"
        "append(Path(sys.argv[1]), b'0123456789\\n', 1000)\n"
        "try: append(Path(sys.argv[1]), b'abcdefghij\\n', 1000)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip()
    assert path.read_bytes() == b"0123456789\n"


def test_both_files_together_stay_below_the_cap(tmp_path):
    path = tmp_path / "clicks.jsonl"
    for number in range(100):
        append(path, b"%07d\n" % number, 200)
        assert path.stat().st_size + (older(path).stat().st_size if older(path).exists() else 0) <= 200
    kept = (older(path).read_bytes() + path.read_bytes()).split()
    assert kept[-1] == b"0000099"
    assert kept == sorted(kept)


def test_lines_of_many_writers_stay_whole(tmp_path):
    path = tmp_path / "clicks.jsonl"
    threads = [
        threading.Thread(target=lambda n=n: [append(path, b"%d" % n * 60 + b"\n", 10**6) for _ in range(50)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_bytes().splitlines()
    assert len(lines) == 400
    assert all(len(line) == 60 and len(set(line)) == 1 for line in lines)


def test_settings(tmp_path):
    def made(path):
        return ClickLog.from_settings({"FCFI_CLICK_LOG": path, "FCFI_CLICK_LOG_MEGABYTES": 1.0})

    assert made("") is None
    assert made(str(tmp_path / "clicks.jsonl")).path == tmp_path / "clicks.jsonl"
    for bad in (tmp_path, tmp_path / "missing" / "clicks.jsonl"):
        with pytest.raises(SettingsError, match="FCFI_CLICK_LOG is"):
            made(str(bad))


def test_it_travels_to_worker_processes(log):
    assert pickle.loads(pickle.dumps(ClickLog(log.path))).path == log.path


def test_damaged_lines_are_counted_and_the_older_file_is_read_first(ask, log):
    ask((60, 60))
    log.close()
    line = log.path.read_bytes()
    older(log.path).write_bytes(line.replace(b'"page"', b'"earlier"'))
    log.path.write_bytes(b'{"format":1}\n' + line + b"\xff\xfe\n" + line[: len(line) // 2])
    found = read(log.path)
    assert [entry.door for entry in found.entries] == ["earlier", "page"]
    assert found.damaged == 3
    log.path.write_bytes(b"nothing\n")
    older(log.path).unlink()
    with pytest.raises(DataError, match="holds no object"):
        read(log.path)
    with pytest.raises(DataError, match="cannot be read"):
        read(log.path.with_name("missing"))


BROKEN = st.sampled_from(
    [None, "x", -1, 1e400, 10**400, -(10**400), [10**400], [], {}, [[]], True, "9" * 30, {"clicks": [{}]},
     "0001-01-01", "9999-12-31T23:59:59-23:59"]
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*Entry.__dataclass_fields__, "format", "more"]), BROKEN, min_size=1))
def test_any_damage_to_a_line_is_a_data_error_or_a_sound_entry(damage):
    sound = Entry(
        *("page", "2026-01-01T00:00:00Z", "00", 9, 9, {"clicks": [{"x": 1, "y": 1}]}, (0.0,), (1.0,), 0.0, 1),
        *(
            0,
            {"name": "n", "version": "v", "digest": "d"},
            {"min_area": None, "max_hole": None},
            "00",
            3,
            0.5,
        ),
    )
    fields = {**json.loads(sound.line()), **damage}
    try:
        entry = Entry.of(json.dumps(fields).encode())
    except DataError:
        return
    assert entry.asked().clicks == (Click(1, 1),) or not entry.asked().clicks
    entry.finished_by()
    assert habits(joined([entry, entry]))


def test_lines_are_written_where_the_system_knows_no_locks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    append(tmp_path / "clicks.jsonl", b"one\n", 100)
    append(tmp_path / "clicks.jsonl", b"two\n", 100)
    assert (tmp_path / "clicks.jsonl").read_bytes() == b"one\ntwo\n"
