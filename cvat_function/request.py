"""What CVAT posts to an interactor, checked and turned into an image and prompts.

CVAT sends ``{"image", "pos_points", "neg_points", "obj_bbox"}``: points and box corners as fractional
``[x, y]`` pixels of the original frame, boxes as one flat list of corners, two per box. Other fields
are ignored. Every refusal is a PromptError or ImageError with one short sentence.
"""

from __future__ import annotations

import base64
import binascii
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import ImageError, PromptError
from fcfi_core.prompt import Prompt

LARGEST_COORDINATE = 2**31
MOST_BOXES = 50  # each is a session of its own, and CVAT waits for a minute


@dataclass(frozen=True)
class Interaction:
    """One request for a mask.

    Attributes:
        image: the frame as an encoded file (PNG, JPEG, ...).
        positive: left clicks as ``(x, y)``, fractional pixels of the upright frame, in click order.
        negative: right clicks, likewise.
        boxes: boxes as ``(x1, y1, x2, y2)``, likewise.
    """

    image: bytes
    positive: tuple[tuple[float, float], ...]
    negative: tuple[tuple[float, float], ...]
    boxes: tuple[tuple[float, float, float, float], ...]

    def objects(self, width: int, height: int) -> tuple[Prompt, ...]:
        """Return the prompt of each object in a frame of ``width`` x ``height`` pixels.

        Its left clicks come before its right ones: how they alternated is not told.

        Several boxes mean several objects, see :func:`share_out`. A second click on the same pixel says
        nothing new and is dropped.

        Raises:
            PromptError: if a point or box lies outside the frame.
        """
        return share_out(
            clicks(self.positive, True, width, height),
            clicks(self.negative, False, width, height),
            tuple(Box.nearest(*corners).clipped(width, height) for corners in self.boxes),
        )


def parse(body: object) -> Interaction:
    """Return the interaction in ``body``: an event's body, JSON text or already parsed.

    Raises:
        PromptError: if the body or its prompts have the wrong form.
        ImageError: if the image is missing or not base64.
    """
    fields = parse_object(body)
    boxes = corner_pairs(read_points(fields, "obj_bbox"))
    positive, negative = read_points(fields, "pos_points"), read_points(fields, "neg_points")
    return Interaction(read_image(fields), positive, negative, boxes)


def parse_object(body: object) -> Mapping[str, Any]:
    """Return the JSON object in ``body``; nuclio parses it only for one exact content type.

    Raises:
        PromptError: if it is anything else.
    """
    if isinstance(body, bytes | bytearray | str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            raise PromptError("the body is not JSON; send the object CVAT sends to an interactor.") from None
    if not isinstance(body, Mapping):
        raise PromptError(
            f"the body is a JSON {type(body).__name__}; send an object with image and pos_points."
        )
    return body


def read_image(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes of the field ``image``.

    Raises:
        ImageError: if it is missing or not base64.
    """
    text = fields.get("image")
    if not isinstance(text, str) or not text:
        raise ImageError("the field image is missing; send the frame's file as base64 text.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("the field image is not base64; send the frame's file as standard base64.") from None


def read_points(fields: Mapping[str, Any], name: str) -> tuple[tuple[float, float], ...]:
    """Return the ``[[x, y], ...]`` under ``name``; missing, null and empty all mean none.

    Raises:
        PromptError: if it is nested otherwise or holds anything but finite numbers.
    """
    points = fields.get(name)
    if points is None:
        return ()
    if not isinstance(points, list):
        raise PromptError(f"{name} is {reprlib.repr(points)}; send a list of [x, y].")
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(is_coordinate(value) for value in point):
            raise PromptError(
                f"{name} holds {reprlib.repr(point)}; send [x, y] in pixels, two finite numbers."
            )
    return tuple((point[0], point[1]) for point in points)


def is_coordinate(value: object) -> bool:
    """Return whether ``value`` is a number that can be a pixel position (no bool, NaN or infinity)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_COORDINATE


def corner_pairs(
    corners: tuple[tuple[float, float], ...],
) -> tuple[tuple[float, float, float, float], ...]:
    """Return boxes from the flat list of their corners, two per box.

    Raises:
        PromptError: if a corner is left over, or there are too many boxes.
    """
    if len(corners) % 2:
        raise PromptError(f"obj_bbox holds {len(corners)} corners; send two [x, y] corners per box.")
    if len(corners) > 2 * MOST_BOXES:
        raise PromptError(f"obj_bbox holds {len(corners) // 2} boxes; send at most {MOST_BOXES} at once.")
    return tuple((*first, *second) for first, second in zip(corners[::2], corners[1::2], strict=True))


def clicks(
    points: tuple[tuple[float, float], ...], positive: bool, width: int, height: int
) -> tuple[Click, ...]:
    """Return ``points`` as clicks of one polarity, each pixel once, in their order.

    The first pixel may come again at the beginning: that asks for another answer to the first click.

    CVAT accepts clicks whose rounded position is in the frame; a rounding difference of one pixel is
    forgiven by clipping.

    Raises:
        PromptError: if a point is more than one pixel outside.
    """
    found = []
    for x, y in points:
        click = Click.nearest(x, y, positive)
        inside = Click(min(max(click.x, 0), width - 1), min(max(click.y, 0), height - 1), positive)
        if max(abs(inside.x - click.x), abs(inside.y - click.y)) > 1:
            click.require_inside(width, height)
        found.append(inside)
    beginning = Prompt(tuple(found)).repetitions(height, width).stop
    return (
        *found[:beginning],
        *dict.fromkeys(click for click in found[beginning:] if click not in found[:beginning]),
    )


def share_out(
    positive: tuple[Click, ...], negative: tuple[Click, ...], boxes: tuple[Box, ...]
) -> tuple[Prompt, ...]:
    """Return the prompt of each box: every object gets its own mask.

    With at most one box all clicks belong to one object. With several, a left click belongs to the
    box that holds it, else to the one with the nearest centre; right clicks belong to all.
    """
    if len(boxes) < 2:
        return (Prompt((*positive, *negative), boxes[0] if boxes else None),)
    shares: dict[Box, list[Click]] = {box: [] for box in boxes}
    for click in positive:
        shares[min(shares, key=lambda box: _remoteness(click, box))].append(click)
    return tuple(Prompt((*share, *negative), box) for box, share in shares.items())


def _remoteness(click: Click, box: Box) -> tuple[bool, float]:
    """Return a sort key: boxes that hold the click first, then by distance of the centre."""
    outside = not (box.x1 <= click.x <= box.x2 and box.y1 <= click.y <= box.y2)
    return outside, (box.x1 + box.x2 - 2 * click.x) ** 2 + (box.y1 + box.y2 - 2 * click.y) ** 2
