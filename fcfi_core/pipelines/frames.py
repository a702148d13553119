"""The frames of a video, as files in order: a folder of pictures, or a video file taken apart once.

A track goes backward as well as forward, and platforms want pictures, so a video file becomes a folder of
frames first; where that is there from an earlier run, it is used again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from fcfi_core import outputs
from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.photos import is_photo
from fcfi_core.errors import DataError

DEFAULT_RATE = 25.0
"""Frames a second of a folder of pictures, where a video is made of it."""

_QUALITY = 95
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Frames:
    """Pictures in the order in which they are shown.

    Args:
        files: one a frame.
        names: what platforms call them: the files' names, or ``frame_000000`` and so on of a video file.
        rate: frames a second.
        source: the folder or the video file.
        notes: what a person should know about the reading, one sentence each.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    rate: float
    source: Path
    notes: tuple[str, ...] = ()

    @property
    def from_video(self) -> bool:
        """Whether they come from a video file."""
        return self.source.is_file()


def frames_of(source: Path, folder: Path) -> Frames:
    """Return the frames of a folder of pictures or of a video file.

    Args:
        source: a folder, whose pictures are sorted by name (numbers in names as numbers), or a video file.
        folder: where the frames of a video file are written, as JPEG.

    Raises:
        DataError: if there is no such thing, or not a single frame in it.
    """
    if source.is_dir():
        files = sorted((path for path in files_of(source, "*") if is_photo(path)), key=_in_order)
        if not files:
            raise DataError(f"{str(source)!r} holds no picture; give a folder of frames, or a video file.")
        return Frames(tuple(files), tuple(path.name for path in files), DEFAULT_RATE, source)
    if not source.is_file():
        raise DataError(f"there is no {str(source)!r}; give a folder of frames, or a video file.")
    return _of_video(source, folder)


def _in_order(path: Path) -> list[tuple[bool, int | str]]:
    """Return a key by which ``2.jpg`` comes before ``10.jpg``."""
    parts = _DIGITS.split(path.name.casefold())
    return [(not part.isdecimal(), int(part) if part.isdecimal() else part) for part in parts if part]


def _of_video(source: Path, folder: Path) -> Frames:
    done = folder / "complete.txt"
    stamp = f"{os.path.realpath(source)} {source.stat().st_size} {source.stat().st_mtime_ns}"
    with quiet():
        video = cv2.VideoCapture(name_for_opencv(source))
    try:
        rate, told = video.get(cv2.CAP_PROP_FPS), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        known = done.read_text("utf-8").splitlines() if done.is_file() else [""]
        count = int(known[1]) if known[0] == stamp else _take_apart(video, folder)
    finally:
        video.release()
    if not count:
        raise DataError(
            f"{str(source)!r} cannot be read as a video; give a folder of frames, or a file that a player "
            "shows, for example MP4, WebM, MOV or AVI."
        )
    outputs.write(done, f"{stamp}\n{count}\n")
    notes = (f"the file speaks of {told} frames, {count} could be read",) if told > count else ()
    names = tuple(f"frame_{number:06d}" for number in range(count))
    files = tuple(folder / f"{name}.jpg" for name in names)
    return Frames(files, names, rate if 0 < rate < 1000 else DEFAULT_RATE, source, notes)


def _take_apart(video: cv2.VideoCapture, folder: Path) -> int:
    """Write every frame that can be read, and return how many."""
    count = 0
    while True:
        with quiet():
            there, pixels = video.read()
        if not there:
            return count
        folder.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        outputs.write(folder / f"frame_{count:06d}.jpg", encoded.tobytes())
        count += 1


def name_for_opencv(path: Path) -> str:
    """Return the name of a video file for OpenCV's reader and writer, which end the process for some names.

    Raises:
        DataError: if it is no UTF-8.
    """
    name = str(path)
    if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise DataError(f"the name {name!r} is no UTF-8, and no video can be opened by it; give it another.")
    return name


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what OpenCV's reader and writer of videos print on standard error to themselves."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
