"""Picture samples of any number type and channel count -> RGB of 8 bits.

Eight-bit samples stay as they are; all others are stretched from their smallest to their largest
value, the way annotation tools show 16-bit pictures. Transparency is resolved by composing on
white, the way browsers show it, or ignored. Work goes block by block, so that a large picture needs no large
intermediate arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_BLOCK_PIXELS = 1 << 18  # stays in the processor's cache


def to_rgb(samples: NDArray[Any], ignore_alpha: bool = False) -> tuple[NDArray[np.uint8], list[str]]:
    """Return (H, W, 3) uint8 RGB, and a note for each thing done to get there.

    Args:
        samples: (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB, or (H, W, 4)
            RGBA; unsigned, signed or floating numbers. May be returned itself where nothing is to do.
        ignore_alpha: drop the alpha channel instead of composing on white.

    >>> pixels, notes = to_rgb(np.array([[0, 1000]], np.uint16))
    >>> pixels[0].tolist(), notes
    ([[0, 0, 0], [255, 255, 255]], ['16-bit values 0..1000 stretched to 0..255'])
    """
    notes = []
    colour = samples[:, :, None] if samples.ndim == 2 else samples
    alpha = None
    if colour.shape[2] in (2, 4):
        colour, alpha = colour[:, :, :-1], colour[:, :, -1]
    if colour.dtype != np.uint8:
        colour, note = _stretched(colour)
        notes.append(note)
    if colour.shape[2] == 1:
        colour = cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    if alpha is not None and not ignore_alpha:
        opacity = _opacity(alpha)
        if opacity.min() < 255:
            colour = _on_white(colour, opacity)
            notes.append("transparent parts shown on white")
    return colour, notes


def _blocks(samples: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of rows that together cover ``samples``."""
    height, width = samples.shape[:2]
    rows = max(1, _BLOCK_PIXELS // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


def _stretched(values: NDArray[Any]) -> tuple[NDArray[np.uint8], str]:
    """Return ``values`` scaled so that the smallest becomes 0 and the largest 255, and the note.

    All channels share one scale, which keeps hues. Values that are not finite numbers become 0 (not
    a number, minus infinity) or 255 (infinity); a picture of one single value becomes 0.
    """
    is_float = values.dtype.kind == "f"
    finite = values
    if is_float and not np.isfinite(values).all():
        finite = values[np.isfinite(values)]
    low, high = (finite.min().item(), finite.max().item()) if finite.size else (0, 0)
    result = np.empty(values.shape, np.uint8)
    if is_float or values.dtype.itemsize > 2:
        for rows in _blocks(values):
            result[rows] = _scaled(values[rows], low, high)
    else:
        table = _scaled(np.arange(low, high + 1), low, high)
        for rows in _blocks(values):
            result[rows] = table[values[rows].astype(np.int32) - low]
    kind = f"{values.dtype.itemsize * 8}-bit {'float ' if is_float else ''}values"
    return result, f"{kind} {low:.6g}..{high:.6g} stretched to 0..255"


def _scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return ``values`` mapped linearly from low..high to 0..255, rounded and clipped."""
    span = high - low
    if not span > 0:
        return np.zeros(values.shape, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values.astype(np.float64) - low) * 255 / span
    np.nan_to_num(scaled, copy=False, nan=0, posinf=255, neginf=0)
    result: NDArray[np.uint8] = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return result


def _opacity(alpha: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the alpha channel as 0-255; integers use their full range, floats 0..1."""
    if alpha.dtype == np.uint8:
        return alpha
    full = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    return _scaled(alpha, 0, full)


def _on_white(colour: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``colour`` composed on white, each value rounded to the nearest."""
    result = np.empty(colour.shape, np.uint8)
    for rows in _blocks(colour):
        share = opacity[rows, :, None].astype(np.uint16)
        sum255 = colour[rows] * share + 255 * (255 - share) + 128
        result[rows] = (sum255 + (sum255 >> 8)) >> 8  # exact rounded division by 255
    return result
