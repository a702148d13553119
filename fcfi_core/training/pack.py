"""All training photos in one small file, to carry to whatever machine there is.

A pack is a ZIP archive: ``index.json``, and per photo ``SOURCE/NUMBER.webp`` with the pixels and
``SOURCE/NUMBER.png`` with the region ids (8 or 16 bits, the largest number meaning "ignored"). Photos are
reduced until the pack fits; whatever a source was (a folder, COCO, a platform's export), a pack of it is
read the same way and splits the same way, as photos keep their names.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.datasets.opening import open_dataset
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.training.configuration import SourceConfiguration, TrainingConfiguration
from fcfi_core.training.photos import IGNORED, Photo, make_photo, read_photos

FORMAT = 1
INDEX = "index.json"
SIDES = (512, 448, 416, 384, 352, 320, 288, 256)
"""Longest sides that are tried, largest first, pixels."""

_SAMPLE = 24
"""Photos of a source that are encoded to tell how large a pack becomes."""
_AT_ONCE = 64
_SPARE = 0.98
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, cv2.error),
    *(
        RuntimeError,
        zlib.error,
        zipfile.BadZipFile,
    ),  # what ZIP archives cannot be: encrypted, of a later kind
)
_PER_FILE = 125
"""Bytes that the archive needs for one file's name and place, both of them twice."""


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        photos: how many.
        longest_side: of the photos, pixels at most.
        bytes: size of the file.
    """

    photos: int
    longest_side: int
    bytes: int


def write_pack(
    configuration: TrainingConfiguration,
    path: Path,
    *,
    most_bytes: int,
    quality: int = 50,
    report: Callable[[str], None] = print,
) -> Packed:
    """Write all sources of ``configuration`` into one pack, as large as fits ``most_bytes``.

    Args:
        configuration: its sources are packed, training photos and those of the development split alike.
        path: of the pack; appears complete or not at all.
        most_bytes: limit for the file.
        quality: of the WebP photos, 1 to 100.
        report: receives lines of progress.

    Raises:
        DataError: if a source cannot be read.
        SettingsError: if two sources have one name, the quality is none, or nothing small enough comes out.
    """
    if not 1 <= quality <= 100:
        raise SettingsError(f"quality is {quality}; give a number from 1 to 100.")
    names = [source_name(source) for source in configuration.sources]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsError(f"two sources are called {twice!r}; rename a folder, as packs go by names.")
    for side in SIDES:
        if side > configuration.longest_side:
            continue
        guess = _guess(configuration, side, quality)
        report(f"longest side {side}: about {guess / 2**20:.1f} MiB")
        if guess > most_bytes:
            continue
        written = path.with_name(path.name + ".new")
        try:
            count = _write(configuration, written, side, quality, report)
            size = written.stat().st_size
            if size <= most_bytes:
                os.replace(written, path)
                return Packed(count, side, size)
        except OSError as error:
            raise SettingsError(
                f"pack {path} cannot be written ({error.strerror}); choose another place."
            ) from None
        finally:
            written.unlink(missing_ok=True)
        report(f"{size / 2**20:.1f} MiB are too many")
    raise SettingsError(
        f"the sources do not fit {most_bytes / 2**20:.3g} MiB even at {SIDES[-1]} pixels; "
        "allow more, lower the quality, or leave sources out."
    )


def read_pack(path: Path, sources: Sequence[SourceConfiguration], longest_side: int) -> list[Photo]:
    """Return the photos of ``sources`` from the pack, in the order of the sources.

    Raises:
        DataError: if the pack cannot be read, is damaged, or lacks a source.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            index = json.loads(archive.read(INDEX))
            if not isinstance(index, dict) or index.get("format") != FORMAT:
                raise ValueError(f"{INDEX} is of another format")
            photos = []
            for number, source in enumerate(sources):
                name = source_name(source)
                if name not in index["sources"]:
                    raise DataError(
                        f"pack {path} holds no source {name!r}, only {', '.join(index['sources'])}; "
                        "pack it again, or leave the source out."
                    )
                for place, photo in enumerate(index["sources"][name]):
                    pixels, ids = _decoded(archive, f"{name}/{place:05}")
                    photos.append(
                        make_photo(photo, pixels, ids, number, longest_side, source.smallest_region)
                    )
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"pack {path} cannot be read ({error}); write it again with `fcfi pack`.") from None
    return [photo for photo in photos if photo.regions.size]


def source_name(source: SourceConfiguration) -> str:
    """Return the name a source has in a pack: that of its folder or file."""
    return Path(source.path).name


def _guess(configuration: TrainingConfiguration, side: int, quality: int) -> float:
    """Return about how many bytes a pack has, from a few photos of each source."""
    total = 0.0
    for number, source in enumerate(configuration.sources):
        names = open_dataset(source.path, source.images).image_names
        some = names[:: max(len(names) // _SAMPLE, 1)]
        sizes = [
            sum(map(len, _encoded(photo, quality))) + 2 * _PER_FILE
            for photo in _read(source, number, side, some)
        ]
        total += len(names) * float(np.mean(sizes)) if sizes else 0.0
    return total / _SPARE


def _write(
    configuration: TrainingConfiguration,
    path: Path,
    side: int,
    quality: int,
    report: Callable[[str], None],
) -> int:
    index: dict[str, list[str]] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, source in enumerate(configuration.sources):
            name = source_name(source)
            names = open_dataset(source.path, source.images).image_names
            index[name] = []
            for photo in _read(source, number, side, names):
                pixels, ids = _encoded(photo, quality)
                place = f"{name}/{len(index[name]):05}"
                archive.writestr(f"{place}.webp", pixels)
                archive.writestr(f"{place}.png", ids)
                index[name].append(photo.name)
            if not index[name]:
                raise DataError(f"no mask of {name} holds a usable region; leave the source out.")
            report(f"{name}: {len(index[name])} photos")
        archive.writestr(
            INDEX, json.dumps({"format": FORMAT, "sources": index}), compress_type=zipfile.ZIP_DEFLATED
        )
    return sum(map(len, index.values()))


def _read(source: SourceConfiguration, number: int, side: int, names: Sequence[str]) -> Iterator[Photo]:
    """Yield the usable ones of the photos called ``names``, a few in memory at a time."""
    dataset = open_dataset(source.path, source.images)
    for begin in range(0, len(names), _AT_ONCE):
        yield from read_photos(
            dataset, number, side, source.smallest_region, names=names[begin : begin + _AT_ONCE]
        )


def _encoded(photo: Photo, quality: int) -> tuple[bytes, bytes]:
    """Return the pixels as WebP and the ids as PNG."""
    ids = photo.ids
    if ids[ids != IGNORED].max(initial=0) < 255:
        ids = np.where(ids == IGNORED, 255, ids).astype(np.uint8)
    pixels = cv2.imencode(".webp", photo.pixels[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    masks = cv2.imencode(".png", ids, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    return pixels.tobytes(), masks.tobytes()


def _decoded(archive: zipfile.ZipFile, place: str) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    pixels = cv2.imdecode(np.frombuffer(archive.read(f"{place}.webp"), np.uint8), cv2.IMREAD_COLOR)
    found = cv2.imdecode(np.frombuffer(archive.read(f"{place}.png"), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or found is None or found.shape != pixels.shape[:2]:
        raise ValueError(f"{place} is damaged")
    ids = found.astype(np.uint16)
    if found.dtype == np.uint8:
        ids[found == 255] = IGNORED
    return np.ascontiguousarray(pixels[..., ::-1], dtype=np.uint8), ids
