"""Shapes and states of CVAT's trackers: what comes in, what is remembered between frames, what goes out.

CVAT keeps the state for the function (signed, eight hours) in the annotator's browser, which sends it with
every frame. A state is a small JSON object: its version, the type of the tracked shape, the frame size, and
the object's last mask and colours. When an object is lost its state stays, so that it can be found again.

The mask travels as its box and the compressed text of its run lengths within: a quarter of the run lengths as
numbers, which CVAT would quote once more when it signs them.
"""

from __future__ import annotations

import base64
import binascii
import reprlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_function.request import is_coordinate
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError, FcfiError, PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.masks import box_of, coco, cvat, polygons
from fcfi_core.masks.extent import crop
from fcfi_core.predictor import Predictor
from fcfi_core.propagation import SHADES, Sighting, propagate

VERSION = 2
FULL = 1000  # colours are kept in thousandths
SHAPE_TYPES = ("mask", "polygon", "rectangle")


@dataclass(frozen=True, eq=False)
class State:
    """One tracked object.

    Attributes:
        kind: the type of its shape, one of SHAPE_TYPES.
        seen: where it was seen last, and what it looked like.
    """

    kind: str
    seen: Sighting

    def to_json(self) -> dict[str, Any]:
        """Return the state as CVAT keeps it."""
        height, width = self.seen.mask.shape
        return {
            "version": VERSION,
            "type": self.kind,
            "size": [width, height],
            **pack(self.seen.mask),
            "colours": np.rint(self.seen.colours * FULL).astype(int).tolist(),
        }

    @classmethod
    def from_json(cls, state: object, width: int, height: int) -> State:
        """Return the state that :meth:`to_json` gave, for a frame of ``width`` x ``height`` pixels.

        Raises:
            PromptError: if it is not such a state, of another version, or of another frame size.
        """
        if not isinstance(state, Mapping) or state.get("version") != VERSION:
            raise PromptError(
                f"the tracking state {reprlib.repr(state)} is not of version {VERSION}; start a new track."
            )
        if state.get("type") not in SHAPE_TYPES:
            raise PromptError(
                f"the tracking state is of type {reprlib.repr(state.get('type'))}; start again."
            )
        if state.get("size") != [width, height]:
            raise PromptError(
                f"the frame is {width} x {height} pixels, the track began on "
                f"{reprlib.repr(state.get('size'))}; track within frames of one size."
            )
        mask = unpack(state, width, height)
        return cls(state["type"], Sighting(mask, read_colours(state.get("colours"))))


def begin(kind: object, points: object, predictor: Predictor, image: LoadedImage) -> State:
    """Return the state of an object drawn on ``image`` as a shape of CVAT.

    A mask or polygon is taken as drawn; a rectangle becomes the mask of what is in it.

    Raises:
        PromptError: for an unknown type, malformed points, or a shape without a pixel in the frame.
    """
    if kind == "mask":
        mask = read_mask(points, image.width, image.height)
    elif kind == "polygon":
        corners = np.array(read_numbers(points, "polygon", 6), np.float64).reshape(-1, 2)
        mask = polygons.from_polygons([polygons.Polygon(corners)], image.width, image.height)
    elif kind == "rectangle":
        mask = predictor.segment(image, (), box=Box.nearest(*read_numbers(points, "rectangle", 4)[:4])).mask
    else:
        raise PromptError(
            f"shapes of type {reprlib.repr(kind)} cannot be tracked; track {', '.join(SHAPE_TYPES)}."
        )
    return State(str(kind), Sighting.of(image, mask))


def follow(state: State, predictor: Predictor, image: LoadedImage) -> tuple[list[float] | None, State]:
    """Return the object's points on the next frame, or None if it is lost, and its new state."""
    found = propagate(predictor, image, state.seen)
    points = None if found is None else to_points(state.kind, found.mask)
    if found is None or points is None:
        return None, state
    return points, replace(state, seen=found)


def to_points(kind: str, mask: NDArray[np.bool_]) -> list[float] | None:
    """Return ``mask`` as the points of a shape of CVAT; None if no such shape shows it.

    A polygon is the outline of the largest part, with holes bridged to it.
    """
    if kind == "mask":
        return [*cvat.encode(mask)]
    if kind == "rectangle":
        box = box_of(mask)
        return None if box is None else [float(box.x1), float(box.y1), box.x2 + 1.0, box.y2 + 1.0]
    parts = polygons.to_polygons(mask, holes="bridge").parts
    if not parts:
        return None
    return [float(value) for value in parts[0].exterior.ravel()]


def pack(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return ``mask`` (H, W), not empty, as ``box`` [x1, y1, x2, y2] and ``mask``, the text of its inside."""
    box = box_of(mask)
    assert box is not None, "an object that was seen has a pixel"
    counts = coco.encode(crop(mask, box))["counts"]
    packed = base64.b64encode(zlib.compress(counts.encode("ascii"), 9)).decode("ascii")
    return {"box": [box.x1, box.y1, box.x2, box.y2], "mask": packed}


def unpack(state: Mapping[str, Any], width: int, height: int) -> NDArray[np.bool_]:
    """Return the (height, width) mask of which :func:`pack` made ``box`` and ``mask``.

    Raises:
        PromptError: if they are damaged, or the box is not in the frame.
    """
    corners, text = state.get("box"), state.get("mask")
    try:
        x1, y1, x2, y2 = (int(corner) for corner in corners)  # type: ignore[union-attr]
        if not (0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height):
            raise ValueError("the box is not in the frame")
        box = Box(x1, y1, x2, y2)
        most = 8 * box.width * box.height + 64  # a run has at least one pixel, and its text few characters
        counts = zlib.decompressobj().decompress(base64.b64decode(str(text), validate=True), most)
        inside = coco.decode({"size": [box.height, box.width], "counts": counts})
    except (TypeError, ValueError, binascii.Error, zlib.error, DataError):
        raise PromptError("the tracking state holds no mask of this frame; start a new track.") from None
    mask = np.zeros((height, width), bool)
    crop(mask, box)[:] = inside
    return mask


def read_mask(points: object, width: int, height: int) -> NDArray[np.bool_]:
    """Return the mask whose runs and edges are ``points``; raises PromptError if they do not fit."""
    numbers = read_numbers(points, "mask", 5)
    try:
        return cvat.decode(numbers, width, height)
    except FcfiError as error:
        raise PromptError(f"the mask's points do not fit the frame: {error}") from None


def read_colours(colours: object) -> NDArray[np.float32]:
    """Return the colours that a state holds; raises PromptError if they are not (3, SHADES) numbers."""
    rows = colours if isinstance(colours, list) and len(colours) == 3 else [None]
    if not all(
        isinstance(row, list) and len(row) == SHADES and all(is_coordinate(value) for value in row)
        for row in rows
    ):
        raise PromptError("the tracking state has no colours; start a new track.")
    return np.array(rows, np.float32) / np.float32(FULL)


def read_numbers(points: object, kind: str, least: int) -> Sequence[float]:
    """Return ``points`` if they are at least ``least`` finite numbers (an even count for outlines).

    Raises:
        PromptError: if they are anything else.
    """
    if (
        not isinstance(points, list | tuple)
        or len(points) < least
        or not all(is_coordinate(value) for value in points)
        or (kind != "mask" and len(points) % 2)
    ):
        raise PromptError(
            f"the points of the {kind} are {reprlib.repr(points)}; send at least {least} numbers."
        )
    return points
