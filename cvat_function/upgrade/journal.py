"""What an upgrade has done so far: one line of JSON per shape, appended as it happens.

A second run with the same journal skips what is in it. The lines are also the report.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from fcfi_core.errors import DataError


@dataclass(frozen=True)
class Entry:
    """What became of one shape.

    Attributes:
        shape: its id on the server.
        frame: its frame number.
        label: its label's name.
        kind: its type before.
        confidence: of the mask, in [0, 1]; 0 if there is none.
        fit: IoU of the mask's box with the drawn one.
        problem: why nothing was written, empty if all went well.
    """

    shape: int
    frame: int
    label: str
    kind: str
    confidence: float
    fit: float
    problem: str = ""


class Journal:
    """The entries of earlier runs and this one.

    Args:
        path: the file; None keeps entries in memory only.

    Raises:
        DataError: if the file is not a journal.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.entries: list[Entry] = []
        if path is not None and path.exists():
            self.entries = [self._read(line) for line in path.read_text().splitlines() if line]

    def _read(self, line: str) -> Entry:
        try:
            return Entry(**json.loads(line))
        except (ValueError, TypeError):
            raise DataError(f"{self._path} is not a journal of an upgrade; name another file.") from None

    @property
    def done(self) -> frozenset[int]:
        """Ids of the shapes that need no more work."""
        return frozenset(entry.shape for entry in self.entries if not entry.problem)

    def add(self, entries: Iterable[Entry]) -> None:
        """Append ``entries``; they are on disk when this returns."""
        new = list(entries)
        self.entries += new
        if self._path is not None:
            with self._path.open("a") as file:
                file.writelines(json.dumps(asdict(entry)) + "\n" for entry in new)

    def to_review(self, least_confidence: float, least_fit: float) -> list[Entry]:
        """Return the latest entry of each shape that a person should look at, worst first."""
        latest = {entry.shape: entry for entry in self.entries}.values()
        doubtful = [
            entry
            for entry in latest
            if entry.problem or entry.confidence < least_confidence or entry.fit < least_fit
        ]
        return sorted(doubtful, key=lambda entry: (entry.confidence, entry.fit))
