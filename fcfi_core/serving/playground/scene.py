"""Several objects of one photo, as the page asks for them: a prompt and a label each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fcfi_core.axes import Map
from fcfi_core.clicks import Box
from fcfi_core.errors import PromptError
from fcfi_core.masks.extent import Mask, box_of, crop
from fcfi_core.masks.partition import partition
from fcfi_core.prompt import Prompt, shown
from fcfi_core.results import Result

MOST_OBJECTS = 200
"""Objects accepted of one photo; each is some passes of the network."""

_WITHIN = 0.8
"""Share of a mask that lies in another one, from which it lies in front of it."""

UNNAMED = "object"
"""The class of objects that nobody named."""


@dataclass(frozen=True)
class SceneObject:
    """One object of a photo.

    Args:
        label: its class.
        prompt: what asks for it; fits the photo.
    """

    label: str
    prompt: Prompt


@dataclass(frozen=True)
class Found:
    """One object of a photo with its mask.

    Args:
        label: its class.
        result: the answer to its prompt, apart from those of the others.
    """

    label: str
    result: Result


def objects_of(fields: Mapping[str, Any], height: int, width: int) -> tuple[SceneObject, ...]:
    """Return the objects in ``{"objects": [{"label", "clicks", "box", "mask"}, ...]}``, or the only one.

    Without ``objects`` the fields are those of one object.

    Raises:
        PromptError: naming what cannot be understood, and which object it belongs to.
    """
    entries = fields.get("objects")
    if entries is None:
        return (_object_of(fields, height, width),)
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise PromptError(f"objects is {shown(entries)}; give a list of objects with clicks, box or mask.")
    if len(entries) > MOST_OBJECTS:
        raise PromptError(f"there are {len(entries)} objects; give at most {MOST_OBJECTS}.")
    found = []
    for number, entry in enumerate(entries, start=1):
        try:
            found.append(_object_of(entry, height, width))
        except PromptError as error:
            raise PromptError(f"object {number}: {error}") from None
    return tuple(found)


def apart(results: Sequence[Result]) -> tuple[Result, ...]:
    """Return results of one photo with masks that do not overlap.

    A disputed pixel goes to the likeliest object; but what lies nearly all within another object lies in
    front of it, as a spoon on a plate: whoever clicks on it does so to set it apart.
    """
    if len(results) < 2:
        return tuple(results)
    masks = [result.mask for result in results]
    depths = [sum(_lies_in(mask, other) for other in masks) for mask in masks]

    def likelihood(number: int, part: Box) -> Map:
        return results[number].probability_in(part) + np.float32(depths[number])

    parts = partition(masks, likelihood)
    return tuple(replace(result, cleaned_mask=part) for result, part in zip(results, parts, strict=True))


def _lies_in(mask: Mask, other: Mask) -> bool:
    """Return whether ``mask`` is smaller than ``other`` and lies nearly all within it."""
    box = box_of(mask)
    if mask is other or box is None:
        return False
    area = int(np.count_nonzero(mask))
    shared = int(np.count_nonzero(crop(mask, box) & crop(other, box)))
    return shared >= _WITHIN * area and int(np.count_nonzero(other)) > area


def _object_of(fields: object, height: int, width: int) -> SceneObject:
    prompt = Prompt.from_json(fields, height, width)
    label = fields.get("label") if isinstance(fields, Mapping) else None
    if label is not None and not isinstance(label, str):
        raise PromptError(f"label is {shown(label)}; give text.")
    return SceneObject((label or "").strip() or UNNAMED, prompt)
