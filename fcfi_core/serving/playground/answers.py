"""A result -> what the page draws, and the files it offers."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcfi_core.errors import PromptError
from fcfi_core.masks.resizing import resized
from fcfi_core.prompt import click_fields
from fcfi_core.results import Result

if TYPE_CHECKING:
    from fcfi_core.masks.polygons import Polygons

OUTLINE_TOLERANCE = 0.5
OUTLINE_POINTS = 4000

_PREVIEW_SIDE = 2048
_THUMBNAIL_SIDE = 240


def drawn(result: Result) -> dict[str, Any]:
    """Return what the page shows of ``result``; ``mask`` is a data address of a PNG, see :func:`stencil`."""
    outline = result.polygons(OUTLINE_TOLERANCE, OUTLINE_POINTS)
    return {
        "mask": "data:image/png;base64," + base64.b64encode(stencil(result.mask)).decode(),
        "polygons": _polygon_lists(outline),
        "area": int(result.mask.sum()),
        "confidence": result.confidence,
        "implied_click": click_fields(result.implied_click) if result.implied_click else None,
        "notes": list(result.notes),
        "timings": dict(result.timings),
    }


def choice(result: Result, *, given: bool) -> dict[str, Any]:
    """Return one of several answers to choose from: a small mask, and the clicks that ask for it.

    Args:
        given: whether it is the one on the page.
    """
    height, width = result.mask.shape
    scale = min(1.0, _THUMBNAIL_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = resized(result.mask, *size)
    return {
        "mask": "data:image/png;base64," + base64.b64encode(stencil(small)).decode(),
        "clicks": [click_fields(click) for click in result.clicks],
        "area": int(result.mask.sum()),
        "confidence": result.confidence,
        "given": given,
    }


def stencil(mask: NDArray[np.bool_]) -> bytes:
    """Return a PNG of one bit per pixel: opaque where the object is, transparent elsewhere.

    Args:
        mask: (H, W) bool.
    """
    return _png(Image.fromarray(mask), transparency=0)


def preview(pixels: NDArray[np.uint8]) -> bytes:
    """Return a JPEG for browsers that cannot show the original, its longer side at most 2048 pixels.

    Args:
        pixels: (H, W, 3) uint8, RGB.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), reducing_gap=2.0)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def file(result: Result, kind: str, name: str) -> tuple[bytes, str]:
    """Return the content and the media type of a file to keep.

    Args:
        result: what to write down.
        kind: "png" (black and white, 0 and 255, of the image's size), "polygon" or "coco".
        name: the photo's file name, noted in the JSON kinds.

    Raises:
        PromptError: for any other kind.
    """
    if kind == "png":
        return _png(Image.fromarray(result.mask.astype(np.uint8) * 255)), "image/png"
    if kind == "polygon":
        fields = _polygon_file(result, name)
    elif kind == "coco":
        fields = _coco_file(result, name)
    else:
        raise PromptError(f"file format is {kind!r}; give png, polygon or coco.")
    return json.dumps(fields).encode(), "application/json"


def _png(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def _polygon_file(result: Result, name: str) -> dict[str, Any]:
    """Return the outlines with all that is needed to get them again."""
    height, width = result.mask.shape
    polygons = result.polygons()
    return {
        "image": {"file_name": name, "width": width, "height": height},
        "polygons": _polygon_lists(polygons),
        "lost_iou": polygons.lost_iou,
        "confidence": result.confidence,
        "clicks": [click_fields(click) for click in result.clicks],
    }


def _coco_file(result: Result, name: str) -> dict[str, Any]:
    """Return a whole COCO data set of one image and one object."""
    height, width = result.mask.shape
    box = result.box
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": result.rle("coco"),
        "area": int(result.mask.sum()),
        "bbox": [box.x1, box.y1, box.width, box.height] if box else [0, 0, 0, 0],
        "iscrowd": 0,
        "score": result.confidence,
    }
    return {
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "object"}],
    }


def _polygon_lists(polygons: Polygons) -> list[dict[str, Any]]:
    return [
        {"exterior": part.exterior.tolist(), "holes": [hole.tolist() for hole in part.holes]}
        for part in polygons.parts
    ]
