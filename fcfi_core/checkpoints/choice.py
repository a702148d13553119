"""Which model this user's servers and commands take when nothing else is said.

``fcfi models use`` writes the choice, a name or an absolute path, into one small file; the name
"chosen" stands for it wherever a model is named, and is the default of ``FCFI_MODEL``.
"""

from __future__ import annotations

import os
from pathlib import Path

from fcfi_core.errors import SettingsError

CHOSEN = "chosen"
"""Stands for the chosen model; before any choice that is "default"."""

_FIRST = "default"


def choice_file() -> Path:
    """Return where the choice is kept."""
    return Path.home() / ".config" / "fcfi" / "model"


def chosen() -> str:
    """Return the chosen name or path; never "chosen" itself."""
    try:
        name = choice_file().read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        return _FIRST
    return _FIRST if name in ("", CHOSEN) else name


def choose(name_or_path: str) -> None:
    """Make ``name_or_path`` the choice; "default" goes back to the embedded model.

    Raises:
        SettingsError: for "chosen", or if the choice cannot be written.
    """
    if name_or_path == CHOSEN:
        raise SettingsError(
            f"{CHOSEN!r} stands for the model in use; give a name that `fcfi models` lists, or a file."
        )
    file = choice_file()
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        if name_or_path == _FIRST:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(name_or_path + "\n", encoding="utf-8")
        part.replace(file)  # a server that looks meanwhile never sees half a choice
    except OSError as error:
        raise SettingsError(
            f"the choice cannot be written to {file} ({error.strerror}); set FCFI_MODEL instead."
        ) from None
