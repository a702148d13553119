"""The colours of an object, as a histogram: what tells a sighting of it from one of something else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcfi_core.images import LoadedImage

SHADES = 16
"""Steps into which each colour channel is divided."""

Colours = NDArray[np.float32]
"""(3, SHADES): per channel the share of the object's pixels in each shade, blurred by one; rows sum to 1."""


def colours_of(image: LoadedImage, mask: NDArray[np.bool_]) -> Colours:
    """Return the colours of the object that ``mask`` shows on ``image``, at least one pixel."""
    pixels = image.pixels[mask]
    counts = [np.bincount(shades, minlength=SHADES) for shades in (pixels // (256 // SHADES)).T]
    padded = np.pad(np.array(counts, np.float32) / len(pixels), ((0, 0), (1, 1)))
    blurred = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    return np.asarray(blurred / blurred.sum(axis=1, keepdims=True), np.float32)


def likeness(one: Colours, other: Colours) -> float:
    """Return the share of colours that two sightings have in common, 0..1."""
    return float(np.minimum(one, other).sum() / 3)
