"""What is known of the object before the first click: a box, or a mask to correct.

Either starts the feedback and the zoom frame, and opens the network's gate from the first pass on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import masks
from fcfi_core.axes import Map
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.geometry import Frame, Region

BOX_FEEDBACK = 0.6
"""Probability inside a box: more likely object than not, and soft enough to be overruled."""

BOX_MARGIN = 0.05
"""How far beyond a box the clicks are that it implies, as a share of its side (at least 2 pixels)."""


@dataclass(frozen=True, eq=False)
class Prior:
    """A box, a prior mask, or both (the mask is then the feedback, the box widens the first frame).

    Args:
        box: inside the image, or None.
        mask: (H, W) bool with at least one pixel, or None.
    """

    box: Box | None
    mask: NDArray[np.bool_] | None

    @classmethod
    def of(cls, height: int, width: int, box: Box | None, mask: NDArray[Any] | None) -> Prior | None:
        """Return the prior for an image of ``height`` x ``width``; None if nothing is given.

        Args:
            box: cut at the image's border.
            mask: (H, W) of bool or numbers, object where not 0. A mask without any pixel says nothing.

        Raises:
            PromptError: for a box outside the image, or a mask of another shape.
        """
        if box is not None:
            box = box.clipped(width, height)
        if mask is not None:
            mask = np.asarray(mask)
            if mask.shape != (height, width):
                raise PromptError(
                    f"prior mask has the shape {mask.shape}; it must have the upright image's, "
                    f"({height}, {width})."
                )
            mask = mask != 0
            if not mask.any():
                mask = None
        return None if box is None and mask is None else cls(box, mask)

    @property
    def region(self) -> Region:
        """The smallest region around the box and the mask."""
        boxes = [self.box, None if self.mask is None else masks.box_of(self.mask)]
        corners = [Click(x, y) for box in boxes if box for x, y in ((box.x1, box.y1), (box.x2, box.y2))]
        first = corners[0]
        return Region(first.y, first.y, first.x, first.x).including(corners)

    @property
    def digest(self) -> str:
        """A key for what is known: equal priors have equal digests."""
        digest = hashlib.sha256(repr(self.box).encode())
        if self.mask is not None:
            digest.update(np.packbits(self.mask).tobytes())
        return digest.hexdigest()

    def implied_click(self) -> Click:
        """Return the positive click to assume when the user gives none.

        The mask's innermost point; without a mask the centre of the box.
        """
        if self.mask is not None:
            return Click(*masks.innermost(self.mask))
        assert self.box is not None, "a prior has a box or a mask"
        return centre_of(self.box)

    def implied_clicks(self, height: int, width: int, clicks: Sequence[Click]) -> tuple[Click, ...]:
        """Return the clicks that a box alone stands for, shown to the network before the user's.

        Negative ones beyond the middle of each side, and, until the user clicks, a positive one in the
        centre. A side with a positive click of theirs beyond it implies nothing. A prior mask is more
        exact than its box: it implies nothing here.

        Args:
            height, width: of the image, pixels.
            clicks: the user's.
        """
        if self.mask is not None or self.box is None:
            return ()
        around = clicks_around(self.box, height, width, clicks)
        return around if clicks else (*around, centre_of(self.box))


def centre_of(box: Box) -> Click:
    """Return a positive click in the middle of ``box``."""
    return Click((box.x1 + box.x2) // 2, (box.y1 + box.y2) // 2)


def clicks_around(box: Box, height: int, width: int, clicks: Sequence[Click] = ()) -> tuple[Click, ...]:
    """Return negative clicks beyond the middle of each side of ``box``, as far as they are in the image.

    Args:
        box: inside the image.
        height, width: of the image, pixels.
        clicks: the user's; a side with a positive one beyond it is left out.
    """
    centre = centre_of(box)
    beside = max(round((box.x2 - box.x1) * BOX_MARGIN), 2)
    above = max(round((box.y2 - box.y1) * BOX_MARGIN), 2)
    positive = [click for click in clicks if click.positive]
    sides = (
        (centre.x, box.y1 - above, any(click.y < box.y1 for click in positive)),
        (centre.x, box.y2 + above, any(click.y > box.y2 for click in positive)),
        (box.x1 - beside, centre.y, any(click.x < box.x1 for click in positive)),
        (box.x2 + beside, centre.y, any(click.x > box.x2 for click in positive)),
    )
    return tuple(
        Click(x, y, positive=False)
        for x, y, crossed in sides
        if not crossed and 0 <= x < width and 0 <= y < height
    )


def initial_feedback(frame: Frame, box: Box | None, mask: NDArray[np.bool_] | None) -> Map:
    """Return the feedback map that the network receives with the first click.

    A prior mask is shown as it is: 1 inside, 0 outside, averaged over the image pixels that a frame
    pixel covers. A box without a mask is a filled rectangle of :data:`BOX_FEEDBACK`, likewise averaged
    at its edges. Training imitates exactly this.

    Args:
        frame: where the network looks.
        box: inside the image, or None.
        mask: (H, W) bool, or None.

    Returns:
        (frame.height, frame.width) float32, 0..1.
    """
    if mask is not None:
        return frame.apply_map(mask)
    assert box is not None, "give a box or a mask"
    rows = _coverage(box.y1, box.y2, frame.region.top, frame.region.height, frame.height)
    columns = _coverage(box.x1, box.x2, frame.region.left, frame.region.width, frame.width)
    return np.outer(rows, columns * np.float32(BOX_FEEDBACK)).astype(np.float32)


def _coverage(first: int, last: int, start: int, extent: int, size: int) -> NDArray[np.float32]:
    """Return how much of each of ``size`` frame pixels along an axis the pixels ``first..last`` cover."""
    scale = size / extent
    edges = np.arange(size + 1)
    begin, end = (first - start) * scale, (last + 1 - start) * scale
    covered = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return np.asarray(np.clip(covered, 0, 1), np.float32)
