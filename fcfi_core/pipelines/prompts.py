"""What is to be cut out of many images: per image the objects, per object clicks, a box or a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from fcfi_core import images, masks
from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.left_out import Note
from fcfi_core.datasets.objects import UNNAMED, AnnotatedObject, AnnotatedPhoto, BoolMask
from fcfi_core.errors import PromptError
from fcfi_core.prompt import Prompt

Use = Literal["auto", "clicks", "box", "mask"]
"""Which part of the prompts to use: all there is, or one kind only."""


class Wanted(Protocol):
    """One object to cut out."""

    @property
    def name(self) -> str:
        """What the source calls it, unique within the image."""

    @property
    def label(self) -> str:
        """Its class."""

    @property
    def id(self) -> int | None:
        """The source's own number, kept in COCO output."""

    @property
    def category(self) -> int | None:
        """The source's number of the class, kept in COCO output."""

    def prompt(self, note: Note) -> Prompt:
        """Return clicks, box and mask; ``note`` is told what is left out.

        Raises:
            FcfiError: if nothing of it can be used.
        """


@dataclass(frozen=True, eq=False)
class ObjectPrompt:
    """An object in plain words.

    Args:
        name, label, id, category: see :class:`Wanted`.
        clicks: in order; may be empty if there is a box or a mask.
        box: around it.
        prior_mask: gives a mask to start from, (H, W) bool of the upright image; called when needed.
    """

    name: str
    label: str = UNNAMED
    clicks: tuple[Click, ...] = ()
    box: Box | None = None
    prior_mask: Callable[[], BoolMask] | None = None
    id: int | None = None
    category: int | None = None

    def prompt(self, note: Note) -> Prompt:
        """Return clicks, box and mask."""
        return Prompt(self.clicks, self.box, None if self.prior_mask is None else self.prior_mask())


@dataclass(frozen=True, eq=False)
class MarkedObject:
    """An object of a data set, on a photo of known size."""

    annotated: AnnotatedObject
    width: int
    height: int

    @property
    def name(self) -> str:
        """What the source calls it."""
        return self.annotated.name

    @property
    def label(self) -> str:
        """Its class."""
        return self.annotated.label

    @property
    def id(self) -> int | None:
        """The source's own number."""
        return self.annotated.id

    @property
    def category(self) -> int | None:
        """The source's number of the class."""
        return self.annotated.category

    def prompt(self, note: Note) -> Prompt:
        """Return clicks, box and mask; ``note`` is told what is left out."""
        return self.annotated.marks.prompt(self.width, self.height, note)


def narrowed(prompt: Prompt, use: Use) -> Prompt:
    """Return the prompt with one kind of hint only; "auto" keeps all. A box can be had from a mask.

    Raises:
        PromptError: if there is no such hint.
    """
    if use == "auto":
        return prompt
    if use == "clicks" and prompt.clicks:
        return replace(prompt, box=None, mask=None)
    if use == "box" and prompt.box is None and prompt.mask is not None:
        return replace(prompt, clicks=(), mask=None, box=masks.box_of(prompt.mask))
    if use == "box" and prompt.box is not None:
        return replace(prompt, clicks=(), mask=None)
    if use == "mask" and prompt.mask is not None:
        return replace(prompt, clicks=(), box=None)
    raise PromptError(f"the object has no {use} to start from; use another kind of prompt.")


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image at hand, with what is wanted from it.

    Args:
        picture: anything that ``images.load`` reads.
        objects: in the order of the source.
    """

    picture: images.Source
    objects: Sequence[Wanted]


@dataclass(frozen=True, slots=True, eq=False)
class ImagePrompts:
    """One image of a source, not yet opened.

    Args:
        name: what the source calls it (a file name, as a rule).
        read: finds the image and its prompts; raises an FcfiError if it cannot.
        id: the source's own number, kept in COCO output.
    """

    name: str
    read: Callable[[], OpenedImage]
    id: int | None = None


@dataclass(frozen=True, eq=False)
class PromptSource:
    """Many images with prompts, in a fixed order.

    Args:
        name: for messages.
        digest: of the content: a run can only be taken up with the same prompts.
        images: all of them.
        categories: {number: label} of all objects.
        left_out: what the source holds and cannot be used, ``{kind: how many}``.
    """

    name: str
    digest: str
    images: Sequence[ImagePrompts]
    categories: Mapping[int, str]
    left_out: Mapping[str, int] = field(default_factory=dict)


def opened(photo: AnnotatedPhoto, max_pixels: int | None = None) -> OpenedImage:
    """Return a photo of a data set with its objects; crowds are none.

    Raises:
        DataError: if the photo was not found, or is not of the size that its source says.
        ImageError: if it cannot be decoded, or has more pixels than allowed.
    """
    loaded = photo.load(max_pixels)
    return OpenedImage(
        loaded, [MarkedObject(one, loaded.width, loaded.height) for one in photo.objects if not one.crowd]
    )
