"""The simulated annotator: looks at the errors of a mask and clicks on the worst one.

Conventions
-----------
All masks are ``(H, W) bool`` at the size of the upright original. Pixels to *ignore* count neither
as object nor as background: the clicker never clicks there to correct something.

The rule (FCFI, RITM and most of the literature): take the missed pixels (object, not predicted) and
the excess pixels (predicted, not object), measure in each the exact Euclidean distance to the
nearest pixel that is no such error (the outside of the image counts as no error), forget pixels
clicked before, and click at the largest distance: positive if the missed part is *strictly*
deeper, else negative. Equal distances: the first in row-major order.

When nothing is wrong (or every wrong pixel was clicked already) the official evaluation clicks
negative at ``(0, 0)`` again and again; a person would stop. ``stop_when_perfect=False`` gives the
official behaviour.

People do not click on the exact centre. A :class:`ClickNoise` moves the click that the rule chose:
:class:`UniformJitter` by a few pixels, :class:`NearBorder` towards the rim of the error,
:class:`Scatter` as training wants it, so that it meets all kinds of hands. Training and measuring ask the
same annotator and differ in this alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click
from fcfi_core.errors import SettingsError

BoolMask = NDArray[np.bool_]
Distances = NDArray[np.float32]


@dataclass(frozen=True)
class Target:
    """The click that the rule chose, with what a noise model needs to move it.

    Args:
        row, column: the chosen pixel.
        positive: polarity of the click.
        distances: (H, W) float32, depth of every pixel of the wrong region in pixels, 0 elsewhere
            and on pixels clicked before.
        side: (H, W) bool, pixels on which a click of this polarity is true (object for a positive
            click, background for a negative one; ignored pixels on neither side).
    """

    row: int
    column: int
    positive: bool
    distances: Distances
    side: BoolMask


class ClickNoise(Protocol):
    """Moves a click: returns the ``(row, column)`` really clicked."""

    def __call__(self, target: Target, random: np.random.Generator) -> tuple[int, int]: ...


@dataclass(frozen=True)
class UniformJitter:
    """An unsteady hand: any pixel within ``pixels`` of the target, each equally likely.

    Args:
        pixels: largest displacement in x and in y, pixels.
        may_miss: also allow pixels on the wrong side of the outline (a click that contradicts its
            own polarity). False keeps to the right side: people check where they point.
    """

    pixels: int
    may_miss: bool = False

    def __post_init__(self) -> None:
        if self.pixels < 0:
            raise SettingsError(f"click jitter is {self.pixels} pixels; give 0 or more.")

    def __call__(self, target: Target, random: np.random.Generator) -> tuple[int, int]:
        top, left = max(target.row - self.pixels, 0), max(target.column - self.pixels, 0)
        near = target.side[top : target.row + self.pixels + 1, left : target.column + self.pixels + 1]
        rows, columns = np.nonzero(np.ones_like(near) if self.may_miss else near)
        choice = int(random.integers(len(rows)))
        return top + int(rows[choice]), left + int(columns[choice])


@dataclass(frozen=True)
class NearBorder:
    """A hasty hand: a pixel of the same wrong region whose depth is at most ``depth`` of the deepest.

    Args:
        depth: share of the largest distance, above 0 and at most 1 (1 = anywhere in the region).
    """

    depth: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.depth <= 1:
            raise SettingsError(f"click depth is {self.depth}; give a share above 0 and at most 1.")

    def __call__(self, target: Target, random: np.random.Generator) -> tuple[int, int]:
        _, labels = cv2.connectedComponents((target.distances > 0).astype(np.uint8), connectivity=8)
        region = labels == labels[target.row, target.column]
        limit = max(self.depth * float(target.distances[target.row, target.column]), 1.0)
        rows, columns = np.nonzero(region & (target.distances <= limit))
        if not len(rows):  # the region is a single deep pixel: its rim was clicked already
            return target.row, target.column
        choice = int(random.integers(len(rows)))
        return int(rows[choice]), int(columns[choice])


@dataclass(frozen=True)
class Scatter:
    """Many hands: some clicks fall on the target, some anywhere on the error, the others well inside it.

    Args:
        centre: share of the clicks on the target itself, 0 to 1.
        stray: share of the clicks on any wrong pixel of the same polarity, 0 to 1.
        depth: the others lie deeper than this share of the largest distance, from 0 to below 1.
    """

    centre: float
    stray: float
    depth: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.centre <= 1 and 0 <= self.stray <= 1 and 0 <= self.depth < 1):
            raise SettingsError(
                f"clicks are scattered by {self.centre}, {self.stray} and {self.depth}; give shares from 0 "
                "to 1, of the depth below 1."
            )

    def __call__(self, target: Target, random: np.random.Generator) -> tuple[int, int]:
        choice = random.random()
        if choice < self.centre:
            return target.row, target.column
        least = self.depth * float(target.distances[target.row, target.column])
        places = np.flatnonzero(target.distances > (least if choice < 1 - self.stray else 0))
        row, column = divmod(int(places[random.integers(places.size)]), target.distances.shape[1])
        return row, column


class Clicker:
    """The annotator of one object: remembers where it clicked.

    Args:
        ground_truth: (H, W) bool, the object.
        ignore: (H, W) bool or None, pixels that count as neither object nor background.
        stop_when_perfect: return None when nothing is left to correct (the product's way);
            False clicks negative at (0, 0) as the official evaluation does.
        noise: moves every click; None clicks exactly on the target.
        seed: of the noise; the same seed gives the same clicks.

    >>> object_mask = np.zeros((9, 9), bool); object_mask[2:7, 2:7] = True
    >>> clicker = Clicker(object_mask)
    >>> clicker.next(np.zeros((9, 9), bool))
    Click(x=4, y=4, positive=True)
    >>> clicker.next(object_mask) is None
    True
    """

    def __init__(
        self,
        ground_truth: BoolMask,
        ignore: BoolMask | None = None,
        *,
        stop_when_perfect: bool = True,
        noise: ClickNoise | None = None,
        seed: int = 0,
    ) -> None:
        self._ground_truth = ground_truth
        self._ignore = ignore
        self._stop_when_perfect = stop_when_perfect
        self._noise = noise
        self._random = np.random.default_rng(seed)
        self._not_clicked = np.ones(ground_truth.shape, np.bool_)

    def next(self, prediction: BoolMask) -> Click | None:
        """Return the click that corrects ``prediction`` ((H, W) bool), or None if nothing is wrong."""
        click = next_click(
            prediction,
            self._ground_truth,
            self._not_clicked,
            self._ignore,
            stop_when_perfect=self._stop_when_perfect,
            noise=self._noise,
            random=self._random,
        )
        if click is not None:
            self._not_clicked[click.y, click.x] = False
        return click


def next_click(
    prediction: BoolMask,
    ground_truth: BoolMask,
    not_clicked: BoolMask | None = None,
    ignore: BoolMask | None = None,
    *,
    stop_when_perfect: bool = True,
    noise: ClickNoise | None = None,
    random: np.random.Generator | None = None,
) -> Click | None:
    """Return the click on the deepest error of ``prediction``, or None if there is no error.

    Args:
        prediction: (H, W) bool, the present mask (all False before the first click).
        ground_truth: (H, W) bool, the object.
        not_clicked: (H, W) bool, False on pixels clicked before; None = none was.
        ignore: (H, W) bool, pixels that are never an error; None = no such pixel.
        stop_when_perfect: False gives the official ``Click(0, 0, False)`` instead of None.
        noise: moves the click; needs ``random``.
        random: source of the noise.
    """
    counted = None if ignore is None else ~ignore
    missed = _depth(ground_truth & ~prediction, counted, not_clicked)
    excess = _depth(prediction & ~ground_truth, counted, not_clicked)
    positive = bool(missed.max(initial=0.0) > excess.max(initial=0.0))
    distances = missed if positive else excess
    row, column = divmod(int(distances.argmax()), distances.shape[1])
    if distances[row, column] == 0:
        return None if stop_when_perfect else Click(0, 0, False)
    if noise is not None:
        if random is None:
            raise SettingsError(
                "a noisy click needs a random generator; pass random=numpy.random.default_rng(seed)."
            )
        side = ground_truth if positive else ~ground_truth
        target = Target(row, column, positive, distances, side if counted is None else side & counted)
        row, column = noise(target, random)
    return Click(column, row, positive)


def _depth(error: BoolMask, counted: BoolMask | None, not_clicked: BoolMask | None) -> Distances:
    """Return the exact distance of each error pixel to the nearest pixel that is none, (H, W) float32."""
    if counted is not None:
        error = error & counted
    depth = np.zeros(error.shape, np.float32)
    rows, columns = np.flatnonzero(error.any(axis=1)), np.flatnonzero(error.any(axis=0))
    if not len(rows):
        return depth
    # Around the errors' bounding box all is correct: one ring of zeros stands for the rest of the image.
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    padded = np.pad(error[window].astype(np.uint8), 1)
    exact = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth[window] = exact[1:-1, 1:-1]
    if not_clicked is not None:
        depth *= not_clicked
    return depth
