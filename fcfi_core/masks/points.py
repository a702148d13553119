"""The point of a mask that is farthest from everything outside it."""

from __future__ import annotations

import cv2
import numpy as np

from fcfi_core.errors import PromptError
from fcfi_core.masks.extent import Mask, box_of, crop, require_mask


def innermost(mask: Mask) -> tuple[int, int]:
    """Return the pixel (x, y) of ``mask`` farthest from the outside (its pole of inaccessibility).

    The border of the image counts as outside. Of several farthest pixels the one nearest to their
    mean is taken (the middle of a bar rather than its end), of those the first in reading order: the
    same mask always gives the same point.

    Args:
        mask: (H, W) bool.

    Raises:
        PromptError: if the mask has no pixel.

    >>> innermost(np.ones((3, 9), bool))
    (4, 1)
    """
    mask = require_mask(mask)
    box = box_of(mask)
    if box is None:
        raise PromptError("the mask has no pixel, so it has no innermost point; give a mask of the object.")
    padded = np.pad(crop(mask, box).view(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squared distances are whole numbers; float noise just below the largest must not break ties.
    farthest = distance > np.sqrt(np.rint(np.square(distance.max(), dtype=np.float64)) - 0.5)
    y, x = np.nonzero(farthest)
    nearest = np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
    return int(x[nearest]) - 1 + box.x1, int(y[nearest]) - 1 + box.y1
