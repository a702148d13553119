"""Photos whose objects are known: what evaluation clicks on.

The folder layout
-----------------
``DIR/images/NAME.jpg`` (or .jpeg, .png, .webp, .bmp, .tif, .tiff) and ``DIR/masks/NAME.png``, one
channel of region ids at the size of the upright photo: 0 background, 1..n objects; the largest number
of the depth (255 in 8 bits, 65535 in 16 bits) marks pixels that count neither way. Palette PNGs count
by palette index. The masks decide which photos belong to the set; a photo without a mask is left out.
``DIR/manifest.json`` may give the set another name than its folder's (``{"name": ...}``).

Every reader is a :class:`Dataset`: it lists its photos and the objects of each without decoding
photos, and reads one photo at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcfi_core import images
from fcfi_core.datasets.split import is_held_out
from fcfi_core.errors import DataError, SettingsError

BoolMask = NDArray[np.bool_]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_BITS_OF_MODE = {"1": 8, "L": 8, "P": 8, "I;16": 16, "I;16B": 16, "I": 16}


class AnnotatedImage(Protocol):
    """One photo and its objects."""

    @property
    def name(self) -> str:
        """Unique within the data set."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, upright."""

    @property
    def ignore(self) -> BoolMask | None:
        """(H, W), pixels that count neither way."""

    def mask(self, object_id: int) -> BoolMask:
        """Return the object as (H, W) bool."""


class Dataset(Protocol):
    """A set of annotated photos."""

    @property
    def name(self) -> str:
        """For reports."""

    @property
    def image_names(self) -> Sequence[str]:
        """All photos, in a fixed order."""

    def areas(self, image_name: str) -> Mapping[int, int]:
        """Return ``{object id: pixels}`` of one photo, in ascending order of ids; ignored pixels left out."""

    def read(self, image_name: str) -> AnnotatedImage:
        """Return one photo with its objects."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One object of one photo.

    Args:
        dataset: name of its set.
        image_name: name of its photo within the set.
        object_id: its id in the photo.
        pixels: (H, W, 3) uint8 RGB, the photo.
        truth: (H, W) bool, the object.
        ignore: (H, W) bool or None, pixels that count neither way.
    """

    dataset: str
    image_name: str
    object_id: int
    pixels: NDArray[np.uint8]
    truth: BoolMask
    ignore: BoolMask | None = None

    @property
    def name(self) -> str:
        """``SET/PHOTO#ID``."""
        return f"{self.dataset}/{self.image_name}#{self.object_id}"


@dataclass(frozen=True)
class Selection:
    """Some objects of a data set, listed without reading a photo; iterating reads them one by one.

    Args:
        dataset: the set.
        objects: (photo, object id) pairs, grouped by photo.
    """

    dataset: Dataset
    objects: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[Sample]:
        photo: AnnotatedImage | None = None
        for image_name, object_id in self.objects:
            if photo is None or photo.name != image_name:
                photo = self.dataset.read(image_name)
            yield Sample(
                self.dataset.name, image_name, object_id, photo.pixels, photo.mask(object_id), photo.ignore
            )


def choose(
    dataset: Dataset,
    *,
    count: int | None = None,
    seed: int = 0,
    min_area: int = 1,
    held_out: float | None = None,
) -> Selection:
    """Return the objects of ``dataset``, or a random choice of them.

    Args:
        count: how many objects; None (or more than there are) takes all.
        seed: of the choice; the same seed chooses the same objects.
        min_area: leave out objects with fewer pixels.
        held_out: take only the share of the photos that a training run with the same
            ``development_share`` keeps out, above 0 and at most 1; None takes all photos.

    Raises:
        DataError: if there is no such object.
        SettingsError: if ``count`` or ``min_area`` is below 1, or ``held_out`` no share.
    """
    if min_area < 1:
        raise SettingsError(f"smallest object area is {min_area} pixels; give 1 or more.")
    if count is not None and count < 1:
        raise SettingsError(f"number of objects is {count}; give 1 or more.")
    photos = dataset.image_names
    if held_out is not None:
        photos = _held_out(dataset, held_out)
    objects = [
        (image_name, object_id)
        for image_name in photos
        for object_id, area in dataset.areas(image_name).items()
        if area >= min_area
    ]
    if not objects:
        raise DataError(
            f"data set {dataset.name} holds no object of at least {min_area} pixels "
            f"in {len(photos)} masks; number the objects 1, 2, 3 ... (255 in 8-bit and 65535 in "
            "16-bit masks mean 'ignore')."
        )
    if count is not None and count < len(objects):
        chosen = np.random.default_rng(seed).choice(len(objects), count, replace=False)
        objects = [objects[index] for index in np.sort(chosen)]
    return Selection(dataset, tuple(objects))


