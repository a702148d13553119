"""Objects that a source gives in several parts: what can be used of each, as one prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from fcfi_core.clicks import Box
from fcfi_core.datasets.left_out import Note
from fcfi_core.errors import FcfiError
from fcfi_core.prompt import Prompt

Part = TypeVar("Part")


def prompt_of_parts(
    parts: Iterable[Part], understood: Callable[[Part], Prompt], note: Note, damaged: str
) -> Prompt:
    """Return all clicks of ``parts`` in their order, the box around their boxes, and their masks together.

    Args:
        parts: of one object, as they stand in the source; at least one.
        understood: makes a prompt of a part; raises FcfiError where it cannot.
        note: is told ``damaged`` for each part that is left out.

    Raises:
        FcfiError: if no part can be used: what is wrong with the first.
    """
    prompts, problems = [], []
    for part in parts:
        try:
            prompts.append(understood(part))
        except FcfiError as error:
            problems.append(error)
    if not prompts:
        raise problems[0]
    for _ in problems:
        note(damaged)
    masks = [one.mask for one in prompts if one.mask is not None]
    return Prompt(
        tuple(click for one in prompts for click in one.clicks),
        _around([one.box for one in prompts if one.box is not None]),
        np.logical_or.reduce(masks) if masks else None,
    )


def _around(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    return Box(
        min(box.x1 for box in boxes),
        min(box.y1 for box in boxes),
        max(box.x2 for box in boxes),
        max(box.y2 for box in boxes),
    )
