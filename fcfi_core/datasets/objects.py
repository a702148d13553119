"""What all readers give: photos with their objects.

A reader takes annotations apart and checks nothing that needs the photo. Of each object it keeps what the
source says (its *marks*); :meth:`Marks.prompt` makes clicks, box and mask of them when the photo's real size
is known. So a size that is only claimed never reserves memory, damaged marks cost their object alone, and
one photo with its objects can travel to another process without the rest of the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.datasets.left_out import Note
from fcfi_core.errors import DataError
from fcfi_core.images.sizes import size_of
from fcfi_core.prompt import Prompt
from fcfi_core.stores import Stored

BoolMask = NDArray[np.bool_]

UNNAMED = "object"
"""Label of objects whose source gives none."""


class Marks(Protocol):
    """What a source says of one object."""

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return clicks, box and mask on the upright photo of ``width`` x ``height`` pixels.

        Args:
            note: is told each part that is left out; the rest still counts.

        Raises:
            FcfiError: if nothing is left.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Marks that need no photo: a prompt, ready."""

    asked: Prompt

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return the prompt."""
        return self.asked


@dataclass(frozen=True, slots=True, eq=False)
class Damaged:
    """Marks that cannot be understood; ``problem`` says why."""

    problem: str

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Raise DataError."""
        raise DataError(self.problem)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedObject:
    """One object of a photo.

    Args:
        number: unique within the photo, above 0.
        marks: where it is.
        name: what the source calls it, unique within the photo; "": its number.
        label: its class.
        category: the source's number of the class.
        id: the source's own number of the object.
        drawn: whether the marks hold a mask.
        kind: what to call objects of this kind where a mask is needed and there is none; "": they need not
            be mentioned.
        crowd: a region of many objects; counts neither as object nor as background.
    """

    number: int
    marks: Marks
    name: str = ""
    label: str = UNNAMED
    category: int | None = None
    id: int | None = None
    drawn: bool = True
    kind: str = ""
    crowd: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", str(self.number))


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPhoto:
    """One photo with its objects. Holds nothing of the rest of its source.

    Args:
        name: unique within the data set.
        file_name: what the source calls the file, or the name in the folder where it calls it otherwise.
        path: of the file; None: it was not found, and ``missing`` says why.
        size: (width, height) of the upright photo, as the source says; None: it does not.
        annotated: the objects, in the order of the source.
        id: the source's own number of the photo.
        source: who says all that, for messages.
    """

    name: str
    file_name: str
    path: Path | Stored | None
    missing: str = ""
    size: tuple[int, int] | None = None
    annotated: tuple[AnnotatedObject, ...] = ()
    id: int | None = None
    source: str = field(default="", kw_only=True)

    @property
    def objects(self) -> Sequence[AnnotatedObject]:
        """The objects, crowds among them, in the order of the source."""
        return self.annotated

    @property
    def holds_masks(self) -> bool:
        """Whether an object may be drawn, without looking at the marks."""
        return any(one.drawn and not one.crowd for one in self.annotated)

    def without_masks(self) -> Counter[str]:
        """Return what holds no mask, ``{kind: how many}``, without looking at the marks."""
        return Counter(
            "crowd regions" if one.crowd else one.kind
            for one in self.annotated
            if one.crowd or (not one.drawn and one.kind)
        )

    def load(self, max_pixels: int | None = None) -> images.LoadedImage:
        """Return the photo.

        Args:
            max_pixels: most pixels accepted, None for 200 million.

        Raises:
            DataError: if it was not found, or is not of the size that the source says.
            ImageError: if it cannot be decoded.
        """
        found = self._found()
        if isinstance(found, Stored):
            loaded = images.load(found.read(), max_pixels=max_pixels, name=f"image {str(found)!r}")
        else:
            loaded = images.load(found, max_pixels=max_pixels)
        self._require_size(loaded.width, loaded.height)
        return loaded

    def measured(self) -> tuple[int, int]:
        """Return (width, height) of the upright photo, from its header; errors as of :meth:`load`.

        A photo in a store is fetched for it.
        """
        found = self._found()
        if isinstance(found, Stored):
            loaded = self.load()
            return loaded.width, loaded.height
        width, height = size_of(found)
        self._require_size(width, height)
        return width, height

    def _found(self) -> Path | Stored:
        if self.path is None:
            raise DataError(self.missing)
        return self.path

    def _require_size(self, width: int, height: int) -> None:
        if self.size is not None and self.size != (width, height):
            raise DataError(
                f"photo {self.path} has {width} x {height} pixels upright, {self.source or 'its annotation'} "
                f"says {self.size[0]} x {self.size[1]}; give the folder of the annotated photos (--images)."
            )


def located(path: Path | Stored | DataError) -> tuple[Path | Stored | None, str]:
    """Return a photo's path and, if it was not found, why."""
    return (None, str(path)) if isinstance(path, DataError) else (path, "")
