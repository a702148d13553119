"""Removal of specks and pinholes.

A *speck* is a part whose outline encloses too few pixels, a *pinhole* a hole that is too small. What
the annotator pointed at stays: the part under a positive click, the hole under a negative one, and
always the largest part.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import Mask, box_of, crop, require_mask
from fcfi_core.masks.outlines import Corners, Outline, encloses, trace

SMALLEST_PART = 4
SMALLEST_SHARE = 1e-3


def default_area(parts: Iterable[Outline]) -> float:
    """Return the area below which a part or hole of a mask counts as small, in pixels.

    A thousandth of the mask (ten pixels square in an object of 300 x 300), at least 4 pixels.

    Args:
        parts: all of the mask.
    """
    pixels = sum(part.area - sum(hole.area for hole in part.holes) for part in parts)
    return max(SMALLEST_PART, SMALLEST_SHARE * pixels)


def clean(
    mask: Mask,
    *,
    keep: Iterable[Click] = (),
    min_area: float | None = None,
    max_hole: float | None = None,
    within: Box | None = None,
) -> Mask:
    """Return ``mask`` without specks and pinholes: a copy, or itself if it has none.

    Args:
        mask: (H, W) bool.
        keep: the clicks. The part under a positive one stays, however small; so does the hole under a
            negative one. Clicks elsewhere do nothing.
        min_area: parts that enclose fewer pixels go; 0 keeps all; None for :func:`default_area`.
        max_hole: holes of at most this many pixels, islands in them counted, are filled; 0 keeps all;
            None for :func:`default_area`.
        within: a box that is known to hold all of the mask; None: it may be anywhere.

    Raises:
        DataError: if ``mask`` is no mask, or an area is negative.

    >>> mask = np.ones((5, 9), bool); mask[:, 7] = False; mask[2, 2] = False; mask[1:, 8] = False
    >>> clean(mask, min_area=2, max_hole=1)[2].astype(int)
    array([1, 1, 1, 1, 1, 1, 1, 0, 0])
    """
    mask = require_mask(mask)
    box = within or box_of(mask)
    for name, value in (("min_area", min_area), ("max_hole", max_hole)):
        if value is not None and not value >= 0:
            raise DataError(f"{name} is {value!r}; give a number of pixels, 0 or more.")
    if min_area == max_hole == 0 or box is None:
        return mask
    clicks = [click for click in keep if 0 <= click.x < mask.shape[1] and 0 <= click.y < mask.shape[0]]
    parts = trace(mask, box)
    usual = default_area(parts)
    min_area = usual if min_area is None else min_area
    max_hole = usual if max_hole is None else max_hole
    pointed = _around(parts, clicks, positive=True, mask=mask)
    holes: list[Outline] = []
    floods: list[tuple[Corners, int]] = []
    for index, part in enumerate(parts):
        if index == 0 or index in pointed or part.area >= min_area:
            holes.extend(part.holes)
        else:
            floods.append((part.path, 0))
    holes.sort(key=lambda hole: hole.area, reverse=True)
    pointed = _around(holes, clicks, positive=False, mask=mask)
    for index, hole in enumerate(holes):
        if index not in pointed and hole.area <= max_hole:
            floods.append((hole.path, 1))
    if not floods:
        return mask
    cleaned = np.zeros_like(mask)
    crop(cleaned, box)[:] = crop(mask, box)
    for path, value in floods:
        _flood(cleaned.view(np.uint8), path, value)
    return cleaned


def _around(outlines: list[Outline], clicks: list[Click], *, positive: bool, mask: Mask) -> set[int]:
    """Return the indices of those ``outlines`` (largest first) that are the innermost around a click.

    Only clicks that agree with the mask count: positive ones inside it, negative ones outside.
    """
    found = set()
    for click in clicks:
        if click.positive == positive == bool(mask[click.y, click.x]):
            around = (index for index, outline in enumerate(outlines) if encloses(outline, click.x, click.y))
            found.add(max(around, default=-1))
    return found


def _flood(pixels: NDArray[np.uint8], path: Corners, value: int) -> None:
    """Set all pixels that hang together with the first one of a part (value 0) or hole (value 1)."""
    left, top = path.min(axis=0).tolist()
    right, bottom = path.max(axis=0).tolist()
    x, y = path[0].tolist()
    window = pixels[top:bottom, left:right]
    cv2.floodFill(window, None, (x - left, y - top), value, flags=8 if value == 0 else 4)
