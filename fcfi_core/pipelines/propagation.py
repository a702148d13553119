"""A mask carried from one frame of a video to the next.

The previous frame's mask is the prior mask of the next one, and its innermost point the click. A model
that corrects a given mask therefore follows the object as long as it moves by less than its own size
from frame to frame; what it cannot find again is reported as lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcfi_core.images import LoadedImage
from fcfi_core.predictor import Predictor
from fcfi_core.results import Result

LEAST_OVERLAP = 0.1
LARGEST_CHANGE = 2.5


@dataclass(frozen=True)
class Limits:
    """When a mask is too unlike its predecessor to be the same object.

    Args:
        least_overlap: IoU of consecutive masks below which the object counts as lost.
        largest_change: factor by which the area may grow or shrink from frame to frame.
    """

    least_overlap: float = LEAST_OVERLAP
    largest_change: float = LARGEST_CHANGE

    def allow(self, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
        """Return whether ``after`` can show the object of ``before``; both (H, W)."""
        small, large = sorted((int(before.sum()), int(after.sum())))
        if small == 0 or large > small * self.largest_change:
            return False
        shared = int((before & after).sum())
        return shared >= self.least_overlap * (small + large - shared)


def propagate(
    predictor: Predictor,
    image: LoadedImage,
    previous: NDArray[np.bool_],
    *,
    limits: Limits = Limits(),
) -> Result | None:
    """Return the object's mask in the next frame, or None if it is lost.

    Args:
        predictor: runs one click per frame.
        image: the next frame, of the same size as the previous one.
        previous: (H, W) bool, the object in the previous frame, at least one pixel.
        limits: when to give up.

    Raises:
        PromptError: if the frame's size is not that of ``previous``.
    """
    result = predictor.segment(image, (), prior_mask=previous)
    return result if limits.allow(previous, result.mask) else None
