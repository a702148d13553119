"""What is to be cut out of many images: per image the objects, per object clicks, a box or a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images, masks
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError

BoolMask = NDArray[np.bool_]

Use = Literal["auto", "clicks", "box", "mask"]
"""Which part of the prompts to use: all there is, or one kind only."""

UNNAMED = "object"
"""Label of objects whose source gives none."""


@dataclass(frozen=True, eq=False)
class ObjectPrompt:
    """One object to cut out.

    Args:
        name: what the source calls it, unique within the image.
        label: its class.
        clicks: in order; may be empty if there is a box or a mask.
        box: around it.
        prior_mask: gives a mask to start from, (H, W) bool of the upright image; called when needed.
        id: the source's own number, kept in COCO output.
    """

    name: str
    label: str = UNNAMED
    clicks: tuple[Click, ...] = ()
    box: Box | None = None
    prior_mask: Callable[[], BoolMask] | None = None
    id: int | None = None

    def narrowed(self, use: Use) -> ObjectPrompt:
        """Return the prompt with one kind of hint only; "auto" keeps all.

        A box can be had from a mask.

        Raises:
            PromptError: if the object has no such hint.
        """
        if use == "auto":
            return self
        if use == "clicks" and self.clicks:
            return replace(self, box=None, prior_mask=None)
        if use == "box" and self.box is not None:
            return replace(self, clicks=(), prior_mask=None)
        if use == "box" and self.prior_mask is not None:
            return replace(self, clicks=(), prior_mask=None, box=masks.box_of(self.prior_mask()))
        if use == "mask" and self.prior_mask is not None:
            return replace(self, clicks=(), box=None)
        raise PromptError(f"object {self.name} has no {use} to start from; use another kind of prompt.")


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image at hand, with what is wanted from it.

    Args:
        picture: anything that ``images.load`` reads.
        objects: in the order of the source.
    """

    picture: images.Source
    objects: tuple[ObjectPrompt, ...]


@dataclass(frozen=True, eq=False)
class ImagePrompts:
    """One image of a source, not yet opened.

    Args:
        name: what the source calls it (a file name, as a rule), unique.
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
    """

    name: str
    digest: str
    images: Sequence[ImagePrompts]
    categories: Mapping[int, str]


def numbered(labels: Sequence[str]) -> dict[int, str]:
    """Return ``{1: first label, 2: second ...}``, each label once, in order of appearance.

    >>> numbered(["cat", "dog", "cat"])
    {1: 'cat', 2: 'dog'}
    """
    return dict(enumerate(dict.fromkeys(labels) or {UNNAMED: None}, start=1))


def coco_box(values: Any) -> Box:
    """Return COCO's ``[x, y, width, height]`` (edges in the plane) as a box of pixels.

    Raises:
        PromptError: if it is not four numbers.
    """
    try:
        x, y, width, height = (float(value) for value in values)
        x1, y1 = Click.nearest(x, y).x, Click.nearest(x, y).y
        far = Click.nearest(x + width, y + height)
    except (TypeError, ValueError):
        raise PromptError(f"box {values!r} is not of the form [x, y, width, height].") from None
    return Box(x1, y1, max(far.x - 1, x1), max(far.y - 1, y1))
