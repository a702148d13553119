"""Which files of a folder belong to a data set: no hidden ones, and none that reading might never end."""

from __future__ import annotations

import stat
from pathlib import Path, PurePath

from fcfi_core.stores import Stored


def files_of(folder: Path, pattern: str) -> list[Path]:
    """Return the files in ``folder`` that match ``pattern``, in order of their paths.

    A link that leads nowhere is among them: the reader tells that it cannot be opened.
    """
    return [path for path in sorted(folder.glob(pattern)) if not is_hidden(path) and is_file(path)]


def is_hidden(path: PurePath | Stored) -> bool:
    """Return whether ``path`` is hidden, as ``._a.json`` of macOS is."""
    return path.name.startswith(".")


def is_file(path: Path) -> bool:
    """Return whether ``path`` is a file or a link that leads nowhere: no folder, pipe, socket or device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return True
