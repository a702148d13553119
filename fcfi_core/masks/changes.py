"""Where the value of a mask changes from pixel to pixel, found by words of eight pixels.

Nearly all of a mask is the same for long stretches. Eight pixels of one byte each are compared at a time,
and only words that hold a change are looked at pixel by pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = 8
_LITTLE = np.dtype("<u8")
Indices = NDArray[np.int64]


def framed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (h, w) uint8 with a rim of 0 one pixel wide, (h + 2, w + 2), as the functions here take it.

    Its rows begin at whole words in memory; what lies behind them is 0.
    """
    height, width = pixels.shape
    wide = np.zeros((height + 2, -(-(width + 2) // _WORD) * _WORD), np.uint8)
    wide[1:-1, 1 : width + 1] = pixels
    return wide[:, : width + 2]


def changes_down(framed: NDArray[np.uint8]) -> tuple[Indices, Indices]:
    """Return rows and columns, in reading order, of the pixels that differ from the pixel below.

    Args:
        framed: what :func:`framed` returned.
    """
    words = _words(framed)
    return _places(words[:-1], words[1:])


def changes_across(framed: NDArray[np.uint8]) -> tuple[Indices, Indices]:
    """Return rows and columns, in reading order, of the pixels that differ from the pixel before.

    Args:
        framed: what :func:`framed` returned.
    """
    words = _words(framed)
    before = words << np.uint64(_WORD)
    before[:, 1:] |= words[:, :-1] >> np.uint64(_WORD * (_WORD - 1))
    return _places(words, before)


def _words(framed: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the rows as words, the first pixel in the lowest byte."""
    whole = np.lib.stride_tricks.as_strided(framed, (framed.shape[0], framed.strides[0]))
    return whole.view(_LITTLE)


def _places(words: NDArray[Any], others: NDArray[Any]) -> tuple[Indices, Indices]:
    """Return rows and columns of the bytes in which the two differ."""
    hit = np.flatnonzero(
        words != others
    )  # of all words in a row: in two dimensions it takes ten times as long
    changed = words.reshape(-1)[hit] ^ others.reshape(-1)[hit]
    which = np.flatnonzero(changed.astype(_LITTLE).view(np.uint8))
    row, word = np.divmod(hit[which // _WORD], words.shape[1])
    return row, word * _WORD + which % _WORD
