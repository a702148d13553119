"""A mask carried from one frame of a video to the next.

The previous frame's mask is the prior mask of the next one, and its innermost point the click. A model
that corrects a given mask therefore follows the object as long as it moves by less than its own size
from frame to frame.

Asked to correct a mask, the model hardly ever answers "nothing": what it answers is compared with what was
seen before, by place, size and colours, and an object that is too unlike itself counts as lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.predictor import Predictor

SHADES = 16
"""Steps into which each colour channel is divided."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """Where an object was seen, and what it looked like.

    Attributes:
        mask: (H, W) bool, at least one pixel.
        colours: (3, SHADES) float32, per channel the share of the object's pixels in each shade, blurred
            by one shade; rows sum to 1.
    """

    mask: NDArray[np.bool_]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, image: LoadedImage, mask: NDArray[np.bool_]) -> Sighting:
        """Return the object that ``mask`` shows on ``image``; raises PromptError if that is empty."""
        if not mask.any():
            raise PromptError("the mask has no pixel; draw it on the object.")
        pixels = image.pixels[mask]
        counts = [np.bincount(shades, minlength=SHADES) for shades in (pixels // (256 // SHADES)).T]
        padded = np.pad(np.array(counts, np.float32) / len(pixels), ((0, 0), (1, 1)))
        blurred = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
        return cls(mask, (blurred / blurred.sum(axis=1, keepdims=True)).astype(np.float32))


@dataclass(frozen=True)
class Limits:
    """When a sighting is too unlike the one before to be of the same object.

    Args:
        least_overlap: IoU of the masks.
        largest_change: factor by which the area may grow or shrink.
        least_likeness: share of colours in common, 0..1.
    """

    least_overlap: float = 0.1
    largest_change: float = 2.5
    least_likeness: float = 0.3

    def allow(self, before: Sighting, after: Sighting) -> bool:
        """Return whether ``after`` can be the object of ``before``."""
        small, large = sorted((int(before.mask.sum()), int(after.mask.sum())))
        if large > small * self.largest_change:
            return False
        shared = int((before.mask & after.mask).sum())
        if shared < self.least_overlap * (small + large - shared):
            return False
        return likeness(before, after) >= self.least_likeness


def likeness(one: Sighting, other: Sighting) -> float:
    """Return the share of colours that two sightings have in common, 0..1."""
    return float(np.minimum(one.colours, other.colours).sum() / 3)


def propagate(
    predictor: Predictor,
    image: LoadedImage,
    last: Sighting,
    *,
    limits: Limits = Limits(),
) -> Sighting | None:
    """Return the object in the next frame, or None if it is lost.

    Args:
        predictor: runs one click per frame.
        image: the next frame.
        last: the object when it was seen last.
        limits: when to give up.

    Raises:
        PromptError: if the frame's size is not that of the last one.
    """
    mask = predictor.segment(image, (), prior_mask=last.mask).mask
    if not mask.any():
        return None
    found = Sighting.of(image, mask)
    return found if limits.allow(last, found) else None
