"""Several objects of one photo, as the page asks for them: a prompt and a label each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fcfi_core.errors import PromptError
from fcfi_core.prompt import Prompt, shown
from fcfi_core.results import Result
from fcfi_core.scene import UNNAMED, SceneObject

MOST_OBJECTS = 200
"""Objects accepted of one photo; each is some passes of the network."""


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


def _object_of(fields: object, height: int, width: int) -> SceneObject:
    prompt = Prompt.from_json(fields, height, width)
    label = fields.get("label") if isinstance(fields, Mapping) else None
    if label is not None and not isinstance(label, str):
        raise PromptError(f"label is {shown(label)}; give text.")
    return SceneObject((label or "").strip() or UNNAMED, prompt)
