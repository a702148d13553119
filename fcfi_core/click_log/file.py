"""The file of a click log: appended to by any number of processes, bounded, read with patience."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fcfi_core.click_log.entry import Entry
from fcfi_core.errors import DataError

_FOR_THE_OWNER = 0o600
_NOT_INHERITED = getattr(os, "O_CLOEXEC", 0)  # everywhere but on Windows, where it is so anyway


def older(path: Path) -> Path:
    """Return where the lines before those in ``path`` are kept."""
    return path.with_name(path.name + ".1")


def append(path: Path, line: bytes, most: int) -> None:
    """Add ``line`` to the file, whole or not at all.

    Where the file would grow beyond half of ``most`` bytes, it takes the place of the older one, and a new
    one begins; so both together stay below ``most``.

    Args:
        path: of the file; made if needed, readable for its owner alone.
        line: with its end.
        most: bytes.

    Raises:
        OSError: if it cannot be written.
    """
    with _locked(path) as file:
        size = os.fstat(file).st_size
        if size and size + len(line) > most // 2:
            path.replace(older(path))
        else:
            _write(file, line, size)
            return
    with _locked(path) as file:
        _write(file, line, os.fstat(file).st_size)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file that is at ``path`` now, with no other process writing to it meanwhile."""
    while True:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NOT_INHERITED, _FOR_THE_OWNER)
        try:
            _lock(file)
            if _is_at(file, path):
                yield file
                return
        finally:
            os.close(file)


def _lock(file: int) -> None:
    """Wait until no other process writes to the file, where the system can tell."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: int, path: Path) -> bool:
    """Return whether the open file was not replaced while it was waited for."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _write(file: int, line: bytes, size: int) -> None:
    try:
        written = os.write(file, line)
        if written < len(line):
            raise OSError(28, "no space left on the device")
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)  # half a line would spoil the next one
        raise


@dataclass(frozen=True)
class ReadLog:
    """What a log holds.

    Args:
        entries: in the order they were written.
        damaged: lines that could not be read.
    """

    entries: tuple[Entry, ...]
    damaged: int


def read(path: Path) -> ReadLog:
    """Return what was logged at ``path``, the older file's lines first.

    Raises:
        DataError: if there is no such file, it cannot be read, or no line of it can.
    """
    entries, damaged = [], 0
    for part in (older(path), path):
        if part != path and not part.is_file():
            continue
        try:
            with part.open("rb") as file:
                for line in file:
                    try:
                        entries.append(Entry.of(line))
                    except DataError:
                        damaged += bool(line.strip())
        except OSError as error:
            raise DataError(
                f"click log {str(part)!r} cannot be read: {error.strerror or error}; give the file that "
                "FCFI_CLICK_LOG names."
            ) from None
    if not entries:
        raise DataError(
            f"click log {str(path)!r} holds no object ({damaged} lines cannot be read); give the file that "
            "FCFI_CLICK_LOG names, after some objects were cut out."
        )
    return ReadLog(tuple(entries), damaged)
