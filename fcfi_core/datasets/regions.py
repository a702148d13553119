"""A data set put together from photos and regions that may overlap: what platform exports become."""

from __future__ import annotations

import filecmp
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.datasets.folder import IMAGE_SUFFIXES, BoolMask
from fcfi_core.errors import DataError, FcfiError

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded photo; the annotator's own folder is without it."""


def listed(counts: Mapping[str, int]) -> str:
    """Return ``{kind: how many}`` in words.

    >>> listed({"boxes": 3, "tasks without a submitted annotation": 1})
    'boxes (3), tasks without a submitted annotation (1)'
    """
    return ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))


@dataclass(frozen=True, eq=False)
class RegionPhoto:
    """A photo and how to get its regions.

    Args:
        name: unique within the data set.
        path: of the photo.
        width, height: of the upright photo, as the annotations say.
        regions: each returns a region as (H, W) bool.
    """

    name: str
    path: Path
    width: int
    height: int
    regions: tuple[Callable[[], BoolMask], ...]

    def mask(self, number: int) -> BoolMask:
        """Return region ``number`` (from 1) as (H, W) bool.

        Raises:
            DataError: if it cannot be decoded, naming photo and region.
        """
        try:
            return self.regions[number - 1]()
        except FcfiError as error:
            raise DataError(f"{self.name}, region {number}: {error}") from None


@dataclass(frozen=True, eq=False)
class OpenedPhoto:
    """A photo with its pixels; see :class:`~fcfi_core.datasets.folder.AnnotatedImage`."""

    photo: RegionPhoto
    pixels: NDArray[np.uint8]
    ignore: BoolMask | None = None

    @property
    def name(self) -> str:
        """Unique within the data set."""
        return self.photo.name

    def mask(self, object_id: int) -> BoolMask:
        """Return region ``object_id`` (from 1) as (H, W) bool."""
        return self.photo.mask(object_id)


class RegionDataset:
    """Photos with regions, in a fixed order.

    Args:
        name: for reports.
        photos: with at least one region each.
        left_out: what else the export holds and a data set cannot, ``{kind: how many}``, for people.

    Raises:
        DataError: if there is no photo, or two have the same name.
    """

    def __init__(
        self, name: str, photos: Sequence[RegionPhoto], *, left_out: Mapping[str, int] | None = None
    ) -> None:
        self.name = name
        self.left_out: Mapping[str, int] = dict(left_out or {})
        self._photos = {photo.name: photo for photo in photos}
        if len(self._photos) != len(photos):
            raise DataError(f"{name} holds two photos of the same name; give every photo its own.")
        self.image_names: Sequence[str] = tuple(self._photos)

    def areas(self, image_name: str) -> Mapping[int, int]:
        """Return ``{number of the region, from 1: pixels}``; empty regions left out."""
        photo = self._photos[image_name]
        numbers = range(1, len(photo.regions) + 1)
        counts = {number: int(np.count_nonzero(photo.mask(number))) for number in numbers}
        return {number: count for number, count in counts.items() if count}

    def read(self, image_name: str) -> OpenedPhoto:
        """Return one photo with its regions.

        Raises:
            DataError: if the photo is not of the size that the annotations say.
            ImageError: if it cannot be decoded.
        """
        photo = self._photos[image_name]
        pixels = images.load(photo.path).pixels
        if pixels.shape[:2] != (photo.height, photo.width):
            raise DataError(
                f"photo {photo.path} has {pixels.shape[1]} x {pixels.shape[0]} pixels upright, annotations "
                f"of it were made on {photo.width} x {photo.height}; give the folder of the annotated photos."
            )
        return OpenedPhoto(photo, pixels)


class PhotoFinder:
    """Finds the photos of an export by their names, in a folder and everything below it.

    Args:
        folder: where to look.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                for name in dict.fromkeys((_plain(path.name), _cleaned(path.name), _plain(path.stem))):
                    self._by_name[name].append(path)
        self._taken: dict[Path, tuple[str, ...]] = {}

    def find(self, *references: str) -> Path:
        """Return the first photo that one of the ``references`` means.

        Names agree regardless of how accents are composed, and after the cleaning that Label Studio does to
        the names of uploads; a name without a suffix, as CVAT gives to frames of a video, means any.

        Args:
            references: file names or paths with ``/``. Of several photos of the same name the one is meant
                whose folders agree with the path for longest, seen from its end.

        Raises:
            DataError: if there is none, if several different ones agree equally well, or if other
                references meant the same one.
        """
        path = self.there(*references)
        if path is None:
            names = dict.fromkeys(PurePosixPath(reference).name for reference in references)
            raise DataError(
                f"photo {' or '.join(map(repr, names))} is not in {self._folder} or below; "
                "name the folder of the photos (--images)."
            )
        if self._taken.setdefault(path, references) != references:
            raise DataError(
                f"photos {self._taken[path][0]!r} and {references[0]!r} would both be {path}; name "
                "a folder that holds them both, for example the platform's own (--images)."
            )
        return path

    def there(self, *references: str) -> Path | None:
        """Return what :meth:`find` would, without claiming it, or None if there is no such photo.

        Raises:
            DataError: if several different photos agree equally well.
        """
        for reference in references:
            wanted = PurePosixPath(_plain(reference)).parts[::-1]
            candidates = self._by_name.get(wanted[0], []) if wanted else []
            candidates = [path for path in candidates if _plain(path.name) == wanted[0]] or candidates
            if candidates:
                depths = [_agreement(path.parts[-2::-1], wanted[1:]) for path in candidates]
                best = [path for path, depth in zip(candidates, depths, strict=True) if depth == max(depths)]
                return self._only(reference, best)
        return None

    def _only(self, reference: str, paths: list[Path]) -> Path:
        first, *others = paths
        for other in others:
            if not filecmp.cmp(first, other, shallow=False):
                raise DataError(
                    f"photo {reference!r} may be {first} or {other}; name the folder of the right one "
                    "(--images), or give the photos different names."
                )
        return first


def _agreement(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many parts of two reversed paths are equal."""
    return sum(1 for _ in takewhile(lambda pair: _plain(pair[0]) == pair[1], zip(left, right, strict=False)))


def _plain(text: str) -> str:
    """Return ``text`` with accents composed: some file systems take them apart."""
    return unicodedata.normalize("NFC", text)


def _cleaned(name: str) -> str:
    """Return ``name`` as Label Studio names an upload of it: Django's ``get_valid_filename``."""
    return re.sub(r"[^-\w.]", "", _plain(name).strip().replace(" ", "_"))
