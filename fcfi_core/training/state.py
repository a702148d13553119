"""What a training run continues from, in files of at most 16 MiB, and how to tell whose it is.

``state.json`` names the parts, which are named by their content; it is replaced last, so that a
checkpoint appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fcfi_core import outputs
from fcfi_core.checkpoints.catalogue import resolve, sha256
from fcfi_core.errors import WeightsError
from fcfi_core.training.configuration import TrainingConfiguration
from fcfi_core.training.photos import Photo

INDEX = "state.json"
PART_BYTES = 16 * 2**20
"""No file of a checkpoint is larger, so that each fits through what takes small files only."""
_ROOM = "make room, and the same command continues"

_MAY_CHANGE = (
    "out",
    "steps",
    "device",
    "threads",
    "workers",
    "development_objects",
    "evaluate_every",
    "save_every",
    "log_every",
    "tensorboard",
    "pack",
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
        del source["path"], source["images"], source["licence"]
    if configuration.loss.edge_weight == 1:  # then these change nothing, and older runs know none of them
        del settings["loss"]["edge_weight"], settings["loss"]["edge_radius"]
        for source in settings["sources"]:
            del source["exact"]
    weights = [
        None if (place := settings.pop(name)) is None else sha256(find(place))
        for name, find in (("start", resolve), ("initialisation", Path))
    ]
    seen = [
        (photo.source, zlib.crc32(photo.pixels.data), zlib.crc32(photo.ids.data), *_clicks_of(photo))
        for photo in photos
    ]
    parts = {"settings": settings, "starting weights": weights, "photos or masks": seen}
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()
        for name, part in parts.items()
    }


def _clicks_of(photo: Photo) -> tuple[int, ...]:
    """Return a checksum of what people clicked on the photo; nothing where they did not."""
    return (zlib.crc32(repr(sorted(photo.clicks.items())).encode()),) if photo.clicks else ()


def read_state(folder: Path, fingerprint: dict[str, str], device: torch.device) -> dict[str, Any]:
    """Return the checkpoint in ``folder`` to continue from.

    Raises:
        WeightsError: if it is damaged, or belongs to a run with other settings, weights or photos.
    """
    state = _load(folder, device)
    begun = state.get("fingerprint")
    if not isinstance(begun, dict) or begun.keys() != fingerprint.keys():
        raise WeightsError(f"the run in {folder} was begun with another version of fcfi; {_afresh(folder)}.")
    others = " and ".join(name for name, digest in fingerprint.items() if begun[name] != digest)
    if others:
        raise WeightsError(f"the run in {folder} was begun with other {others}; {_afresh(folder)}.")
    return state


def is_begun(folder: Path) -> bool:
    """Return whether there is a checkpoint in ``folder``, whole or damaged."""
    return (folder / INDEX).is_file()


def saved_step(folder: Path) -> int | None:
    """Return the step at which the checkpoint in ``folder`` was written; None if none can be read there."""
    try:
        return int(_load(folder, torch.device("cpu"))["step"])
    except WeightsError:
        return None


def _load(folder: Path, device: torch.device) -> dict[str, Any]:
    try:
        content = io.BytesIO(_joined(folder))
        state: dict[str, Any] = torch.load(content, map_location=device, weights_only=True)
        if not isinstance(state, dict) or "step" not in state:
            raise pickle.UnpicklingError("it holds something else")
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"the training checkpoint cannot be read ({reason}); {_afresh(folder)}.") from None
    return state


def _joined(folder: Path) -> bytes:
    """Return the parts that the index names, one after the other."""
    index = json.loads((folder / INDEX).read_bytes())
    if not isinstance(index, dict) or not isinstance(index.get("parts"), list):
        raise ValueError(f"{INDEX} holds something else")
    parts = []
    for digest in index["parts"]:
        part = (folder / _part_name(str(digest))).read_bytes()
        if hashlib.sha256(part).hexdigest() != digest:
            raise ValueError(f"{_part_name(digest)} is damaged")
        parts.append(part)
    return b"".join(parts)


def _part_name(digest: str) -> str:
    return f"state-{digest[:16]}.part"


def _afresh(folder: Path) -> str:
    return f"choose another --out, or delete {folder / INDEX} to start afresh"


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` into ``folder`` so that it appears complete or not at all; drop the one before it.

    Raises:
        SettingsError: if it cannot be written; the one before it is still there.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    digests = []
    for begin in range(0, len(content), PART_BYTES):
        part = content[begin : begin + PART_BYTES]
        digests.append(hashlib.sha256(part).hexdigest())
        outputs.write(folder / _part_name(digests[-1]), part, _ROOM)
    index = json.dumps({"step": state["step"], "parts": digests})
    outputs.write(folder / INDEX, index.encode(), _ROOM)
    kept = {_part_name(digest) for digest in digests}
    for path in folder.glob("state-*.part"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
