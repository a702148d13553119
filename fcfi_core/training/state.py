"""The file that a training run continues from, and how to tell whose it is."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fcfi_core.checkpoints.catalogue import resolve, sha256
from fcfi_core.errors import WeightsError
from fcfi_core.training.configuration import TrainingConfiguration
from fcfi_core.training.photos import Photo

_MAY_CHANGE = (
    "out",
    "steps",
    "device",
    "threads",
    "development_objects",
    "evaluate_every",
    "save_every",
    "log_every",
    "tensorboard",
)
"""Settings that may differ when a run is continued: a longer or shorter run takes its own end as its aim."""


def fingerprint_of(configuration: TrainingConfiguration, photos: Sequence[Photo]) -> dict[str, str]:
    """Return digests of all that decides how training goes on: settings, weights at the start, photos.

    Paths do not count, what lies there does.
    """
    settings = asdict(configuration)
    for name in _MAY_CHANGE:
        del settings[name]
    for source in settings["sources"]:
        del source["path"], source["images"]
    weights = [
        None if (place := settings.pop(name)) is None else sha256(find(place))
        for name, find in (("start", resolve), ("initialisation", Path))
    ]
    seen = [(photo.source, zlib.crc32(photo.pixels.data), zlib.crc32(photo.ids.data)) for photo in photos]
    parts = {"settings": settings, "starting weights": weights, "photos or masks": seen}
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()
        for name, part in parts.items()
    }


def read_state(path: Path, fingerprint: dict[str, str], device: torch.device) -> dict[str, Any]:
    """Return the checkpoint to continue from.

    Raises:
        WeightsError: if it is damaged, or belongs to a run with other settings, weights or photos.
    """
    state = _load(path, device)
    begun = state.get("fingerprint")
    if not isinstance(begun, dict) or begun.keys() != fingerprint.keys():
        raise WeightsError(
            f"the run in {path.parent} was begun with another version of fcfi; {_afresh(path)}."
        )
    others = " and ".join(name for name, digest in fingerprint.items() if begun[name] != digest)
    if others:
        raise WeightsError(f"the run in {path.parent} was begun with other {others}; {_afresh(path)}.")
    return state


def saved_step(path: Path) -> int | None:
    """Return the step at which the checkpoint ``path`` was written; None if none can be read there."""
    try:
        return int(_load(path, torch.device("cpu"))["step"])
    except WeightsError:
        return None


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or "step" not in state:
            raise pickle.UnpicklingError("it holds something else")
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"the training checkpoint cannot be read ({reason}); {_afresh(path)}.") from None
    return state


def _afresh(path: Path) -> str:
    return f"choose another --out, or delete {path} to start afresh"


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` so that it appears complete or not at all."""
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    os.replace(part, path)
