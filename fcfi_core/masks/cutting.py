"""An object cut out of its photo: how opaque each pixel is, and which colour it has without its surroundings.

Along the edge of an object pixels are mixtures. There the network's probability climbs from 0 to 1 within a
few pixels, and that climb becomes the opacity; everywhere else the mask decides. A mixed pixel also shows
some of what is behind the object, which would be seen as a rim in front of anything else: its colour is
taken from the object nearby instead.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Box
from fcfi_core.masks.extent import Mask, box_of

SOFT = 0.35
"""Probability above and below the threshold over which opacity climbs from 0 to 1."""

_SURE = 0.98
_NEARBY = (1.5, 4.0, 12.0)
"""Standard deviations, pixels, of the neighbourhoods that colours are taken from, the nearest first."""
_ENOUGH = 0.02


def cut(
    pixels: NDArray[np.uint8],
    mask: Mask,
    probability: NDArray[np.float32],
    threshold: float,
    reach: float,
) -> tuple[NDArray[np.uint8], tuple[slice, slice]]:
    """Return the object in ``mask`` with soft edges, (h, w, 4) uint8 RGBA, and the part of the photo it is.

    Args:
        pixels: (H, W, 3) uint8 RGB, the photo.
        mask: (H, W) bool, not empty.
        probability, threshold, reach: see :func:`opacity`.
    """
    box = box_of(mask)
    assert box is not None, "only what is there can be cut out"
    margin = math.ceil(reach) + 1
    wider = Box(box.x1 - margin, box.y1 - margin, box.x2 + margin, box.y2 + margin)
    wider = wider.clipped(mask.shape[1], mask.shape[0])
    part = slice(wider.y1, wider.y2 + 1), slice(wider.x1, wider.x2 + 1)
    alpha = opacity(np.ascontiguousarray(mask[part]), probability[part], threshold, reach)
    colours = object_colours(pixels[part], alpha)
    return np.dstack((colours, np.rint(alpha * 255).astype(np.uint8))), part


def opacity(
    mask: Mask, probability: NDArray[np.float32], threshold: float, reach: float
) -> NDArray[np.float32]:
    """Return how much of each pixel is the object, (H, W) float32, 0..1.

    Args:
        mask: (H, W) bool, the object; it decides everywhere but within ``reach`` of its edge.
        probability: (H, W) float32, 0..1.
        threshold: of the probability, at the edge.
        reach: pixels.
    """
    low, high = max(threshold - SOFT, 0.01), min(threshold + SOFT, 0.99)
    climb = np.clip((probability - low) / (high - low), 0, 1)
    inside = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
    # Far from the edge the mask counts alone, and between the two ways lead over without a step.
    share = np.clip(reach + 1 - np.maximum(inside, outside), 0, 1)
    # A pixel of the mask stays at least half opaque, one beside it at most: the cut-out agrees with the mask.
    climb = np.where(mask, np.maximum(climb, 0.5), np.minimum(climb, 0.5))
    return np.asarray(share * climb + (1 - share) * mask, np.float32)


def object_colours(pixels: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the photo with the colour of the object nearby where ``alpha`` says that a pixel is mixed.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32, 0..1, see :func:`opacity`.
    """
    sure = (alpha >= _SURE).astype(np.float32)
    mixed = (alpha > 0) & (sure == 0)
    if not mixed.any() or not sure.any():
        return pixels.copy()
    colours = np.zeros(pixels.shape, np.float32)
    found = np.zeros(alpha.shape, bool)
    for deviation in _NEARBY:
        weight = cv2.GaussianBlur(sure, (0, 0), deviation)
        new = mixed & ~found & (weight > _ENOUGH)
        if new.any():
            summed = cv2.GaussianBlur(pixels * sure[:, :, None], (0, 0), deviation)
            colours[new] = summed[new] / weight[new, None]
            found |= new
    result = pixels.copy()
    result[found] = np.clip(np.rint(colours[found]), 0, 255).astype(np.uint8)
    return result


def painted(
    pixels: NDArray[np.uint8], mask: Mask, colour: tuple[int, int, int] = (255, 120, 0)
) -> NDArray[np.uint8]:
    """Return the photo with the mask in half-transparent ``colour``, (H, W, 3) uint8 RGB."""
    result = pixels.copy()
    result[mask] = ((result[mask].astype(np.uint16) + np.array(colour, np.uint16)) // 2).astype(np.uint8)
    return result
