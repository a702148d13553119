"""Outputs never replace an input, are whole or not at all, and are of the kind their name says."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcfi_core import outputs
from fcfi_core.errors import SettingsError


@pytest.fixture
def photo_file(tmp_path) -> Path:
    path = tmp_path / "dog.png"
    path.write_bytes(b"the photo")
    return path


def names_of_the_photo(photo: Path, folder: Path) -> dict[str, Path]:
    """Return other names that lead to the file ``photo``."""
    (folder / "soft.png").symlink_to(photo)
    os.link(photo, folder / "hard.png")
    (folder / "behind").symlink_to(folder, target_is_directory=True)
    return {
        "path": photo,
        "dots": folder / "behind" / ".." / folder.name / photo.name,
        "link": folder / "soft.png",
        "hard link": folder / "hard.png",
        "folder link": folder / "behind" / photo.name,
        "case": photo.with_name("DOG.png"),
    }


@pytest.mark.parametrize("way", ["path", "dots", "link", "hard link", "folder link", "case"])
def test_no_way_leads_to_an_input(photo_file, tmp_path, way):
    path = names_of_the_photo(photo_file, tmp_path)[way]
    with pytest.raises(SettingsError, match="which this run reads"):
        outputs.require_writable(path, "--out", outputs.LOSSLESS, [photo_file])


def test_two_spellings_of_one_letter_are_one_file(tmp_path):
    composed, decomposed = tmp_path / "\u00e9.png", tmp_path / "e\u0301.png"
    assert outputs.same_file(composed, decomposed)
    assert not outputs.same_file(composed, tmp_path / "e.png")


def test_what_lies_in_an_input_folder_stays(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.json").write_text("{}")
    with pytest.raises(SettingsError, match="reads"):
        outputs.require_writable(
            tmp_path / "photos" / "a.json", "--json", outputs.JSON, [tmp_path / "photos"]
        )
    outputs.require_writable(tmp_path / "photos" / "b.json", "--json", outputs.JSON, [tmp_path / "photos"])


@pytest.mark.parametrize("name", ["m.jpg", "m.JPEG", "m.json", "m.gif", "m.unknown"])
def test_a_suffix_that_lies_is_refused(tmp_path, name):
    with pytest.raises(SettingsError, match=r"\.png"):
        outputs.require_writable(tmp_path / name, "--out", outputs.LOSSLESS)


@pytest.mark.parametrize("place", [None, Path("-"), Path("/dev/null")])
def test_places_without_a_file(place):
    outputs.require_writable(place, "--out", outputs.LOSSLESS, [Path("/nowhere/photo.jpg")])


@pytest.mark.parametrize("suffix", outputs.PICTURES)
def test_a_suffix_is_honoured(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    path = tmp_path / f"picture{suffix.upper()}"
    outputs.write(path, outputs.encoded(pixels, path))
    with Image.open(path) as file:
        assert file.format == outputs.PICTURES[suffix]
        same = np.array_equal(np.asarray(file.convert("RGB")), pixels)
    assert same == (suffix in outputs.LOSSLESS)


def test_text_that_no_encoding_knows_is_written_out(tmp_path, capfdbinary):
    """Names of files may be no UTF-8; Python then holds half characters."""
    outputs.write(tmp_path / "a", "\udcff.jpg")
    with outputs.replaced(tmp_path / "b") as file:
        file.write("\udcff.jpg")
    outputs.write(Path("-"), "\udcff.jpg")
    sys.stdout.flush()
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == r"\udcff.jpg"
    assert capfdbinary.readouterr().out == rb"\udcff.jpg"


def test_what_is_said_stays_a_line(capsys):
    outputs.say("a\x1b[2J\nb", "\u202ec\udcff")
    outputs.say("d\r", error=True)
    said = capsys.readouterr()
    assert said.out == "a\\x1b[2J\\nb\n\\u202ec\\udcff\n"
    assert said.err == "d\\r\n"


def test_an_error_of_ours_is_one_sentence_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as ended, outputs.told("embed"):
        raise SettingsError("no such folder\nhere")
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ZeroDivisionError), outputs.told("embed"):
        _ = 1 / 0


def test_a_failure_leaves_the_older_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), outputs.replaced(path) as file:
        file.write("half" * (1 // 0))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


@contextmanager
def little_room():
    """No file of this process may grow beyond 1,000 bytes, as on a disk that is nearly full.

    Only within the block: the report of the tests may be such a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_sentence(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(b"old")
    sentence = f"{os.strerror(errno.EFBIG)}; choose another --out"
    with pytest.raises(SettingsError, match=sentence), little_room():
        outputs.write(path, bytes(5000), "choose another --out")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["mask.png"]


def test_a_link_stays_a_link_and_rights_stay(tmp_path):
    target, link = tmp_path / "kept.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    outputs.write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_files_have_the_rights_of_the_user(tmp_path):
    outputs.write(tmp_path / "new", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_pipe_is_written_to():
    outputs.write(Path("/dev/null"), b"gone")
    assert not Path("/dev/null").is_file()


def test_a_run_does_not_write_over_what_it_reads(photo_file, tmp_path):
    outputs.require_apart([tmp_path / "new"], [photo_file, None])
    with pytest.raises(SettingsError, match="choose another --out"):
        outputs.require_apart([tmp_path / "new", photo_file], [photo_file])
