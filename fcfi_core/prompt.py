"""What is asked of one object: clicks, a box, a mask to correct, and what it looks like.

A mask is a function of (image, prompt); a prompt is the one word for it from every door inwards. The
box and the prior mask are the prompt's *start*, known before the first click; clicks follow in the order they
were made. A box stands for clicks of its own
(:meth:`Prompt.surroundings`, :attr:`Prompt.implied_click`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import masks
from fcfi_core.appearance import Appearance
from fcfi_core.clicks import Box, Click, Number, ordered
from fcfi_core.errors import DataError, PromptError
from fcfi_core.masks import coco
from fcfi_core.protocol import LONGEST
from fcfi_core.regions import Region

MOST_CLICKS = 1000
"""Clicks accepted of one object from outside the process; each is a pass of the network."""

BOX_MARGIN = 0.05
"""How far beyond a box the clicks are that it implies, as a share of its side (at least 2 pixels)."""

REPEATED = 0.015
"""How near to the first click one lies that asks for another answer: share of the image's longer side."""

NOTHING_ASKED = "there is no click, no box and no prior mask; give at least one of them."


Clicks = Iterable[Any]
"""Clicks as users of the Python interface write them, see :func:`fcfi_core.clicks.ordered`."""

Rectangle = Box | Sequence[Number] | NDArray[Any]
"""A box as they write it, see :meth:`fcfi_core.Box.of`."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """Clicks, box and prior mask of one object. Equal prompts have equal digests.

    Args:
        clicks: in the order they were made; see :func:`fcfi_core.clicks.ordered` for what counts as clicks.
        box: around the object: a Box or four numbers x1, y1, x2, y2; or None.
        mask: (H, W) of bool or numbers, object where not 0: a mask to correct; or None.
        appearance: what the object looked like elsewhere, see :mod:`fcfi_core.appearance`; or None.

    Raises:
        PromptError: for anything that is no click, no box or no mask.

    >>> Prompt.of([(3, 4), (5, 6, False)]).clicks
    (Click(x=3, y=4, positive=True), Click(x=5, y=6, positive=False))
    """

    clicks: tuple[Click, ...] = ()
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    appearance: Appearance | None = None

    @classmethod
    def of(
        cls, clicks: Clicks = (), box: Rectangle | None = None, mask: NDArray[Any] | None = None
    ) -> Prompt:
        """Return the prompt of clicks and a box as users of the Python interface write them."""
        return cls(ordered(clicks), None if box is None else Box.of(box), mask)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clicks", ordered(self.clicks))
        if self.box is not None and not isinstance(self.box, Box):
            object.__setattr__(self, "box", Box.of(self.box))
        if self.mask is not None:
            object.__setattr__(self, "mask", _as_mask(self.mask))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prompt) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        parts = [f"clicks={len(self.clicks)}"]
        if self.box is not None:
            parts.append(f"box={(self.box.x1, self.box.y1, self.box.x2, self.box.y2)}")
        if self.mask is not None:
            height, width = self.mask.shape
            parts.append(f"mask of {width} x {height}")
        return f"Prompt({', '.join(parts)})"

    @property
    def starts(self) -> bool:
        """Whether anything is known before the first click."""
        return self.box is not None or self.mask is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked at all."""
        return not (self.clicks or self.starts)

    @property
    def asks(self) -> bool:
        """Whether anything says where the object is; negative clicks alone do not."""
        return self.starts or any(click.positive for click in self.clicks)

    # --- keys --------------------------------------------------------------------------------------------

    @cached_property
    def start_digest(self) -> str:
        """32 hexadecimal digits naming box, mask and appearance."""
        state = hashlib.blake2b(repr(self.box).encode(), digest_size=16)
        if self.mask is not None:
            state.update(repr(self.mask.shape).encode())
            state.update(np.packbits(self.mask).data)
        if self.appearance is not None:
            state.update(f"appearance {self.appearance.model}".encode())
            state.update(self.appearance.weights.tobytes())
        return state.hexdigest()

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Names of the prompt's prefixes: entry ``n`` stands for the start and the first ``n`` clicks."""
        found = [self.start_digest]
        for click in self.clicks:
            step = f"{found[-1]} {click.x} {click.y} {click.positive}"
            found.append(hashlib.blake2b(step.encode(), digest_size=16).hexdigest())
        return tuple(found)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits naming the whole prompt."""
        return self.digests[-1]

    # --- growing and shrinking ---------------------------------------------------------------------------

    def with_clicks(self, clicks: Iterable[Any]) -> Prompt:
        """Return the same start with other clicks."""
        other = replace(self, clicks=tuple(clicks))
        if "start_digest" in self.__dict__:
            other.__dict__["start_digest"] = self.start_digest  # a mask is hashed once, not once a click
        return other

    def prefix(self, count: int) -> Prompt:
        """Return the prompt as it was after ``count`` clicks."""
        return self if count == len(self.clicks) else self.with_clicks(self.clicks[:count])

    def within(self, height: int, width: int) -> Prompt:
        """Return the prompt as it counts in an image of ``height`` x ``width``: its box cut at the border.

        A mask without any pixel says nothing and is dropped.

        Raises:
            PromptError: for a click or a box outside the image, or a mask of another shape.
        """
        for click in self.clicks:
            click.require_inside(width, height)
        box = None if self.box is None else self.box.clipped(width, height)
        mask = self.mask
        if mask is not None and mask.shape != (height, width):
            raise PromptError(
                f"prior mask has the shape {mask.shape}; it must have the upright "
                f"image's, ({height}, {width})."
            )
        if mask is not None and not mask.any():
            mask = None
        if box == self.box and mask is self.mask:
            return self
        return replace(self, box=box, mask=mask)

    # --- what it implies ---------------------------------------------------------------------------------

    @property
    def region(self) -> Region | None:
        """The smallest region around the box and the mask; None if there is neither."""
        boxes = [self.box, None if self.mask is None else masks.box_of(self.mask)]
        corners = [Click(x, y) for box in boxes if box for x, y in ((box.x1, box.y1), (box.x2, box.y2))]
        if not corners:
            return None
        return Region(corners[0].y, corners[0].y, corners[0].x, corners[0].x).including(corners)

    @cached_property
    def implied_click(self) -> Click | None:
        """The positive click to assume while the user gives none; None if they did, or there is no start.

        The mask's innermost point; without a mask the centre of the box.
        """
        if self.clicks or not self.starts:
            return None
        if self.mask is not None:
            return Click(*masks.innermost(self.mask))
        return None if self.box is None else centre_of(self.box)

    def surroundings(self, height: int, width: int) -> tuple[Click, ...]:
        """Return the clicks that a box alone stands for, shown to the network before the user's.

        Negative ones beyond the middle of each side, and, until the user clicks, a positive one in the
        centre. A side with a positive click of theirs beyond it implies nothing. A prior mask is more
        exact than its box: it implies nothing here.

        Args:
            height, width: of the image, pixels.
        """
        if self.mask is not None or self.box is None:
            return ()
        around = clicks_around(self.box, height, width, self.clicks)
        return around if self.clicks else (*around, centre_of(self.box))

    def repetitions(self, height: int, width: int) -> range:
        """Return the indices of the clicks that ask for another answer to the first one.

        These are the positive clicks that follow the first positive one directly, on nearly the same place
        (at most :data:`REPEATED` of the longer side away, at least 2 pixels; of a strip no more counts than
        the first look shows). With a box or a prior mask there are none: these say how large the object is.

        Args:
            height, width: of the image, pixels.
        """
        first = next((index for index, click in enumerate(self.clicks) if click.positive), len(self.clicks))
        end = first + 1
        if self.starts or end >= len(self.clicks):
            return range(0)
        reach = max(2.0, REPEATED * min(max(height, width), LONGEST * min(height, width)))
        place = self.clicks[first]
        while end < len(self.clicks) and self.clicks[end].positive:
            if math.hypot(self.clicks[end].x - place.x, self.clicks[end].y - place.y) > reach:
                break
            end += 1
        return range(first + 1, end)

    # --- as JSON -----------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return ``{"clicks": [{"x", "y", "positive"}, ...], "box": [x1, y1, x2, y2], "mask": run lengths}``.

        The mask is in COCO's code. Box, mask and ``appearance`` are left out where there is none.
        """
        fields: dict[str, Any] = {"clicks": [click_fields(click) for click in self.clicks]}
        if self.box is not None:
            fields["box"] = [self.box.x1, self.box.y1, self.box.x2, self.box.y2]
        if self.mask is not None:
            fields["mask"] = coco.encode(self.mask)
        if self.appearance is not None:
            fields["appearance"] = self.appearance.to_json()
        return fields

    @classmethod
    def from_json(cls, fields: object, height: int, width: int) -> Prompt:
        """Return the prompt that :meth:`to_json` described, for an image of ``height`` x ``width``.

        All entries may be missing or null; ``positive`` may be missing and is then true. A mask is decoded
        only if its stated size is the image's.

        Raises:
            PromptError: naming what cannot be understood.
        """
        if not isinstance(fields, Mapping):
            raise PromptError(f"the prompt is {shown(fields)}; give an object with clicks, box or mask.")
        clicks = fields.get("clicks")
        clicks = [] if clicks is None else clicks
        if not isinstance(clicks, list):
            raise PromptError(f"clicks is {shown(clicks)}; give a list of objects with x, y and positive.")
        if len(clicks) > MOST_CLICKS:
            raise PromptError(f"there are {len(clicks)} clicks; give at most {MOST_CLICKS}.")
        mask, appearance = fields.get("mask"), fields.get("appearance")
        prompt = cls(
            tuple(_click_of(click) for click in clicks),
            _box_of(fields.get("box")),
            None if mask is None else _mask_of(mask, height, width),
            None if appearance is None else Appearance.from_json(appearance),
        )
        return prompt.within(height, width)


