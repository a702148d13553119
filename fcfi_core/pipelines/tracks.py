"""Follows one object through a video and writes what a person takes along: masks, a video to look at, the
list of frames to look at, and what platforms import.

=================  ==================================================================================
masks/NAME.png     0 and 255, one a frame; black where the object is lost or the frame cannot be used
overlay.webm       the frames with the mask painted in, and a red edge on those to look at
review.csv         the frames to look at: number, name, confidence, colours in common, why
track.json         what was asked, and what came of every frame
frames/            the frames of a video file
further files      of plugins (``tracks``): what a platform imports
=================  ==================================================================================
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fcfi_core import outputs, plugins
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.images import LoadedImage
from fcfi_core.pipelines.frames import Frames
from fcfi_core.pipelines.outputs import mask_names
from fcfi_core.pipelines.overlay import OverlayVideo
from fcfi_core.propagation import Track, Tracked

RECORD = "track.json"
FRAMES = "frames"
MASKS = "masks"
OVERLAY = "overlay.webm"
REVIEW = "review.csv"
FORMAT = 1


@dataclass(frozen=True)
class FrameRecord:
    """What came of one frame.

    Args:
        number: from 0.
        name: what platforms call it.
        file: of the picture.
        mask_file: of its mask.
        width, height: of the picture; 0 if it cannot be read.
        confidence, likeness, seen, doubt, error: see :class:`fcfi_core.propagation.Tracked`.
        area: pixels of the mask.
    """

    number: int
    name: str
    file: Path
    mask_file: Path
    width: int
    height: int
    confidence: float
    likeness: float
    seen: bool
    doubt: str
    error: str
    area: int

    def mask(self) -> NDArray[np.bool_]:
        """Return the mask, (height, width) bool, read anew."""
        # Not cv2.imread: names that are no UTF-8 end the process there.
        try:
            encoded = np.fromfile(self.mask_file, np.uint8)
        except OSError:
            encoded = np.empty(0, np.uint8)
        found = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) if encoded.size else None
        if found is None:
            raise DataError(f"{str(self.mask_file)!r} cannot be read; run the command again.")
        return np.asarray(found > 0)

    def to_dict(self) -> dict[str, Any]:
        """Return its line of the record."""
        fields: dict[str, Any] = {"number": self.number, "name": self.name}
        if self.error:
            return {**fields, "error": self.error}
        return {
            **fields,
            "area": self.area,
            "confidence": round(self.confidence, 4),
            "likeness": round(self.likeness, 4),
            "seen": self.seen,
            "doubt": self.doubt,
        }


@dataclass(frozen=True)
class TrackRecord:
    """A finished track, as it is handed to the plugins that write files for platforms.

    Args:
        label: the object's class.
        model: name and version.
        frames: what came of each.
        from_video: whether the frames come from a video file; its frames are called ``frame_000000``.
        folder: of the results.
        frames_at: where a platform finds the pictures, to be put before their names; "" for its own usual
            place.
    """

    label: str
    model: str
    frames: Sequence[FrameRecord]
    from_video: bool
    folder: Path
    frames_at: str = ""

    @property
    def shown(self) -> Iterator[FrameRecord]:
        """The frames that show the object."""
        return (frame for frame in self.frames if frame.area)

    @property
    def to_review(self) -> list[FrameRecord]:
        """The frames that a person should look at."""
        return [frame for frame in self.frames if frame.doubt]

    @property
    def unusable(self) -> list[FrameRecord]:
        """The frames that cannot be read, or are of another size."""
        return [frame for frame in self.frames if frame.error]


@dataclass(frozen=True)
class Asked:
    """What a run is about, as it stands in its record.

    Args:
        prompts: of the frames, as on the command line.
        label: the object's class.
        frames_at: see :class:`TrackRecord`.
        overlay: whether to make the video.
    """

    prompts: Sequence[str]
    label: str
    frames_at: str = ""
    overlay: bool = True
    model: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


def write_track(track: Track, frames: Frames, folder: Path, asked: Asked, *, progress: bool) -> TrackRecord:
    """Follow the object through all frames, write everything, and return what came of them.

    Args:
        track: with at least one frame shown to it.
        frames: those of the track.
        folder: of the results; made if it is not there.
        asked: for the record.
        progress: show a bar on standard error.

    Raises:
        SettingsError: if something cannot be written.
    """
    outputs.write(folder / RECORD, _json({"fcfi_track": FORMAT, "finished": False}))
    names = mask_names(frames.names)
    records = []
    with OverlayVideo(folder / OVERLAY, frames.rate) if asked.overlay else nullcontext() as overlay:
        for found in tqdm(track, total=len(track), unit="frame", disable=not progress, dynamic_ncols=True):
            image: LoadedImage | None = None
            with suppress(FcfiError):
                image = track.image(found.number)
            path = folder / MASKS / names[found.number]
            records.append(_record(found, frames, path, image))
            mask = found.mask
            if mask is None and image is not None:
                mask = np.zeros(image.pixels.shape[:2], bool)
            if mask is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                outputs.write(path, outputs.encoded(mask.astype(np.uint8) * 255, path))
            if overlay is not None and image is not None:
                overlay.add(image.pixels, None if found.error else mask, found.needs_review)
    record = TrackRecord(asked.label, asked.model, records, frames.from_video, folder, asked.frames_at)
    outputs.write(folder / REVIEW, _review(record.to_review))
    for write in plugins.loaded("tracks"):
        write(record)
    outputs.write(folder / RECORD, _json(_told(record, frames, asked)))
    return record


def files_of(folder: Path) -> list[Path]:
    """Return what a run writes beside what plugins add."""
    return [folder / name for name in (RECORD, REVIEW, OVERLAY, MASKS, FRAMES)]


def spans(frames: Sequence[FrameRecord]) -> str:
    """Return the numbers of ``frames`` in short, for example ``3 to 7, 12``."""
    numbers = [frame.number for frame in frames]
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in found)


def _record(found: Tracked, frames: Frames, path: Path, image: LoadedImage | None) -> FrameRecord:
    return FrameRecord(
        found.number,
        frames.names[found.number],
        frames.files[found.number],
        path,
        0 if image is None else image.width,
        0 if image is None else image.height,
        found.confidence,
        found.likeness,
        found.seen,
        found.doubt,
        found.error,
        0 if found.mask is None else int(found.mask.sum()),
    )


def _told(record: TrackRecord, frames: Frames, asked: Asked) -> Mapping[str, Any]:
    return {
        "fcfi_track": FORMAT,
        "finished": True,
        "source": str(frames.source),
        "model": asked.model,
        "label": asked.label,
        "prompts": list(asked.prompts),
        "notes": [*frames.notes, *asked.notes],
        "to_review": [frame.number for frame in record.to_review],
        "unusable": [frame.number for frame in record.unusable],
        "frames": [frame.to_dict() for frame in record.frames],
    }


def _review(frames: Sequence[FrameRecord]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("frame", "name", "confidence", "likeness", "why"))
    for frame in frames:
        rows.writerow(
            (frame.number, frame.name, f"{frame.confidence:.2f}", f"{frame.likeness:.2f}", frame.doubt)
        )
    return text.getvalue()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
