"""Shapes and states of CVAT's trackers: what comes in, what is remembered between frames, what goes out.

CVAT keeps the state for the function (signed, eight hours) in the annotator's browser, which sends it with
every frame. A state is a small JSON object: that of :class:`fcfi_core.propagation.State`, and the type of the
tracked shape. When an object is lost its state stays, so that it can be found again.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_function.request import is_coordinate
from fcfi_core import propagation
from fcfi_core.clicks import Box
from fcfi_core.errors import FcfiError, PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.masks import box_of, cvat, polygons
from fcfi_core.predictor import Predictor

SHAPE_TYPES = ("mask", "polygon", "rectangle")


@dataclass(frozen=True, eq=False)
class State:
    """One tracked object.

    Attributes:
        kind: the type of its shape, one of SHAPE_TYPES.
        known: where it was seen last, and what it looks like.
    """

    kind: str
    known: propagation.State

    def to_json(self) -> dict[str, Any]:
        """Return the state as CVAT keeps it."""
        return {"type": self.kind, **self.known.to_json()}

    @classmethod
    def from_json(cls, state: object, width: int, height: int) -> State:
        """Return the state that :meth:`to_json` gave, for a frame of ``width`` x ``height`` pixels.

        Raises:
            PromptError: if it is not such a state, of another version, or of another frame size.
        """
        known = propagation.State.from_json(state, width, height)
        kind = state.get("type") if isinstance(state, Mapping) else None
        if kind not in SHAPE_TYPES:
            raise PromptError(f"the tracking state is of type {reprlib.repr(kind)}; start again.")
        return cls(kind, known)


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
    return State(str(kind), propagation.begin(predictor, image, mask))


@dataclass(frozen=True, eq=False)
class Followed:
    """What one frame shows of a tracked object.

    Attributes:
        points: of its shape; None: it is lost.
        state: to go on with.
        doubt: why an annotator should look at this frame; "" if there is no reason.
    """

    points: list[float] | None
    state: State
    doubt: str


def follow(state: State, predictor: Predictor, image: LoadedImage) -> Followed:
    """Return what the next frame shows of the object."""
    step = propagation.follow(predictor, image, state.known)
    points = None if step.result is None else to_points(state.kind, step.result.mask)
    if points is None:
        return Followed(None, state, propagation.LOST)
    return Followed(points, replace(state, known=step.state), step.doubt)


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


def read_mask(points: object, width: int, height: int) -> NDArray[np.bool_]:
    """Return the mask whose runs and edges are ``points``; raises PromptError if they do not fit."""
    numbers = read_numbers(points, "mask", 5)
    try:
        return cvat.decode(numbers, width, height)
    except FcfiError as error:
        raise PromptError(f"the mask's points do not fit the frame: {error}") from None


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
