"""From a drawn shape to prompts, and from a mask back to a shape.

CVAT's coordinates count pixel edges: a rectangle from 10 to 20 covers the ten pixels 10..19.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.masks import USUAL, Finish, box_of, cvat, polygons
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.results import Result

CONVERTED = ("rectangle", "polygon", "points")
KEPT = ("label_id", "frame", "occluded", "outside", "z_order", "group")

Shape = Mapping[str, Any]


def read(shape: Shape, width: int, height: int) -> Prompt:
    """Return what ``shape`` says in a frame of ``width`` x ``height`` pixels.

    Points are positive clicks; a polygon is a mask to correct; a rectangle is a box (a rotated one: the box
    around its corners).

    Raises:
        PromptError: if no part of the shape lies in the frame, or a point lies outside it.
    """
    corners = np.array(shape["points"], np.float64).reshape(-1, 2)
    if shape["type"] == "points":
        return Prompt(tuple(dict.fromkeys(_click(x, y, width, height) for x, y in corners.tolist())))
    box = drawn_box(shape, width, height)
    if shape["type"] == "polygon":
        outline = polygons.from_polygons([polygons.Polygon(corners)], width, height)
        return Prompt(box=box, mask=outline).within(height, width)
    return Prompt(box=box)


def _click(x: float, y: float, width: int, height: int) -> Click:
    """Return the click on the pixel that holds the point; one on the frame's very border belongs to it."""
    if not (-1 <= x <= width + 1 and -1 <= y <= height + 1):
        raise PromptError(
            f"the point ({x:g}, {y:g}) lies outside the frame of {width} x {height} pixels; move it."
        )
    return Click(min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1))


def drawn_box(shape: Shape, width: int, height: int) -> Box | None:
    """Return the box of pixels around a drawn ``shape``, cut at the frame's border; None for points.

    Raises:
        PromptError: if no part of the shape lies in the frame.
    """
    if shape["type"] == "points":
        return None
    corners = np.array(shape["points"], np.float64).reshape(-1, 2)
    rotation = float(shape.get("rotation") or 0) if shape["type"] == "rectangle" else 0.0
    return covered(rotated(corners, rotation) if rotation else corners).clipped(width, height)


def rotated(corners: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Return the four corners of the rectangle between two ``corners``, turned clockwise about its centre.

    Args:
        corners: (2, 2) float64, two opposite corners as ``(x, y)``.

    Returns:
        (4, 2) float64.
    """
    (x1, y1), (x2, y2) = corners
    centre = corners.mean(axis=0)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    offsets = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]) - centre
    turned: NDArray[np.float64] = offsets @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return turned


def covered(corners: NDArray[np.float64]) -> Box:
    """Return the box of pixels that the hull of ``corners`` (N, 2) covers."""
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) - 1
    return Box(int(left), int(top), int(max(left, right)), int(max(top, bottom)))


def segment(predictor: Predictor, image: LoadedImage, shape: Shape, finish: Finish = USUAL) -> Result:
    """Return what the object that ``shape`` marks on ``image`` looks like; a rectangle is not left.

    Args:
        finish: how the mask is finished.

    Raises:
        PromptError: if the shape lies outside the frame.
    """
    prompt = read(shape, image.width, image.height)
    result = predictor.answer(image, prompt).finished(finish)
    if shape["type"] == "rectangle" and prompt.box is not None:
        return result.inside(prompt.box)
    return result


def fit(shape: Shape, mask: NDArray[np.bool_]) -> float:
    """Return how well ``mask`` fills the drawn shape's box: IoU of both boxes, 1 for points.

    A mask that ran out of its box, or collapsed in it, is to be looked at whatever its confidence.
    """
    found = box_of(mask)
    if found is None:
        return 0.0
    drawn = drawn_box(shape, mask.shape[1], mask.shape[0])
    if drawn is None:
        return 1.0
    width = min(found.x2, drawn.x2) - max(found.x1, drawn.x1) + 1
    height = min(found.y2, drawn.y2) - max(found.y1, drawn.y1) + 1
    shared = max(width, 0) * max(height, 0)
    return shared / (found.width * found.height + drawn.width * drawn.height - shared)


def replacements(
    shape: Shape, mask: NDArray[np.bool_], score: float, kind: str, group: int
) -> list[dict[str, Any]]:
    """Return the shapes that show ``mask`` in place of ``shape``.

    Label, attributes, group, occlusion and layer are kept. A mask is one shape. Polygons cannot hold several
    parts: each becomes a polygon, and several share a group. Holes are bridged to the outline.

    Args:
        score: confidence in [0, 1]; CVAT's filters find by it what to review.
        kind: ``mask`` or ``polygon``.
        group: for the parts of an object that has no group yet.

    Raises:
        PromptError: if the mask is empty.
    """
    if kind == "mask":
        outlines: list[Sequence[float]] = [cvat.encode(mask)] if mask.any() else []
    else:
        outlines = [
            [float(value) for value in part.exterior.ravel()]
            for part in polygons.to_polygons(mask, holes="bridge").parts
        ]
    if not outlines:
        raise PromptError("the mask is empty.")
    kept = {name: shape[name] for name in KEPT if shape.get(name) is not None}
    if len(outlines) > 1 and not kept.get("group"):
        kept["group"] = group
    attributes = [{"spec_id": one["spec_id"], "value": one["value"]} for one in shape.get("attributes", [])]
    common = {"attributes": attributes, "source": "semi-auto", "score": round(score, 4)}
    return [{**kept, "type": kind, "points": list(points), **common} for points in outlines]