def _held_out(dataset: Dataset, share: float) -> list[str]:
    """Return the names of the photos that a training run keeps out."""
    if not 0 < share <= 1:
        raise SettingsError(
            f"held-out share of the photos is {share}; give a number above 0 and at most 1, for example 0.06."
        )
    photos = [name for name in dataset.image_names if is_held_out(f"{dataset.name}/{name}", share)]
    if not photos:
        raise DataError(
            f"none of the {len(dataset.image_names)} photos of {dataset.name} is held out at a share of "
            f"{share}; raise the share, or evaluate all photos."
        )
    return photos


class Folder:
    """The ``images/`` + ``masks/`` layout; see the module's text.

    Args:
        path: the folder that holds both.

    Raises:
        DataError: if the folder has no masks, or a mask has no photo.
    """

    def __init__(self, path: str | Path) -> None:
        root = Path(path)
        masks = sorted((root / "masks").glob("*.png"))
        if not masks:
            raise DataError(
                f"{root} is no data set: it needs images/NAME.jpg and masks/NAME.png (no mask found)."
            )
        photos = {
            file.stem: file
            for file in sorted((root / "images").iterdir() if (root / "images").is_dir() else [])
            if file.suffix.lower() in IMAGE_SUFFIXES
        }
        for file in masks:
            if file.stem not in photos:
                raise DataError(
                    f"mask {file} has no photo {root / 'images' / file.stem}.jpg; add it or remove the mask."
                )
        self.name = _manifest_name(root)
        self.image_names = tuple(file.stem for file in masks)
        self._masks = {file.stem: file for file in masks}
        self._photos = photos

    def areas(self, image_name: str) -> dict[int, int]:
        """Return ``{object id: pixels}`` of one photo, in ascending order of ids."""
        ids, ignored = read_ids(self._masks[image_name])
        found, counts = np.unique(ids[ids != ignored], return_counts=True)
        return {int(k): int(n) for k, n in zip(found, counts, strict=True) if k != 0}

    def read(self, image_name: str) -> IdMapImage:
        """Return one photo with its objects.

        Raises:
            DataError: if photo and mask differ in size.
            ImageError: if the photo cannot be decoded.
        """
        ids, ignored = read_ids(self._masks[image_name])
        pixels = images.load(self._photos[image_name]).pixels
        if ids.shape != pixels.shape[:2]:
            raise DataError(
                f"mask {self._masks[image_name]} has {ids.shape[1]} x {ids.shape[0]} pixels, its upright "
                f"photo {pixels.shape[1]} x {pixels.shape[0]}; export masks at the photo's size."
            )
        return IdMapImage(image_name, pixels, ids, ignored)


@dataclass(frozen=True, eq=False)
class IdMapImage:
    """A photo whose objects are numbers in one map, so they never overlap.

    Args:
        name: of the photo.
        pixels: (H, W, 3) uint8 RGB.
        ids: (H, W) uint16, 0 = background.
        ignored: the id that counts neither way.
    """

    name: str
    pixels: NDArray[np.uint8]
    ids: NDArray[np.uint16]
    ignored: int

    @property
    def ignore(self) -> BoolMask | None:
        """(H, W), pixels that count neither way; None if there are none."""
        ignore = self.ids == self.ignored
        return ignore if ignore.any() else None

    def mask(self, object_id: int) -> BoolMask:
        """Return the object as (H, W) bool."""
        found: BoolMask = self.ids == object_id
        return found


def read_ids(path: Path) -> tuple[NDArray[np.uint16], int]:
    """Return a mask's ids, (H, W) uint16, and the id that means 'ignore' (255 or 65535 by bit depth).

    Raises:
        DataError: if the file is no one-channel PNG of at most 16 bits.
    """
    try:
        with Image.open(path) as image:
            bits = _BITS_OF_MODE.get(image.mode)
            ids = np.asarray(image)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"mask {path} cannot be read ({error}); export it again as PNG.") from None
    if bits is None or ids.ndim != 2 or int(ids.max(initial=0)) > 65535:
        raise DataError(
            f"mask {path} is not one channel of ids (its mode is {image.mode}); save it as a grey PNG."
        )
    return ids.astype(np.uint16), 255 if bits == 8 else 65535


def _manifest_name(root: Path) -> str:
    """Return the set's name: the manifest's, else the folder's."""
    manifest = root / "manifest.json"
    if manifest.is_file():
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{manifest} is not valid JSON ({error}); repair or remove it.") from None
        if isinstance(content, dict) and isinstance(content.get("name"), str) and content["name"]:
            return str(content["name"])
    return root.resolve().name
