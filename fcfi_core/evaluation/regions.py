"""A data set put together from photos and regions that may overlap: what platform exports become."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.errors import DataError
from fcfi_core.evaluation.datasets import IMAGE_SUFFIXES, BoolMask


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


@dataclass(frozen=True, eq=False)
class OpenedPhoto:
    """A photo with its pixels; see :class:`~fcfi_core.evaluation.datasets.AnnotatedImage`."""

    photo: RegionPhoto
    pixels: NDArray[np.uint8]
    ignore: BoolMask | None = None

    @property
    def name(self) -> str:
        """Unique within the data set."""
        return self.photo.name

    def mask(self, object_id: int) -> BoolMask:
        """Return region ``object_id`` (from 1) as (H, W) bool."""
        return self.photo.regions[object_id - 1]()


class RegionDataset:
    """Photos with regions, in a fixed order.

    Args:
        name: for reports.
        photos: with at least one region each.

    Raises:
        DataError: if there is no photo, or two have the same name.
    """

    def __init__(self, name: str, photos: Sequence[RegionPhoto]) -> None:
        self.name = name
        self._photos = {photo.name: photo for photo in photos}
        if len(self._photos) != len(photos):
            raise DataError(f"{name} holds two photos of the same name; give every photo its own.")
        self.image_names: Sequence[str] = tuple(self._photos)

    def areas(self, image_name: str) -> Mapping[int, int]:
        """Return ``{number of the region, from 1: pixels}``; empty regions left out."""
        counts = {
            number: int(np.count_nonzero(region()))
            for number, region in enumerate(self._photos[image_name].regions, start=1)
        }
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
                self._by_name[path.name].append(path)

    def find(self, *references: str) -> Path:
        """Return the first photo that one of the ``references`` means.

        Args:
            references: file names or paths with ``/``. Of several photos of the same name the one is meant
                whose folders agree with the path for longest, seen from its end.

        Raises:
            DataError: if there is none, or several different ones agree equally well.
        """
        for reference in references:
            wanted = PurePosixPath(reference).parts[::-1]
            candidates = self._by_name.get(wanted[0], []) if wanted else []
            if candidates:
                depths = [_agreement(path.parts[::-1], wanted) for path in candidates]
                best = [path for path, depth in zip(candidates, depths, strict=True) if depth == max(depths)]
                return self._only(reference, best)
        raise DataError(
            f"photo {PurePosixPath(references[0]).name!r} is not in {self._folder} or below; name the folder "
            "of the photos (--images)."
        )

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
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
