"""COCO instance files: what annotation tools and public data sets exchange.

``{"images": [{"id", "file_name", "width", "height"}], "annotations": [{"id", "image_id",
"segmentation", "iscrowd"}]}``. A segmentation is a list of polygons (flat lists x, y, x, y ... in the
plane where pixel 0 spans 0..1; a pixel belongs to the object if its centre is in any of them) or a
run-length code, compressed or not. Crowd regions count neither way. Objects may overlap.

Photos are looked for in the folder given, else beside the file, in ``images/`` beside it, and in the
same two places one folder up.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images, masks
from fcfi_core.errors import DataError
from fcfi_core.evaluation.datasets import BoolMask
from fcfi_core.masks import coco


@dataclass(frozen=True)
class CocoImage:
    """One entry of ``images``."""

    id: Any
    file_name: str
    width: int
    height: int


class CocoFile:
    """A parsed COCO file: photos, the annotations of each, category names.

    Args:
        path: of the JSON file.
        photos: folder of the photos; None: look beside the file.

    Raises:
        DataError: if the file is not of this form.
    """

    def __init__(self, path: str | Path, photos: str | Path | None = None) -> None:
        self.path = Path(path)
        self._photos = None if photos is None else Path(photos)
        content = _read_json(self.path)
        try:
            self.images = tuple(
                CocoImage(one["id"], str(one["file_name"]), int(one["width"]), int(one["height"]))
                for one in content["images"]
            )
            self.annotations: dict[Any, list[dict[str, Any]]] = {image.id: [] for image in self.images}
            for annotation in content.get("annotations", ()):
                self.annotations[annotation["image_id"]].append(annotation)
            self.categories = {one["id"]: str(one["name"]) for one in content.get("categories", ())}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.path} is no COCO file: {type(error).__name__} {error}; every image needs id, "
                "file_name, width, height, every annotation the image_id of one of them."
            ) from None
        self.content = content

    def photo(self, image: CocoImage) -> Path:
        """Return where the photo of ``image`` lies.

        Raises:
            DataError: if it is in none of the places.
        """
        beside = self.path.resolve().parent
        folders = (
            [self._photos]
            if self._photos
            else [beside, beside / "images", beside.parent, beside.parent / "images"]
        )
        for folder in folders:
            for name in (image.file_name, Path(image.file_name).name):
                if (folder / name).is_file():
                    return folder / name
        raise DataError(
            f"photo {image.file_name} of {self.path} is not in {' or '.join(map(str, folders))}; "
            "name the folder of the photos."
        )


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
        self._by_name = _unique_names(self._file.images)
        self._areas: dict[str, dict[int, int]] = {}
        self.image_names: Sequence[str] = tuple(
            name for name, image in self._by_name.items() if any(self._segmented(image))
        )
        if not self.image_names:
            raise DataError(f"{path} holds no segmentation; evaluation needs polygons or run-length codes.")

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
        segmentations = [(one["segmentation"], bool(one.get("iscrowd"))) for one in self._segmented(image)]
        return CocoPhoto(image_name, pixels, (image.height, image.width), tuple(segmentations))

    def _segmented(self, image: CocoImage) -> Iterator[dict[str, Any]]:
        return (one for one in self._file.annotations[image.id] if one.get("segmentation"))


@dataclass(frozen=True, eq=False)
class CocoPhoto:
    """A photo whose objects are annotations, so they may overlap.

    Args:
        name: of the photo.
        pixels: (H, W, 3) uint8 RGB.
        size: (H, W).
        segmentations: with whether each is a crowd, in the order of the file.
    """

    name: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    segmentations: tuple[tuple[Any, bool], ...]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Numbers of the annotations that are objects, from 1."""
        return tuple(number for number, (_, crowd) in enumerate(self.segmentations, start=1) if not crowd)

    @cached_property
    def ignore(self) -> BoolMask | None:
        """(H, W), the crowds; None if there are none."""
        crowds = [segmentation for segmentation, crowd in self.segmentations if crowd]
        if not crowds:
            return None
        ignore = np.zeros(self.size, np.bool_)
        for segmentation in crowds:
            ignore |= decode_segmentation(segmentation, *self.size)
        return ignore

    def mask(self, object_id: int) -> BoolMask:
        """Return the object as (H, W) bool."""
        return decode_segmentation(self.segmentations[object_id - 1][0], *self.size)


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


def _unique_names(found: Sequence[CocoImage]) -> dict[str, CocoImage]:
    """Return the images by a short name: the stem of the file, or the whole name where stems repeat."""
    stems = [Path(image.file_name).stem for image in found]
    occurrences = Counter(stems)
    return {
        stem if occurrences[stem] == 1 else image.file_name: image
        for stem, image in zip(stems, found, strict=True)
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); give a COCO instance file.") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{path} is no COCO file: it has no list 'images'.")
    return content
