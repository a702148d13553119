"""The memory of a long run: one line per finished image, only ever appended to.

A process may be killed at any moment. A line that was cut short is dropped, everything before it
counts, and the next run goes on where this one stopped. The first line says what the run was about;
a run of other prompts, another model or other options cannot be continued.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from fcfi_core.errors import SettingsError
from fcfi_core.outputs import claim

FORMAT = 1
_SECONDS = 1.0
_LINE = re.compile(rb'\{"index":(\d{1,15})[,}]')
_BEGINNING = b'{"fcfi_journal":'


class Journal:
    """An append-only file of JSON lines, keyed by the position of the image in the source.

    Only byte offsets are held in memory.

    Args:
        path: of the file; made if it is not there.
        run: what determines the result; must equal that of the run to continue.

    Raises:
        SettingsError: if the file belongs to another run, is no journal, is in use, or cannot be written.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self._path = path
        self._offsets: dict[int, int] = {}
        self._synced = time.monotonic()
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise SettingsError(
                f"cannot write {path}: {error.strerror}; give another output folder."
            ) from None
        try:
            claim(self._file.fileno(), path)
            self._read(json.loads(json.dumps(run)))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._sync()
        self._file.close()

    def __contains__(self, index: int) -> bool:
        return index in self._offsets

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def indices(self) -> Set[int]:
        """The images that have an entry."""
        return self._offsets.keys()

    def append(self, index: int, entry: Mapping[str, Any]) -> None:
        """Add what became of image ``index``.

        It outlives this process at once, and a loss of power within a second. An image may be added again:
        the newest entry counts.
        """
        self._offsets[index] = self._write({"index": index, **entry})

    def get(self, index: int) -> dict[str, Any]:
        """Return what became of image ``index``.

        Raises:
            SettingsError: if its line was damaged after it was written.
        """
        self._file.seek(self._offsets[index])
        try:
            entry = json.loads(self._file.readline())
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise SettingsError(
                f"{self._path} is damaged where it tells of image {index}; delete that line, and the same "
                "command makes the image again."
            )
        return entry

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield ``(index, entry)`` in the order of the source, whatever order they were finished in."""
        for index in sorted(self._offsets):
            yield index, self.get(index)

    def _read(self, run: dict[str, Any]) -> None:
        """Take up what the file holds, and cut off a last line that is not whole."""
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n"):
            # Killed while it wrote its first line; anything else that is here belongs to somebody.
            if not _BEGINNING.startswith(first[: len(_BEGINNING)]):
                raise self._foreign()
            self._file.truncate(0)
            self._write({"fcfi_journal": FORMAT, "run": run})
            return
        self._require_same_run(first, run)
        end = self._file.tell()
        for line in self._file:
            index = _index_of(line)
            if index is None:
                break
            self._offsets[index] = end
            end += len(line)
        self._file.truncate(end)

    def _require_same_run(self, first: bytes, run: dict[str, Any]) -> None:
        try:
            header = json.loads(first)
            known = header["run"] if header["fcfi_journal"] == FORMAT else None
        except (ValueError, TypeError, KeyError):
            known = None
        if not isinstance(known, dict):
            raise self._foreign()
        engine = str(run.get("engine"))
        if engine.startswith("torch "):
            known.setdefault("engine", engine)  # journals of the time when there was no other named none
        differing = [key for key in {**run, **known} if run.get(key) != known.get(key)]
        if differing:
            raise SettingsError(
                f"{self._path} belongs to another run ({', '.join(sorted(differing))} differ); give another "
                "output folder, or start over."
            )

    def _foreign(self) -> SettingsError:
        return SettingsError(f"{self._path} is no journal of this program; give another output folder.")

    def _write(self, content: Mapping[str, Any]) -> int:
        """Append one line and return where it begins."""
        self._file.seek(0, os.SEEK_END)
        offset = self._file.tell()
        line = json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._synced >= _SECONDS:
                self._sync()
        except OSError as error:
            raise SettingsError(
                f"cannot write {self._path}: {error.strerror}; make room, and the same command goes on."
            ) from None
        return offset

    def _sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def _index_of(line: bytes) -> int | None:
    """Return the index in a journal line; None if the line is not whole.

    The line is not parsed: a journal of 100,000 images is gigabytes of run lengths. Zeros are what a file
    system may leave where the power failed.
    """
    begun = _LINE.match(line)
    return int(begun[1]) if begun and line.endswith(b"}\n") and b"\0" not in line else None
