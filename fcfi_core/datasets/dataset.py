"""A data set: photos with their objects, whatever the format, and what evaluation and training see of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.datasets.left_out import LeftOut, Note, listed, nothing_noted
from fcfi_core.datasets.objects import AnnotatedObject, AnnotatedPhoto, BoolMask
from fcfi_core.errors import DataError, FcfiError

UNDRAWN = "objects whose mask cannot be drawn"
UNUSABLE = "photos that cannot be used"


class Dataset:
    """Photos with their objects, in a fixed order.

    Pipelines take ``photos`` as they are. Evaluation and training need masks: they list the photos that may
    hold some (``image_names``), the objects of each (:meth:`areas`) and read one photo at a time
    (:meth:`read`). What they cannot use is counted in ``left_out``, as far as they have looked.

    Args:
        name: for reports.
        photos: in the order of the source.
        place: the path of the source, for messages.
        left_out: what the source holds and nobody can use, ``{kind: how many}``.
        categories: {number: label} where the source numbers its classes.
        digest: of the source's content; or what makes it.
        wanted: what would serve as a mask, in the words of the format.
        advice: what to do if there is none.

    Raises:
        DataError: if two photos with masks have the same name.
    """

    def __init__(
        self,
        name: str,
        photos: Sequence[AnnotatedPhoto],
        *,
        place: str | Path = "",
        left_out: Mapping[str, int] | None = None,
        categories: Mapping[int, str] | None = None,
        digest: str | Callable[[], str] = "",
        wanted: str = "mask",
        advice: str = "give a set with masks or polygons",
    ) -> None:
        self.name = name
        self.photos = tuple(photos)
        self.categories = dict(categories or {})
        self._digest = digest
        self.advice = advice
        self.unread = LeftOut(left_out)
        self.left_out = LeftOut(left_out)
        self._place = str(place) or name
        self._wanted = wanted
        self._areas: dict[str, dict[int, int]] = {}
        self._drawn: dict[str, AnnotatedPhoto] = {}
        for photo in self.photos:
            self.left_out.take(photo.without_masks())
            if not photo.holds_masks:
                continue
            if photo.path is None:
                self.left_out.add("photos that were not found", photo.missing)
            elif photo.name in self._drawn:
                self.left_out.add("further annotations of a photo", photo.name)
            else:
                self._drawn[photo.name] = photo

    @property
    def digest(self) -> str:
        """Of the source's content: equal digests mean equal annotations."""
        return self._digest if isinstance(self._digest, str) else self._digest()

    @property
    def image_names(self) -> Sequence[str]:
        """All photos that may hold masks, in a fixed order."""
        return tuple(self._drawn)

    def require_photos(self) -> None:
        """Raise DataError if there is no photo, or none was found."""
        if not self.photos:
            but = f", but {listed(self.unread)}" if self.unread else ""
            raise DataError(f"{self._place} holds no annotated photo{but}; {self.advice}.")
        missing = [photo.missing for photo in self.photos if photo.path is None]
        if len(missing) == len(self.photos):
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise DataError(f"{missing[0].removesuffix('.')}{more}.")

    def require_masks(self) -> None:
        """Raise DataError if no photo that was found holds a mask."""
        if self._drawn:
            return
        if any(photo.holds_masks for photo in self.photos):
            self.require_photos()
        but = f", but {listed(self.left_out)}" if self.left_out else ""
        raise DataError(f"{self._place} holds no {self._wanted}{but}; {self.advice}.")

    def areas(self, image_name: str) -> Mapping[int, int]:
        """Return ``{object id: pixels outside crowds}`` of one photo, in ascending order of ids.

        What cannot be drawn, has no pixel, or lies in crowds entirely, is left out.
        """
        if image_name not in self._areas:
            self._areas[image_name] = self._measure(self._drawn[image_name])
        return self._areas[image_name]

    def read(self, image_name: str) -> OpenedPhoto:
        """Return one photo with its objects.

        Raises:
            DataError: if the photo is not of the size that the source says.
            ImageError: if it cannot be decoded.
        """
        return self.reading(image_name)()

    def reading(self, image_name: str) -> Callable[[], OpenedPhoto]:
        """Return what reads one photo, as :meth:`read` does: small, and good in another process, too."""
        return partial(_opened, self._drawn[image_name])

    def _measure(self, photo: AnnotatedPhoto) -> dict[int, int]:
        try:
            width, height = photo.measured()
            objects = photo.objects
        except FcfiError as error:
            self.left_out.add(UNUSABLE, str(error))
            return {}
        crowds = [
            mask
            for one in objects
            if one.crowd and (mask := self._draw(photo, one, width, height)) is not None
        ]
        ignore = np.logical_or.reduce(crowds) if crowds else None
        areas = {}
        for one in objects:
            if one.crowd or not one.drawn:
                continue
            mask = self._draw(photo, one, width, height)
            if mask is not None:
                areas[one.number] = int(np.count_nonzero(mask if ignore is None else mask & ~ignore))
        return {number: area for number, area in sorted(areas.items()) if area}

    def _draw(self, photo: AnnotatedPhoto, one: AnnotatedObject, width: int, height: int) -> BoolMask | None:
        place = f"{photo.file_name}, object {one.name}"
        try:
            mask = drawn(one, width, height, self.left_out.at(place))
        except FcfiError as error:
            self.left_out.add(UNDRAWN, f"{place}: {str(error).removesuffix('.')}")
            return None
        return mask


@dataclass(frozen=True, eq=False)
class OpenedPhoto:
    """A photo with its pixels.

    Args:
        photo: what is known of it.
        image: the photo itself.
    """

    photo: AnnotatedPhoto
    image: images.LoadedImage
    _by_number: dict[int, AnnotatedObject] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_number.update((one.number, one) for one in self.photo.objects)

    @property
    def name(self) -> str:
        """Unique within the data set."""
        return self.photo.name

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, upright."""
        return self.image.pixels

    @cached_property
    def ignore(self) -> BoolMask | None:
        """(H, W), pixels that count neither way; None if there are none."""
        found = None
        for one in self.photo.objects:
            if one.crowd:
                try:
                    mask = drawn(one, self.image.width, self.image.height, nothing_noted)
                except FcfiError:
                    continue  # counted when the areas were measured
                found = mask if found is None else found | mask
        return found if found is not None and found.any() else None

    def mask(self, object_id: int) -> BoolMask:
        """Return the object as (H, W) bool.

        Raises:
            DataError: if it cannot be drawn, naming photo and object.
        """
        one = self._by_number[object_id]
        try:
            return drawn(one, self.image.width, self.image.height, nothing_noted)
        except FcfiError as error:
            raise DataError(f"{self.photo.file_name}, object {one.name}: {error}") from None


def _opened(photo: AnnotatedPhoto) -> OpenedPhoto:
    return OpenedPhoto(photo, photo.load())


def drawn(one: AnnotatedObject, width: int, height: int, note: Note) -> BoolMask:
    """Return the mask of an object, (H, W) bool.

    Raises:
        DataError: if it has none, or one of another size.
    """
    mask = one.marks.prompt(width, height, note).mask
    if mask is None:
        raise DataError("it has no mask.")
    if mask.shape != (height, width):
        raise DataError(
            f"its mask has {mask.shape[1]} x {mask.shape[0]} pixels, the photo {width} x {height}."
        )
    return mask
