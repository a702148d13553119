"""The objects of a COCO instance file as an evaluation or training set.

Crowd regions count neither way. Objects may overlap; where one label per pixel is needed, as in
training, the smaller one is taken to be in front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images, masks
from fcfi_core.datasets.coco_file import CocoFile, CocoImage
from fcfi_core.datasets.folder import BoolMask
from fcfi_core.datasets.regions import listed
from fcfi_core.errors import DataError
from fcfi_core.masks import coco


class CocoDataset:
    """The objects of a COCO file, by annotation, as an evaluation or training set.

    Args:
        path: of the JSON file.
        photos: folder of the photos; None: look beside the file.

    Raises:
        DataError: if the file is not of this form or holds no segmentation.
    """

    def __init__(self, path: str | Path, photos: str | Path | None = None) -> None:
        self._file = CocoFile(path, photos)
        self.name = Path(path).stem
        self._by_name: dict[str, CocoImage] = {}
        for name, image in _short_names(self._file.images):
            if any(self._segmented(image)):
                if name in self._by_name:
                    raise DataError(f"{path}: several images are {name}; keep one annotation of every photo.")
                self._by_name[name] = image
        self._areas: dict[str, dict[int, int]] = {}
        self.image_names: Sequence[str] = tuple(self._by_name)
        kinds = Counter(self._kind(one) for found in self._file.annotations.values() for one in found)
        objects = kinds.pop(None, 0)
        self.left_out: Mapping[str, int] = {str(kind): count for kind, count in kinds.items()}
        if not objects:
            but = f", but {listed(self.left_out)}" if self.left_out else ""
            raise DataError(
                f"{path} holds no segmentation of an object{but}; "
                "polygons or run-length codes are needed (brush masks of Label Studio: export as JSON)."
            )

    def areas(self, image_name: str) -> Mapping[int, int]:
        """Return ``{index of the annotation within its photo, from 1: pixels outside crowds}``.

        Crowds and what they cover entirely are left out.
        """
        if image_name not in self._areas:
            photo = self._photo(image_name, np.empty((0, 0, 3), np.uint8))
            counted = True if photo.ignore is None else ~photo.ignore
            counts = {
                number: int(np.count_nonzero(photo.mask(number) & counted)) for number in photo.object_ids
            }
            self._areas[image_name] = {number: count for number, count in counts.items() if count}
        return self._areas[image_name]

    def read(self, image_name: str) -> CocoPhoto:
        """Return one photo with its objects.

        Raises:
            DataError: if the photo is missing or not of the size that the file says.
            ImageError: if it cannot be decoded.
        """
        image = self._by_name[image_name]
        pixels = images.load(self._file.photo(image)).pixels
        if pixels.shape[:2] != (image.height, image.width):
            raise DataError(
                f"photo {image.file_name} has {pixels.shape[1]} x {pixels.shape[0]} pixels upright, "
                f"{self._file.path} says {image.width} x {image.height}; annotations and photos do not "
                "belong together."
            )
        return self._photo(image_name, pixels)

    def _photo(self, image_name: str, pixels: NDArray[np.uint8]) -> CocoPhoto:
        image = self._by_name[image_name]
        regions = tuple(
            CocoRegion(
                f"{self._file.path}, image {image.file_name!r}, annotation {one.get('id')}",
                one["segmentation"],
                self._file.is_crowd(one),
            )
            for one in self._segmented(image)
        )
        return CocoPhoto(image_name, pixels, (image.height, image.width), regions)

    def _kind(self, annotation: Mapping[str, Any]) -> str | None:
        """Return what an annotation is if it is no object."""
        if not annotation.get("segmentation"):
            return "annotations without a segmentation"
        return "crowd regions" if self._file.is_crowd(annotation) else None

    def _segmented(self, image: CocoImage) -> Iterator[dict[str, Any]]:
        return (one for one in self._file.annotations[image.id] if one.get("segmentation"))


@dataclass(frozen=True)
class CocoRegion:
    """One segmentation of a photo.

    Args:
        place: where it stands, for messages.
        segmentation: as in the file.
        crowd: to be ignored.
    """

    place: str
    segmentation: Any
    crowd: bool

    def mask(self, height: int, width: int) -> BoolMask:
        """Return the region as (H, W) bool.

        Raises:
            DataError: if it cannot be drawn on a photo of this size; the message names the place.
        """
        try:
            return decode_segmentation(self.segmentation, height, width)
        except DataError as error:
            raise DataError(f"{self.place}: {error}") from None


@dataclass(frozen=True, eq=False)
class CocoPhoto:
    """A photo whose objects are annotations, so they may overlap.

    Args:
        name: of the photo.
        pixels: (H, W, 3) uint8 RGB.
        size: (H, W).
        regions: in the order of the file.
    """

    name: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    regions: tuple[CocoRegion, ...]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Numbers of the annotations that are objects, from 1."""
        return tuple(number for number, region in enumerate(self.regions, start=1) if not region.crowd)

    @cached_property
    def ignore(self) -> BoolMask | None:
        """(H, W), the crowds; None if there are none."""
        crowds = [region for region in self.regions if region.crowd]
        if not crowds:
            return None
        ignore = np.zeros(self.size, np.bool_)
        for region in crowds:
            ignore |= region.mask(*self.size)
        return ignore

    def mask(self, object_id: int) -> BoolMask:
        """Return the object as (H, W) bool."""
        return self.regions[object_id - 1].mask(*self.size)


def decode_segmentation(segmentation: Any, height: int, width: int) -> BoolMask:
    """Return a COCO segmentation (polygons or run-length code) as (H, W) bool.

    Raises:
        DataError: if it is of neither form, or of another size.
    """
    if isinstance(segmentation, Mapping):
        mask = coco.decode(segmentation)
        if mask.shape != (height, width):
            raise DataError(f"a COCO segmentation has size {mask.shape}, its image ({height}, {width}).")
        return mask
    try:
        rings = [np.asarray(flat, np.float64).reshape(-1, 2) for flat in segmentation]
    except (TypeError, ValueError):
        raise DataError(
            "a COCO segmentation is neither a list of polygons [x, y, x, y, ...] nor {'size', 'counts'}."
        ) from None
    if not all(len(ring) >= 3 and np.isfinite(ring).all() for ring in rings):
        raise DataError("a COCO polygon has fewer than three points, or a coordinate that is no number.")
    return masks.from_polygons([masks.Polygon(ring) for ring in rings], width, height)


def _short_names(found: Sequence[CocoImage]) -> list[tuple[str, CocoImage]]:
    """Return the images with short names: the stem of the file, or the whole name where stems repeat."""
    stems = [Path(image.file_name).stem for image in found]
    occurrences = Counter(stems)
    return [
        (stem if occurrences[stem] == 1 else image.file_name, image)
        for stem, image in zip(stems, found, strict=True)
    ]
