"""COCO's run-length code: runs down the columns, beginning outside, compressed to text.

``{"size": [H, W], "counts": ...}`` with counts either a list of run lengths (uncompressed) or text
(compressed). In the text each number is the run's length minus that of the last run of the same
kind (from the fourth run on), written in groups of five bits, lowest first: bit 5 says that more
groups follow, bit 4 of the last group is the sign, and 48 is added to reach printable characters.
Equal, character by character, to ``pycocotools.mask.encode``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import reserved
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import Mask, require_mask, require_size
from fcfi_core.masks.runs import expand, lengths, toggles_by_column

_BYTES_PER_CHARACTER = 64
_MOST_GROUPS = 12  # 60 bits: more than any mask has pixels


def encode(mask: Mask, *, compressed: bool = True, within: Box | None = None) -> dict[str, Any]:
    """Return ``mask`` as a COCO segmentation: ``size`` [H, W] and ``counts``.

    Args:
        mask: (H, W) bool.
        compressed: counts as text (str, as JSON needs it); False for a list of run lengths.
        within: a box that is known to hold all of the mask; None: it may be anywhere.

    >>> encode(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': '13'}
    """
    mask = require_mask(mask)
    height, width = mask.shape
    runs = lengths(toggles_by_column(mask, within), mask.size)
    return {"size": [height, width], "counts": _to_text(runs) if compressed else runs.tolist()}


def decode(segmentation: Mapping[str, Any], *, unfinished: bool = False) -> Mask:
    """Return the (H, W) bool mask of a COCO segmentation, compressed (str or bytes) or not.

    Args:
        unfinished: accept codes without their last run, outside the object, as some writers leave them.

    Raises:
        DataError: if size and counts do not belong together, or are not of this form.
    """
    try:
        (height, width), counts = segmentation["size"], segmentation["counts"]
    except (KeyError, TypeError, ValueError):
        raise DataError("a COCO segmentation must have 'size' [H, W] and 'counts'.") from None
    width, height = require_size(width, height)
    if isinstance(counts, str | bytes):
        with reserved(_BYTES_PER_CHARACTER * len(counts), "a run-length code"):
            runs = _from_text(counts)
    else:
        try:
            runs = np.asarray(counts)
        except (ValueError, OverflowError):  # lists in the list, numbers beyond 64 bits
            raise DataError("COCO counts must be text or a list of whole numbers.") from None
        if runs.ndim != 1 or (runs.size and runs.dtype.kind not in "iu"):
            raise DataError("COCO counts must be text or a list of whole numbers.")
    size = width * height
    ends_inside = runs.size > 0 and runs.size % 2 == 0
    if unfinished and ends_inside and runs.min() >= 0 and runs.max() <= size and runs.sum() < size:
        runs = np.append(runs, size - runs.sum())
    if runs.size == 0 or runs.min() < 0 or runs.max() > size or int(runs.sum()) != size:
        raise DataError(f"COCO counts do not cover exactly the {size} pixels of size [{height}, {width}].")
    with reserved(3 * size + 24 * runs.size, f"a mask of {width} x {height} pixels"):
        by_column = expand(runs).reshape(width, height)
        return cv2.transpose(by_column.view(np.uint8)).view(np.bool_)


def _to_text(runs: NDArray[np.int64]) -> str:
    """Return run lengths as compressed text."""
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    groups = np.empty((numbers.size, _MOST_GROUPS), np.uint8)
    used = np.zeros((numbers.size, _MOST_GROUPS), bool)
    pending = np.ones(numbers.size, bool)
    for group in range(_MOST_GROUPS):
        low = numbers & 31
        numbers >>= 5
        more = pending & np.where(low & 16, numbers != -1, numbers != 0)
        groups[:, group] = (low | np.where(more, 32, 0)) + 48
        used[:, group] = pending
        pending = more
        if not pending.any():
            break
    return groups[used].tobytes().decode("ascii")


def _from_text(text: str | bytes) -> NDArray[np.int64]:
    """Return the run lengths in compressed text."""
    if isinstance(text, str) and not text.isascii():
        raise DataError("COCO counts hold characters that no run length has; the text is damaged.")
    encoded = text.encode("ascii") if isinstance(text, str) else text
    characters = np.frombuffer(encoded, np.uint8).astype(np.int64) - 48
    last = (characters & 32) == 0
    if characters.size == 0 or characters.min() < 0 or characters.max() > 63 or not last[-1]:
        raise DataError("COCO counts are not compressed run lengths; the text is damaged or cut short.")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    groups = ends - starts + 1
    if groups.max() > _MOST_GROUPS:
        raise DataError("COCO counts hold a run longer than any mask; the text is damaged.")
    place = np.arange(characters.size) - np.repeat(starts, groups)
    numbers = np.add.reduceat((characters & 31) << (5 * place), starts)
    numbers -= np.where(characters[ends] & 16, np.int64(1) << (5 * groups), 0)
    for kind in (1, 2):  # the first run stands for itself, then each adds to the last of its kind
        numbers[kind::2] = np.cumsum(numbers[kind::2])
    return numbers
