"""Data sets of readers that were written for the earlier contract, as ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import Note
from fcfi_core.datasets.objects import AnnotatedObject, AnnotatedPhoto
from fcfi_core.prompt import Prompt


class EarlierPhoto(Protocol):
    """One photo and its objects."""

    @property
    def pixels(self) -> NDArray[Any]:
        """(H, W, 3) uint8 RGB, upright."""

    @property
    def ignore(self) -> NDArray[Any] | None:
        """(H, W) bool, pixels that count neither way."""

    def mask(self, object_id: int) -> NDArray[Any]:
        """Return the object as (H, W) bool."""


class EarlierDataset(Protocol):
    """A set of annotated photos."""

    @property
    def name(self) -> str:
        """For reports."""

    @property
    def image_names(self) -> Sequence[str]:
        """All photos, in a fixed order."""

    def areas(self, image_name: str) -> Mapping[int, int]:
        """Return ``{object id: pixels}`` of one photo."""

    def read(self, image_name: str) -> EarlierPhoto:
        """Return one photo with its objects."""


def reader(
    earlier: Callable[[Path, Path | None], EarlierDataset | None],
) -> Callable[[Annotations], Dataset | None]:
    """Return a reader that asks an earlier one."""

    def read(annotations: Annotations) -> Dataset | None:
        found = earlier(annotations.path, annotations.images)
        if found is None or isinstance(found, Dataset):
            return found
        return Dataset(
            found.name,
            [_Photo(name, name, annotations.path, of=found) for name in found.image_names],
            place=annotations.path,
            left_out=getattr(found, "left_out", None),
            digest=lambda: annotations.digest,
        )

    return read


@dataclass(frozen=True, slots=True, eq=False)
class _Photo(AnnotatedPhoto):
    """A photo that the earlier data set reads."""

    of: EarlierDataset = field(kw_only=True)

    @property
    def objects(self) -> Sequence[AnnotatedObject]:
        found = [
            AnnotatedObject(number, _Marks(self.of, self.name, number)) for number in self.of.areas(self.name)
        ]
        if self.of.read(self.name).ignore is not None:
            beyond = max((one.number for one in found), default=0) + 1
            found.append(AnnotatedObject(beyond, _Marks(self.of, self.name, None), crowd=True))
        return found

    @property
    def holds_masks(self) -> bool:
        return True

    def without_masks(self) -> Counter[str]:
        return Counter()

    def load(self, max_pixels: int | None = None) -> images.LoadedImage:
        return images.load(self.of.read(self.name).pixels, max_pixels=max_pixels)

    def measured(self) -> tuple[int, int]:
        height, width = self.of.read(self.name).pixels.shape[:2]
        return width, height


@dataclass(frozen=True, slots=True, eq=False)
class _Marks:
    of: EarlierDataset
    photo: str
    number: int | None

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        photo = self.of.read(self.photo)
        return Prompt(mask=photo.ignore if self.number is None else photo.mask(self.number))
