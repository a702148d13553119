"""Where one more click is worth most, so far as the network itself can tell.

A pixel whose probability is near the threshold may be wrong; how likely that is, is its doubt, 0 to a half. A
click there is worth the more, the further the doubt reaches around it: a thin doubtful rim along an edge is
no place to ask, the middle of a doubtful part is. So at several levels of doubt the depth inside what is more
doubtful is measured, as the simulated annotator measures the depth of errors, and the pixel with the largest
sum is asked for. Where the network is sure and wrong, nothing is suggested.

After a first click that may mean several things there is more to go by: where the answers to choose from
disagree, a yes or no tells them apart, so a pixel is as doubtful as the larger of the two says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.clicks import Click
from fcfi_core.geometry import Frame

LEVELS = (0.1, 0.2, 0.3, 0.4)
"""Of doubt."""

_ASKED = 4
"""Pixels of the frame around a click that are not asked for again."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A place where an answer would help.

    Args:
        x, y: pixels of the upright original.
        positive: whether the pixel belongs to the object, as the network guesses.
        worth: how far the doubt reaches around it, pixels of the original.
    """

    x: int
    y: int
    positive: bool
    worth: float

    def answered(self, yes: bool) -> Click:
        """Return the click that says so: positive for yes."""
        return Click(self.x, self.y, yes)


def suggestion(
    view: Map,
    threshold: float,
    frame: Frame,
    clicks: Sequence[Click],
    answers: Sequence[NDArray[np.bool_]] = (),
) -> Suggestion | None:
    """Return the place to ask for; None where nothing is doubtful.

    Args:
        view: (h, w) float32, probability in the frame.
        threshold: above it lies the object.
        frame: where ``view`` lies in the image.
        clicks: made so far.
        answers: (h, w) bool each, the masks to choose from, in the frame.
    """
    doubt = doubts(view, threshold)
    if answers:
        doubt = np.maximum(doubt, disagreement(answers))
    for row, column in frame.apply_clicks(clicks):
        top, left = max(round(row) - _ASKED, 0), max(round(column) - _ASKED, 0)
        doubt[top : round(row) + _ASKED + 1, left : round(column) + _ASKED + 1] = 0
    worth = np.zeros(view.shape, np.float32)
    for level in LEVELS:
        # Beyond the frame nothing is known to be doubtful: a ring of certainty stands for it.
        doubtful = np.pad((doubt > level).astype(np.uint8), 1)
        worth += cv2.distanceTransform(doubtful, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    row, column = divmod(int(worth.argmax()), view.shape[1])
    if worth[row, column] == 0:
        return None
    x, y = frame.pixel_at(row, column)
    positive = bool(view[row, column] > threshold)
    return Suggestion(x, y, positive, float(worth[row, column]) / len(LEVELS) / frame.scale)


def disagreement(answers: Sequence[NDArray[np.bool_]]) -> Map:
    """Return the share of answers that are alone with what they say of a pixel, (h, w) float32, 0..0.5.

    Args:
        answers: (h, w) bool each; at least one.
    """
    holds = np.mean(answers, axis=0, dtype=np.float32)
    return np.minimum(holds, 1 - holds)


def doubts(view: Map, threshold: float) -> Map:
    """Return how likely each pixel is on the wrong side of the threshold: (h, w) float32, 0..0.5."""
    if not 0 < threshold < 1:
        return np.zeros(view.shape, np.float32)
    inside = view > threshold
    return np.where(inside, 0.5 * (1 - view) / (1 - threshold), 0.5 * view / threshold).astype(np.float32)
