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

_WITHOUT_EFFECT = ("out", "device", "threads", "evaluate_every", "save_every", "log_every", "tensorboard")
"""Settings that may differ when a run is continued."""


def fingerprint_of(configuration: TrainingConfiguration, photos: Sequence[Photo]) -> str:
    """Return a digest of all that decides how training goes on: settings, weights at the start, photos.

    Paths do not count, what lies there does.
    """
    settings = asdict(configuration)
    for name in _WITHOUT_EFFECT:
        del settings[name]
    for source in settings["sources"]:
        del source["path"], source["images"]
    for name, find in (("start", resolve), ("initialisation", Path)):
        if settings[name] is not None:
            settings[name] = sha256(find(settings[name]))
    seen = [(photo.source, zlib.crc32(photo.pixels.data), zlib.crc32(photo.ids.data)) for photo in photos]
    return hashlib.sha256(json.dumps([settings, seen], sort_keys=True).encode()).hexdigest()


def read_state(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any]:
    """Return the checkpoint to continue from.

    Raises:
        WeightsError: if it is damaged, or belongs to a run with other settings, weights or photos.
    """
    afresh = f"choose another --out, or delete {path} to start afresh"
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"the training checkpoint cannot be read ({reason}); {afresh}.") from None
    if state.get("fingerprint") != fingerprint:
        raise WeightsError(
            f"the run in {path.parent} was begun with other settings, starting weights or photos; {afresh}."
        )
    return state


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` so that it appears complete or not at all."""
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    os.replace(part, path)
