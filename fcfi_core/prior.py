"""What is known of the object before the first click: a box, or a mask to correct.

Either starts the feedback and the zoom frame, and opens the network's gate from the first pass on.
"""

from __future__ import annotations

import hashlib
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
        return Click((self.box.x1 + self.box.x2) // 2, (self.box.y1 + self.box.y2) // 2)


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
