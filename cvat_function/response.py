"""The forms in which CVAT takes a mask, and the refusal.

``shapes`` (2.60.0 and later) holds run-length coded masks, one per object. No confidence is sent: as
soon as one shape carries it, the interface hides every shape below its filter (0.5 at first), and with it the
very masks that need another click.

``mask`` (2.3.0 and later) holds the whole frame as rows of 0 and 1; ``crop`` (2.4.4 to before 2.60.0)
holds the rows of the object's box, and the box as ``bounds``: a fraction of the bytes, but later interfaces
put it into the upper left corner of the frame. A request does not tell which form its interface wants, so it
is a setting.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box
from fcfi_core.errors import BusyError, FcfiError
from fcfi_core.masks import box_of, cvat
from fcfi_core.masks.extent import Mask, crop


def encode(masks: Sequence[Mask], width: int, height: int, form: str) -> str:
    """Return the JSON body that shows ``masks`` in a frame of ``width`` x ``height`` pixels.

    Args:
        masks: (height, width) bool each, one per object.
        form: one of ``settings.FORMS``; all but ``shapes`` show the union.
    """
    if form == "shapes":
        return json.dumps({"shapes": [shape(mask) for mask in masks if mask.any()]}, separators=(",", ":"))
    union = np.zeros((height, width), dtype=bool)
    for mask in masks:
        union |= mask
    # UIs before 2026 fail on a mask without foreground unless it comes with a polygon, empty or not.
    polygon = "" if union.any() else ',"points":[]'
    if form == "mask":
        return f'{{"mask":{rows(union)}{polygon}}}'
    box = box_of(union) or Box(0, 0, 0, 0)
    bounds = [box.x1, box.y1, box.x2, box.y2]
    return f'{{"mask":{rows(crop(union, box))},"bounds":{json.dumps(bounds)}{polygon}}}'


def shape(mask: Mask) -> dict[str, Any]:
    """Return ``mask`` as a shape: runs beginning with background, then the four edges.

    The interface reads the list of attributes without asking whether it is there.
    """
    return {"type": "mask", "points": cvat.encode(mask), "attributes": []}


def rows(mask: NDArray[np.bool_]) -> str:
    """Return ``mask`` (H, W) as JSON text ``[[0,1],[1,0]]``.

    The text is laid out as an array of characters: ``json.dumps`` of 24 million numbers takes seconds.
    """
    height, width = mask.shape
    text = np.full((height, 2 * width + 2), ord(","), dtype=np.uint8)
    text[:, 0] = ord("[")
    text[:, 1:-1:2] = mask
    text[:, 1:-1:2] += ord("0")
    text[:, -2] = ord("]")
    return "[" + text.tobytes()[:-1].decode("ascii") + "]"


def refusal(error: Exception) -> tuple[int, str]:
    """Return the status and JSON body for ``error``: 400 for bad input, 503 when busy, 500 for a defect.

    CVAT shows its users the status alone; the sentence is for REST clients and logs.
    """
    if isinstance(error, BusyError):
        return 503, json.dumps({"error": str(error)})
    if isinstance(error, FcfiError):
        return 400, json.dumps({"error": str(error)})
    return 500, json.dumps({"error": "the function failed; its log says why."})