def centre_of(box: Box) -> Click:
    """Return a positive click in the middle of ``box``."""
    return Click((box.x1 + box.x2) // 2, (box.y1 + box.y2) // 2)


def clicks_around(box: Box, height: int, width: int, clicks: Iterable[Click] = ()) -> tuple[Click, ...]:
    """Return negative clicks beyond the middle of each side of ``box``, as far as they are in the image.

    Args:
        box: inside the image.
        height, width: of the image, pixels.
        clicks: the user's; a side with a positive one beyond it is left out.
    """
    centre = centre_of(box)
    beside = max(round((box.x2 - box.x1) * BOX_MARGIN), 2)
    above = max(round((box.y2 - box.y1) * BOX_MARGIN), 2)
    positive = [click for click in clicks if click.positive]
    sides = (
        (centre.x, box.y1 - above, any(click.y < box.y1 for click in positive)),
        (centre.x, box.y2 + above, any(click.y > box.y2 for click in positive)),
        (box.x1 - beside, centre.y, any(click.x < box.x1 for click in positive)),
        (box.x2 + beside, centre.y, any(click.x > box.x2 for click in positive)),
    )
    return tuple(
        Click(x, y, positive=False)
        for x, y, crossed in sides
        if not crossed and 0 <= x < width and 0 <= y < height
    )


def click_fields(click: Click) -> dict[str, Any]:
    """Return ``click`` as plain values, as it stands in JSON."""
    return {"x": click.x, "y": click.y, "positive": click.positive}


def shown(value: object) -> str:
    """Return the beginning of ``value`` as JSON, for a message."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _as_mask(mask: Any) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise PromptError(
            f"prior mask is {array.dtype} of shape {array.shape}; give (H, W) bool, or numbers "
            "that are not 0 on the object."
        )
    return array if array.dtype == np.bool_ else array != 0


def _click_of(value: Any) -> Click:
    if not isinstance(value, dict) or not {"x", "y"} <= value.keys():
        raise PromptError(f"{shown(value)} is not a click; give an object with x, y and positive.")
    return Click(value["x"], value["y"], value.get("positive", True))


def _box_of(value: Any) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise PromptError(f"box is {shown(value)}; give [x1, y1, x2, y2].")
    return Box(*value)


def _mask_of(value: Any, height: int, width: int) -> NDArray[np.bool_]:
    size = value.get("size") if isinstance(value, dict) else None
    if size != [height, width]:
        raise PromptError(
            f"mask is {shown(value)}; give COCO run lengths of the image's size, [{height}, {width}]."
        )
    try:
        return coco.decode(value)
    except DataError as error:
        raise PromptError(f"mask: {error}") from None
