"""The training log: ``log.csv``, and tensorboard events if wanted."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from fcfi_core.errors import SettingsError


class TrainingLog:
    """Appends rows of figures.

    Rows may have different columns; the file is rewritten when a new column turns up, so that it
    always has one header.

    Args:
        folder: of the run.
        continue_at: rows of later steps are dropped: they are about to be computed again.
        tensorboard: also write events there.

    Raises:
        SettingsError: if tensorboard is wanted and not installed.
    """

    def __init__(self, folder: Path, *, continue_at: int = 0, tensorboard: bool = False) -> None:
        self._path = folder / "log.csv"
        self._rows: list[dict[str, str]] = []
        if self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["step"]) <= continue_at]
        # The first row rewrites the file, without the dropped ones.
        self._columns: list[str] = []
        self._events = _events(folder) if tensorboard else None

    def write(self, row: dict[str, float]) -> None:
        """Append ``row``; its ``step`` is the tensorboard step."""
        text = {name: f"{value:.5g}" if name != "step" else str(int(value)) for name, value in row.items()}
        self._rows.append(text)
        new = [name for entry in (*self._rows[:1], text) for name in entry if name not in self._columns]
        self._columns += dict.fromkeys(new)
        try:
            self._write(text, whole=bool(new))
        except OSError as error:
            raise SettingsError(
                f"cannot write {str(self._path)!r}: {error.strerror}; make room, and the same command "
                "continues."
            ) from None
        if self._events is not None:
            for name, value in row.items():
                self._events.add_scalar(name, value, int(row["step"]))

    def _write(self, row: dict[str, str], *, whole: bool) -> None:
        """Append ``row`` to the file, or write the file anew."""
        with self._path.open("w" if whole else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            if whole:
                writer.writeheader()
                writer.writerows(self._rows)
            else:
                writer.writerow(row)

    def close(self) -> None:
        """Write out what is pending."""
        if self._events is not None:
            self._events.close()


def _events(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise SettingsError("tensorboard is not installed; run: pip install 'fcfi[train]'") from None
    return SummaryWriter(str(folder / "tensorboard"))
