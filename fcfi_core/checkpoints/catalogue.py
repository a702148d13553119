"""The models by name: where their files are, what they were trained on, under which licence.

The entries stand in ``catalogue.json`` beside this file. ``"file"`` names a file inside this folder
(shipped with the package); entries without one are files of others, which the user obtains and
converts. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fcfi_core.checkpoints.choice import CHOSEN, chosen
from fcfi_core.errors import WeightsError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class CatalogueEntry:
    """One model.

    Attributes:
        name: what ``load_model`` and ``--model`` take.
        variant: name of the architecture.
        file: name of the file in this folder; None if the user has to bring it.
        sha256: digest of the file, hexadecimal; None if the file was never at hand.
        megabytes: size of the file in MiB, as stored here or as its source states it.
        licence: of the weights.
        source: who made the weights, or where they are published.
        training_data: names of the data sets.
    """

    name: str
    variant: str
    file: str | None
    sha256: str | None
    megabytes: float
    licence: str
    source: str
    training_data: str

    @property
    def path(self) -> Path | None:
        """Where the file lies; None if it is not here."""
        path = None if self.file is None else FOLDER / self.file
        return path if path is not None and path.is_file() else None

    def verify(self) -> Path:
        """Return the file's path after comparing its digest with the catalogue's.

        Raises:
            WeightsError: if the file is missing or was changed.
        """
        path = self.path
        if path is None:
            if self.file is None:
                raise WeightsError(
                    f"model {self.name!r} is not part of this package: get its file from {self.source}, "
                    "convert it with `fcfi convert OFFICIAL.pth OUT.safetensors`, and give the result's path."
                )
            raise WeightsError(
                f"model {self.name!r} belongs to this package, but {str(FOLDER / self.file)!r} is missing; "
                "install the package again."
            )
        digest = sha256(path)
        if digest != self.sha256:
            raise WeightsError(
                f"{str(path)!r} has the sha256 {digest}, the catalogue says {self.sha256}; "
                "install the package again, or give the path of another file."
            )
        return path


def sha256(path: Path) -> str:
    """Return the digest of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read() -> dict[str, CatalogueEntry]:
    entries = json.loads((FOLDER / "catalogue.json").read_text(encoding="utf-8"))
    return {entry["name"]: CatalogueEntry(**entry) for entry in entries}


CATALOGUE: Mapping[str, CatalogueEntry] = _read()


def resolve(name_or_path: str | Path) -> Path:
    """Return the checkpoint file for a catalogued name or a path; a file that exists always wins.

    Args:
        name_or_path: for example "default", "models/mine.safetensors", or "chosen" (see
            :mod:`fcfi_core.checkpoints.choice`).

    Raises:
        WeightsError: if there is neither such a file nor such a name, or a shipped file was changed.
    """
    if str(name_or_path) == CHOSEN:
        return _resolve_chosen()
    path = Path(name_or_path).expanduser()
    if path.is_file():
        if path.suffix in (".pth", ".pt"):
            out = path.with_suffix(".safetensors").name
            raise WeightsError(f"{str(path)!r} is a torch file; convert it first: fcfi convert {path} {out}")
        return path
    entry = CATALOGUE.get(str(name_or_path))
    if entry is None:
        raise WeightsError(
            f"there is neither a file nor a model {str(name_or_path)!r}; give the path of a .safetensors "
            f"file or one of {', '.join(CATALOGUE)}."
        )
    return entry.verify()


def _resolve_chosen() -> Path:
    name = chosen()
    try:
        return resolve(name)
    except WeightsError as error:
        raise WeightsError(
            f"the chosen model cannot be used: {error} Go back with: fcfi models use default"
        ) from None
