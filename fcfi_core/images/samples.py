"""Picture samples of any number type and channel count -> RGB of 8 bits.

Eight-bit samples stay as they are; all others are stretched from their smallest to their largest
value, the way annotation tools show 16-bit pictures. Values that stand for "no data" do not count, and a few
stray ones (a hot pixel of a camera) do not flatten all others. Transparency is resolved by composing on
white, the way browsers show it, or ignored. Work goes block by block, so that a large picture needs no large
intermediate arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import ImageError

_BLOCK_PIXELS = 1 << 18  # stays in the processor's cache


_STRAY = 0.001
"""At most this share of the values at either end may be left out of the stretch ..."""
_FLATTENED = 0.5
"""... if all others span less than this part of the range."""
_LOOKED_AT = 1 << 20
"""Values by which stray ones are recognised."""

_ABSURD = 1e30
"""No picture has floats as large; GIS programs write the smallest or largest one for "no data"."""
_CUSTOMARY = (-9999.0, -99999.0, -32767.0, -32768.0)
"""What stands for "no data" where the file does not say so, if all other values are far above it."""


def to_rgb(
    samples: NDArray[Any], ignore_alpha: bool = False, *, nodata: float | None = None
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return (H, W, 3) uint8 RGB, and a note for each thing done to get there.

    Args:
        samples: (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB, or (H, W, 4)
            RGBA; unsigned, signed or floating numbers. May be returned itself where nothing is to do.
        ignore_alpha: drop the alpha channel instead of composing on white.
        nodata: value of pixels without data, which become black; of no meaning for samples of 8 bits.

    Raises:
        ImageError: if no pixel has a value.

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
        colour, note = _stretched(colour, nodata)
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


def _stretched(values: NDArray[Any], nodata: float | None) -> tuple[NDArray[np.uint8], str]:
    """Return ``values`` scaled so that the smallest becomes 0 and the largest 255, and the note.

    All channels share one scale, which keeps hues. Values that are not finite numbers become 0 (not
    a number, minus infinity) or 255 (infinity), and so do stray ones beyond all others; a picture of one
    single value becomes 0.
    """
    is_float = values.dtype.kind == "f"
    valid, missing = _valid(values, nodata)
    if not valid.size:
        raise ImageError(
            "the image has no value at all: every pixel is without data or no number; give another picture."
        )
    lowest, highest = valid.min().item(), valid.max().item()
    low, high = _without_strays(valid, lowest, highest)
    result = np.empty(values.shape, np.uint8)
    if is_float or values.dtype.itemsize > 2:
        for rows in _blocks(values):
            result[rows] = _scaled(values[rows], low, high)
    else:
        first, last = np.iinfo(values.dtype).min, np.iinfo(values.dtype).max
        table = _scaled(np.arange(first, last + 1), low, high)
        for rows in _blocks(values):
            result[rows] = table[values[rows].astype(np.int32) - first]
    if missing is not None:
        result[missing] = 0
    kind = f"{values.dtype.itemsize * 8}-bit {'float ' if is_float else ''}values"
    note = f"{kind} {low:.6g}..{high:.6g} stretched to 0..255"
    if (low, high) != (lowest, highest):
        note += f" (a few lie outside, {lowest:.6g}..{highest:.6g})"
    return result, note + (", without the pixels that have no data" if missing is not None else "")


def _valid(values: NDArray[Any], nodata: float | None) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the values that count for the stretch, and where there is no data (None: nowhere)."""
    missing = _missing(values, nodata)
    if values.dtype.kind != "f":
        return (values if missing is None else values[~missing]), missing
    counts = np.isfinite(values)
    if missing is not None:
        counts &= ~missing
    return (values if counts.all() else values[counts]), missing


def _missing(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return where the picture has no data, as the file says or, if it does not, as is customary."""
    if nodata is not None and math.isfinite(nodata):
        said: NDArray[np.bool_] = values == _as_stored(nodata, values.dtype)
        return said if said.any() else None
    if not values.size or values.dtype.kind == "u":
        return None
    if values.dtype.kind == "f" and values.dtype.itemsize > 2:
        absurd: NDArray[np.bool_] = np.isfinite(values) & (np.abs(values) > _ABSURD)
        if absurd.any():
            return absurd
    lowest = float(np.fmin.reduce(values, axis=None))  # of those that are numbers
    if lowest not in _CUSTOMARY:
        return None
    others = values[np.isfinite(values) & (values != lowest)].astype(np.float64)
    if not others.size or others.min() - lowest <= others.max() - others.min():
        return None
    customary: NDArray[np.bool_] = values == lowest
    return customary


def _as_stored(value: float, dtype: np.dtype[Any]) -> Any:
    """Return ``value`` as samples of this type hold it; not a number if they cannot."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.float64(value).astype(dtype)
    bounds = np.iinfo(dtype)
    return dtype.type(int(value)) if value.is_integer() and bounds.min <= value <= bounds.max else np.nan


def _without_strays(values: NDArray[Any], lowest: float, highest: float) -> tuple[float, float]:
    """Return the range to stretch: all of it, or what lies between a few stray values."""
    if not values.size:
        return lowest, highest
    some = values.ravel()[:: max(1, values.size // _LOOKED_AT)]
    low, high = np.quantile(some, (_STRAY, 1 - _STRAY), method="nearest").tolist()
    if low == high or high - low >= _FLATTENED * (highest - lowest):
        return lowest, highest
    return low, high


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
