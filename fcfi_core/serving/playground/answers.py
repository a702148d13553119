"""A result -> what the page draws."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcfi_core.masks.resizing import resized
from fcfi_core.prompt import click_fields
from fcfi_core.results import Result
from fcfi_core.serving.playground.files import polygon_lists

OUTLINE_TOLERANCE = 0.5
OUTLINE_POINTS = 4000

_PREVIEW_SIDE = 2048
_THUMBNAIL_SIDE = 240


def drawn(result: Result, *, suggestion: bool) -> dict[str, Any]:
    """Return what the page shows of ``result``; ``mask`` is a data address of a PNG, see :func:`stencil`.

    Args:
        suggestion: whether the page shows the place where an answer would help most.
    """
    place = result.suggestion if suggestion else None
    return {
        **shape(result),
        "confidence": result.confidence,
        "implied_click": click_fields(result.implied_click) if result.implied_click else None,
        "suggestion": asdict(place) if place else None,
        "notes": list(result.notes),
        "timings": dict(result.timings),
    }


def shape(result: Result) -> dict[str, Any]:
    """Return the mask of ``result`` alone: its stencil, its outline and its area in pixels."""
    return {
        "mask": _address(stencil(result.mask)),
        "polygons": polygon_lists(result.polygons(OUTLINE_TOLERANCE, OUTLINE_POINTS)),
        "area": result.area,
    }


def glimpse(result: Result) -> dict[str, Any]:
    """Return what the network makes of a click before anything is enlarged, sharpened or cleaned.

    ``mask`` is a small stencil, ``region`` the part of the photo it shows: left, top, right, bottom as shares
    of its sides.
    """
    frame, region = result.frame, result.frame.region
    width, height = frame.image_width, frame.image_height
    return {
        "mask": _address(stencil(result.view > result.threshold)),
        "region": [
            region.left / width,
            region.top / height,
            (region.right + 1) / width,
            (region.bottom + 1) / height,
        ],
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
        "mask": _address(stencil(small)),
        "clicks": [click_fields(click) for click in result.clicks],
        "area": result.area,
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


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _png(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()
