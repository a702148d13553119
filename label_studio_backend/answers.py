"""From a mask to the regions that Label Studio shows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import masks
from fcfi_core.masks import label_studio as label_studio_code
from fcfi_core.masks.polygons import to_polygons
from label_studio_backend import bitmask
from label_studio_backend.controls import Output


@dataclass(frozen=True)
class Place:
    """What a region copies from the prompt it answers.

    Args:
        target: name of the image tag.
        width, height: of the displayed picture; the mask has exactly this size.
        rotation: how the annotator turned the view, degrees.
        item_index: which picture of a list, or None.
    """

    target: str
    width: int
    height: int
    rotation: int | float = 0
    item_index: int | None = None


def regions(
    mask: NDArray[np.bool_],
    place: Place,
    output: Output,
    score: float,
    *,
    tolerance: float = 1.0,
    most_points: int = 200,
) -> list[dict[str, Any]]:
    """Return the regions of one object, the largest part first; empty for an empty mask.

    Args:
        mask: (height, width) bool, displayed orientation.
        place: where the regions go.
        output: which tag takes them, and their classes.
        score: 0..1, shown beside the region.
        tolerance, most_points: of polygons.
    """
    box = masks.box_of(mask)
    if box is None:
        return []
    shape = output.control.shape
    if shape == "brush":
        values: list[dict[str, Any]] = [{"format": "rle", "rle": label_studio_code.encode(mask, within=box)}]
    elif shape == "bitmask":
        values = [{"imageDataURL": bitmask.to_data_url(mask)}]
    elif shape == "polygon":
        values = [_polygon(exterior, place) for exterior in _exteriors(mask, tolerance, most_points)]
    else:
        values = [
            {
                "x": 100 * box.x1 / place.width,
                "y": 100 * box.y1 / place.height,
                "width": 100 * box.width / place.width,
                "height": 100 * box.height / place.height,
                "rotation": 0,
            }
        ]
    return [region for value in values for region in _named(value, place, output, score)]


def _exteriors(mask: NDArray[np.bool_], tolerance: float, most_points: int) -> list[NDArray[np.float64]]:
    """Return the outlines of the parts, largest first.

    Label Studio's polygons are single rings, so a hole is joined to its outline by a cut of no width.
    """
    polygons = to_polygons(mask, tolerance=tolerance, max_points=most_points, holes="bridge")
    return [polygon.exterior for polygon in polygons if len(polygon.exterior) >= 3]


def _polygon(exterior: NDArray[np.float64], place: Place) -> dict[str, Any]:
    """Return the value of a polygon region: corners in percent, the last not equal to the first."""
    percent = exterior * (100 / place.width, 100 / place.height)
    return {"points": np.clip(percent, 0, 100).tolist(), "closed": True}


def _named(value: Mapping[str, Any], place: Place, output: Output, score: float) -> list[dict[str, Any]]:
    """Return one region with its classes: inside the region, or as further results of the same id."""
    common: dict[str, Any] = {
        # New for every answer: a region with a known id would replace what the user accepted before.
        "id": secrets.token_urlsafe(8)[:10],
        "to_name": place.target,
        "original_width": place.width,
        "original_height": place.height,
        "image_rotation": place.rotation,
    }
    if place.item_index is not None:
        common["item_index"] = place.item_index
    control = output.control
    own = {control.kind: list(output.labels)} if control.kind.endswith("labels") else {}
    drawn = {**common, "type": control.kind, "from_name": control.name, "score": score}
    return [
        {**drawn, "value": {**value, **own}},
        *(
            {**common, "type": "labels", "from_name": row.name, "value": {**value, "labels": list(labels)}}
            for row, labels in output.named
        ),
    ]
