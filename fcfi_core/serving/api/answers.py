"""Results -> what the plain API answers."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from fcfi_core import masks
from fcfi_core.clicks import Click
from fcfi_core.images import LoadedImage
from fcfi_core.masks import Polygons, coco
from fcfi_core.masks.extent import Mask
from fcfi_core.results import Result
from fcfi_core.serving.api.messages import (
    Candidate,
    ClickFields,
    ImageFacts,
    MaskFields,
    Outlines,
    Ring,
    Written,
)


def facts(image: LoadedImage) -> ImageFacts:
    """Return what is said of a picture."""
    return ImageFacts(image=image.digest, width=image.width, height=image.height, notes=image.notes)


def candidate(result: Result, written: Written) -> Candidate:
    """Return a mask with the clicks that ask for it."""
    return Candidate(**candidate_fields(result, written))


def candidate_fields(result: Result, written: Written) -> dict[str, Any]:
    """Return the arguments of :class:`Candidate`."""
    return {
        **mask_fields(result.mask, written),
        "clicks": tuple(click_fields(click) for click in result.clicks),
        "confidence": confidence(result),
    }


def confidence(result: Result) -> float:
    """Return the confidence, kept from leaving 0..1 by rounding."""
    return min(max(float(result.confidence), 0.0), 1.0)


def mask_fields(mask: Mask, written: Written) -> dict[str, Any]:
    """Return the arguments of :class:`MaskFields`, in the forms that are asked for.

    Args:
        mask: (H, W) bool.
    """
    box = masks.box_of(mask)
    fields: dict[str, Any] = {
        "area": int(np.count_nonzero(mask)),
        "box": None if box is None else (box.x1, box.y1, box.x2, box.y2),
    }
    if "png" in written.forms:
        fields["png"] = base64.b64encode(png(mask)).decode("ascii")
    if "coco" in written.forms:
        fields["coco"] = coco.encode(mask, within=box)
    if "polygons" in written.forms:
        outlines = _outlines(mask, written.polygons)
        fields["polygons"] = tuple(
            Ring(exterior=_points(part.exterior), holes=tuple(_points(hole) for hole in part.holes))
            for part in outlines.parts
        )
        fields["lost_iou"] = float(outlines.lost_iou)
    return fields


def masked(mask: Mask, written: Written) -> MaskFields:
    """Return a mask alone."""
    return MaskFields(**mask_fields(mask, written))


def click_fields(click: Click) -> ClickFields:
    """Return one click."""
    return ClickFields(x=click.x, y=click.y, positive=click.positive)


def png(mask: Mask) -> bytes:
    """Return a PNG file of one byte a pixel: 255 on the object, 0 elsewhere.

    Args:
        mask: (H, W) bool.
    """
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _outlines(mask: Mask, asked: Outlines) -> Polygons:
    return masks.to_polygons(mask, asked.tolerance, asked.max_points, asked.holes)


def _points(ring: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in ring)
