"""A data set put together from photos and regions that may overlap: what platform exports become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        self._by_name: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                self._by_name.setdefault(path.name, path)

    def find(self, *names: str) -> Path:
        """Return the first photo that has one of the file ``names``.

        Raises:
            DataError: if there is none.
        """
        for name in names:
            if name in self._by_name:
                return self._by_name[name]
        raise DataError(
            f"photo {names[0]!r} is not in {self._folder} or below; name the folder of the photos (--images)."
        )
