"""What is known of a tracked object between two frames: all that the next step needs, in a few kilobytes.

As JSON it says its version, its frame size, and the model whose features its appearance belongs to. The mask
travels as its box and the compressed text of its run lengths within: a quarter of the run lengths as numbers.
"""

from __future__ import annotations

import base64
import binascii
import reprlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.appearance import Appearance
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError, PromptError
from fcfi_core.masks import box_of, coco
from fcfi_core.masks.extent import crop
from fcfi_core.propagation.colours import SHADES, Colours

VERSION = 3
_FULL = 1000  # colours are kept in thousandths


@dataclass(frozen=True, eq=False)
class State:
    """One tracked object.

    Args:
        mask: (H, W) bool, at least one pixel: where it was seen last.
        colours: (3, SHADES) float32: those of the frames that a person has seen.
        appearance: fitted on these frames; None where the network's features tell nothing of places.
    """

    mask: NDArray[np.bool_]
    colours: Colours
    appearance: Appearance | None

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values; :meth:`from_json` reads them."""
        height, width = self.mask.shape
        return {
            "version": VERSION,
            "size": [width, height],
            **pack(self.mask),
            "colours": np.rint(self.colours * _FULL).astype(int).tolist(),
            "appearance": None if self.appearance is None else self.appearance.to_json(),
        }

    @classmethod
    def from_json(cls, state: object, width: int, height: int) -> State:
        """Return the state that :meth:`to_json` gave, for a frame of ``width`` x ``height`` pixels.

        Raises:
            PromptError: if it is not such a state, of another version, or of another frame size.
        """
        if not isinstance(state, Mapping) or state.get("version") != VERSION:
            raise PromptError(
                f"the tracking state {reprlib.repr(state)} is not of version {VERSION}; start a new track."
            )
        if state.get("size") != [width, height]:
            raise PromptError(
                f"the frame is {width} x {height} pixels, the track began on "
                f"{reprlib.repr(state.get('size'))}; track within frames of one size."
            )
        mask = unpack(state, width, height)
        appearance = state.get("appearance")
        return cls(
            mask,
            _read_colours(state.get("colours")),
            None if appearance is None else Appearance.from_json(appearance),
        )


def pack(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return ``mask`` (H, W), not empty, as ``box`` [x1, y1, x2, y2] and ``mask``, the text of its inside."""
    box = box_of(mask)
    assert box is not None, "an object that was seen has a pixel"
    counts = coco.encode(crop(mask, box))["counts"]
    packed = base64.b64encode(zlib.compress(counts.encode("ascii"), 9)).decode("ascii")
    return {"box": [box.x1, box.y1, box.x2, box.y2], "mask": packed}


def unpack(state: Mapping[str, Any], width: int, height: int) -> NDArray[np.bool_]:
    """Return the (height, width) mask of which :func:`pack` made ``box`` and ``mask``.

    Raises:
        PromptError: if they are damaged, or the box is not in the frame.
    """
    corners, text = state.get("box"), state.get("mask")
    try:
        x1, y1, x2, y2 = (int(corner) for corner in corners)  # type: ignore[union-attr]
        if not (0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height):
            raise ValueError("the box is not in the frame")
        box = Box(x1, y1, x2, y2)
        most = 8 * box.width * box.height + 64  # a run has at least one pixel, and its text few characters
        counts = zlib.decompressobj().decompress(base64.b64decode(str(text), validate=True), most)
        inside = coco.decode({"size": [box.height, box.width], "counts": counts})
        if not inside.any():
            raise ValueError("the mask is empty")
    except (TypeError, ValueError, OverflowError, binascii.Error, zlib.error, DataError):
        raise PromptError("the tracking state holds no mask of this frame; start a new track.") from None
    mask = np.zeros((height, width), bool)
    crop(mask, box)[:] = inside
    return mask


def _read_colours(colours: object) -> Colours:
    """Return the colours that a state holds; raises PromptError if they are not (3, SHADES) numbers."""
    rows = colours if isinstance(colours, list) and len(colours) == 3 else [None]
    if not all(isinstance(row, list) and len(row) == SHADES and all(map(_is_share, row)) for row in rows):
        raise PromptError("the tracking state has no colours; start a new track.")
    return np.array(rows, np.float32) / np.float32(_FULL)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _FULL
