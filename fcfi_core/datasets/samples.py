"""One object of one photo, and choices of objects: what evaluation clicks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.datasets.dataset import Dataset, OpenedPhoto
from fcfi_core.datasets.left_out import listed
from fcfi_core.datasets.objects import BoolMask
from fcfi_core.datasets.split import is_held_out
from fcfi_core.errors import DataError, FcfiError, SettingsError

UNREADABLE = "photos that cannot be read"


@dataclass(frozen=True, eq=False)
class Sample:
    """One object of one photo.

    Args:
        dataset: name of its set.
        image_name: name of its photo within the set.
        object_id: its id in the photo.
        image: the photo as ``images.load`` returns it; or (H, W, 3) uint8 RGB, which is loaded.
        truth: (H, W) bool, the object.
        ignore: (H, W) bool or None, pixels that count neither way.
    """

    dataset: str
    image_name: str
    object_id: int
    image: images.LoadedImage | NDArray[np.uint8]
    truth: BoolMask
    ignore: BoolMask | None = None

    @property
    def loaded(self) -> images.LoadedImage:
        """The photo and its digest."""
        if not isinstance(self.image, images.LoadedImage):
            object.__setattr__(self, "image", images.load(self.image))
        assert isinstance(self.image, images.LoadedImage)
        return self.image

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, the photo."""
        return self.loaded.pixels

    @property
    def name(self) -> str:
        """``SET/PHOTO#ID``."""
        return f"{self.dataset}/{self.image_name}#{self.object_id}"


@dataclass(frozen=True, eq=False)
class ChosenPhoto:
    """One photo of a data set, not yet opened, and those of its objects that were chosen: a unit of work.

    Args:
        dataset: name of its set.
        image_name: its name within the set.
        object_ids: of the chosen objects, at least one.
        read: opens it.
    """

    dataset: str
    image_name: str
    object_ids: tuple[int, ...]
    read: Callable[[], OpenedPhoto]

    def __len__(self) -> int:
        return len(self.object_ids)

    def samples(self, opened: OpenedPhoto) -> Iterator[Sample]:
        """Yield the chosen objects of the photo, which is open."""
        for number in self.object_ids:
            yield Sample(
                self.dataset, self.image_name, number, opened.image, opened.mask(number), opened.ignore
            )


@dataclass(frozen=True)
class Selection:
    """Some objects of a data set, listed without decoding a photo; iterating reads them one by one.

    A photo that cannot be read is left out, and counted in the data set's ``left_out``.

    Args:
        dataset: the set.
        objects: (photo, object id) pairs, grouped by photo.
    """

    dataset: Dataset
    objects: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[Sample]:
        for photo in self.photos():
            try:
                opened = photo.read()
            except FcfiError as error:
                self.dataset.left_out.add(UNREADABLE, str(error))
                continue
            yield from photo.samples(opened)

    def photos(self) -> Iterator[ChosenPhoto]:
        """Yield the photos with the chosen objects of each, in order."""
        for image_name, pairs in groupby(self.objects, key=lambda pair: pair[0]):
            numbers = tuple(number for _, number in pairs)
            yield ChosenPhoto(self.dataset.name, image_name, numbers, self.dataset.reading(image_name))


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
        but = f" (left out: {listed(dataset.left_out)})" if dataset.left_out else ""
        raise DataError(
            f"data set {dataset.name} holds no object of at least {min_area} pixels "
            f"in {len(photos)} photos{but}; {dataset.advice}."
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
