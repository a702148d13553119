"""The objects of a photo -> a file to keep."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fcfi_core.errors import PromptError
from fcfi_core.prompt import click_fields
from fcfi_core.serving.playground.scene import Found

if TYPE_CHECKING:
    from fcfi_core.masks.polygons import Polygons
    from fcfi_core.results import Result


def file(found: Sequence[Found], kind: str, name: str) -> tuple[bytes, str]:
    """Return the content and the media type of a file to keep.

    Args:
        found: the objects, at least one, with masks that do not overlap.
        kind: one of :data:`KINDS`.
        name: the photo's file name, noted in the JSON kinds.

    Raises:
        PromptError: for any other kind, or if there is nothing to cut out.
    """
    if kind not in KINDS:
        raise PromptError(f"file format is {kind!r}; give one of {', '.join(KINDS)}.")
    return KINDS[kind](found, name)


def _png(found: Sequence[Found], name: str) -> tuple[bytes, str]:
    """Return black and white for one object; the objects' numbers, from 1, for several."""
    if len(found) == 1:
        return _picture(Image.fromarray(found[0].result.mask.astype(np.uint8) * 255))
    numbers = np.zeros(found[0].result.mask.shape, np.uint8)
    for number, one in enumerate(found, start=1):
        numbers[one.result.mask] = number
    return _picture(Image.fromarray(numbers))


def _cutout(found: Sequence[Found], name: str) -> tuple[bytes, str]:
    """Return the objects on a transparent ground, no larger than they need."""
    there = [one.result for one in found if one.result.box is not None]
    if not there:
        raise PromptError("there is nothing to cut out; click on an object first.")
    if len(there) == 1:
        return _picture(there[0].cutout(crop=True))
    together = there[0].cutout()
    for result in there[1:]:
        together.alpha_composite(result.cutout())
    return _picture(together.crop(together.getbbox()))


def _picture(picture: Image.Image) -> tuple[bytes, str]:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue(), "image/png"


def _polygon(found: Sequence[Found], name: str) -> tuple[bytes, str]:
    """Return the outlines with all that is needed to get them again; one object's fields stand alone."""
    height, width = found[0].result.mask.shape
    image = {"file_name": name, "width": width, "height": height}
    if len(found) == 1:
        return _json({"image": image, **_outlined(found[0].result)})
    return _json(
        {"image": image, "objects": [{"label": one.label, **_outlined(one.result)} for one in found]}
    )


def _outlined(result: Result) -> dict[str, Any]:
    polygons = result.polygons()
    return {
        "polygons": polygon_lists(polygons),
        "lost_iou": polygons.lost_iou,
        "confidence": result.confidence,
        "clicks": [click_fields(click) for click in result.clicks],
    }


def _coco(found: Sequence[Found], name: str) -> tuple[bytes, str]:
    """Return a whole COCO data set of one image; categories in the order in which they first occur."""
    height, width = found[0].result.mask.shape
    labels = list(dict.fromkeys(one.label for one in found))
    return _json(
        {
            "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
            "annotations": [
                _annotation(number, labels.index(one.label) + 1, one.result)
                for number, one in enumerate(found, start=1)
            ],
            "categories": [{"id": number, "name": label} for number, label in enumerate(labels, start=1)],
        }
    )


def _annotation(number: int, category: int, result: Result) -> dict[str, Any]:
    box = result.box
    return {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "segmentation": result.rle("coco"),
        "area": result.area,
        "bbox": [box.x1, box.y1, box.width, box.height] if box else [0, 0, 0, 0],
        "iscrowd": 0,
        "score": result.confidence,
    }


def _json(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    return json.dumps(fields).encode(), "application/json"


def polygon_lists(polygons: Polygons) -> list[dict[str, Any]]:
    """Return the parts of ``polygons`` as plain lists."""
    return [
        {"exterior": part.exterior.tolist(), "holes": [hole.tolist() for hole in part.holes]}
        for part in polygons.parts
    ]


KINDS: Mapping[str, Callable[[Sequence[Found], str], tuple[bytes, str]]] = MappingProxyType(
    {"png": _png, "cutout": _cutout, "polygon": _polygon, "coco": _coco}
)
"""Kinds of files by name."""
