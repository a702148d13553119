"""Label Studio's brush code: runs of RGBA samples in a bit stream.

The mask is a picture of four equal samples per pixel, 255 inside and 0 outside, row by row. The
stream, most significant bit first, is cut into bytes, the last one padded with zeros:

* 32 bits: number of samples; 5 bits: bits per sample - 1; 4 x 4 bits: the four widths of a length
  field - 1 (3, 4, 8, 16);
* blocks until all samples are covered: 1 bit kind, 2 bits index of the length field's width, then
  count - 1 in that many bits, then for kind 1 one sample that is repeated ``count`` times, for kind
  0 ``count`` samples.

:func:`encode` writes runs (kind 1) in the shortest field that fits, and splits those above 65,536
samples. :func:`decode` reads everything that Label Studio's editor and SDK write; a pixel is inside
where its fourth sample (alpha) is above 0.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint, reserved
from fcfi_core.clicks import Box
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import Mask, require_mask, require_size
from fcfi_core.masks.runs import lengths, toggles

_CHANNELS = 4
_INSIDE = 255
_SAMPLE_BITS = 8
_FIELD_BITS = np.array([3, 4, 8, 16])
_LONGEST_RUN = 1 << 16
_MOST_SAMPLES = (1 << 32) - 1
_HEADER_BITS = 32 + 5 + 4 * 4
_BYTES_PER_BYTE = 40  # of a code: its runs, their ends, and where they begin
_BLOCKS_BETWEEN_LOOKS = 1 << 12
_BLOCK_RUNS = 1 << 18  # runs packed at a time: bounds the memory for masks of noise


def encode(mask: Mask, *, within: Box | None = None) -> list[int]:
    """Return the bytes (0..255, as JSON needs them) of ``mask``.

    Args:
        mask: (H, W) bool.
        within: a box that is known to hold all of it; None: it may be anywhere.

    Raises:
        DataError: for a mask above 2^30 pixels, whose samples the code cannot count.

    >>> encode(np.array([[False, True], [True, True]]))
    [0, 0, 0, 16, 57, 27, 252, 96, 22, 255, 192]
    """
    mask = require_mask(mask)
    samples = mask.size * _CHANNELS
    if samples > _MOST_SAMPLES:
        raise DataError(f"a mask of {mask.size} pixels is too large for Label Studio's code (below 2^30).")
    runs = lengths(toggles(mask, within), mask.size) * _CHANNELS
    values = np.arange(runs.size) % 2 * _INSIDE
    if runs[0] == 0:
        runs, values = runs[1:], values[1:]
    runs, values = _split(runs, values)

    packed: list[int] = []
    bits = _header(samples)
    for start in range(0, runs.size, _BLOCK_RUNS):
        block = slice(start, start + _BLOCK_RUNS)
        bits = np.concatenate((bits, _run_bits(runs[block], values[block])))
        whole = bits.size // 8 * 8
        packed += np.packbits(bits[:whole]).tolist()
        bits = bits[whole:]
    return packed + np.packbits(bits).tolist()


def _header(samples: int) -> NDArray[np.uint8]:
    """Return the bits before the first block."""
    number = samples << 5 | (_SAMPLE_BITS - 1)
    for field in _FIELD_BITS.tolist():
        number = number << 4 | (field - 1)
    return np.array([int(bit) for bit in f"{number:0{_HEADER_BITS}b}"], np.uint8)


def _split(runs: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the runs with each above the longest cut into longest ones and a rest."""
    if runs.max() <= _LONGEST_RUN:
        return runs, values
    pieces = -(-runs // _LONGEST_RUN)
    split = np.full(int(pieces.sum()), _LONGEST_RUN)
    split[np.cumsum(pieces) - 1] = runs - (pieces - 1) * _LONGEST_RUN
    return split, np.repeat(values, pieces)


def _run_bits(runs: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the bits of blocks of kind 1."""
    index = np.searchsorted(1 << _FIELD_BITS, runs)
    field = _FIELD_BITS[index]
    word = ((4 + index) << field | (runs - 1)) << _SAMPLE_BITS | values  # 4: the bit of kind 1
    length = 3 + field + _SAMPLE_BITS
    aligned = (word << (32 - length)).astype(">u4")
    bits = np.unpackbits(aligned.view(np.uint8).reshape(-1, 4), axis=1)
    return bits[np.arange(32) < length[:, None]]


def decode(rle: Sequence[int] | bytes, width: int, height: int) -> Mask:
    """Return the (height, width) bool mask in the bytes of Label Studio's brush code.

    Args:
        rle: bytes 0..255; spare bytes at the end are ignored.
        width, height: ``original_width`` and ``original_height`` of the region.

    Raises:
        DataError: if the bytes are not of this code, end too early, or hold another size.
    """
    width, height = require_size(width, height)
    try:
        data = bytes(rle)
    except (TypeError, ValueError):
        raise DataError("a Label Studio rle must be a list of whole numbers 0..255.") from None
    samples = width * height * _CHANNELS
    if len(data) * 8 < _HEADER_BITS or int.from_bytes(data[:4], "big") != samples:
        raise DataError(f"the Label Studio rle does not hold {width} x {height} pixels of 4 samples.")
    room = width * height + _BYTES_PER_BYTE * len(data)
    with reserved(room, f"a brush code of {len(data)} bytes for {width} x {height} pixels"):
        counts, inside = _runs(data, samples)
        # A pixel is its fourth sample: e // 4 pixels have theirs among the first e samples.
        ends = np.cumsum(counts, dtype=np.int64)
        ends //= _CHANNELS
        return np.repeat(inside, np.diff(ends, prepend=0)).reshape(height, width)


def _runs(data: bytes, samples: int) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Return how many samples each run has, and whether they lie inside; a stored sample is a run of one."""
    counts, inside = array("I"), bytearray()
    for number, (count, values) in enumerate(_blocks(data, samples)):
        if isinstance(values, int):
            counts.append(count)
            inside.append(values > 0)
        else:
            counts.frombytes(np.ones(count, np.uint32).tobytes())
            inside += (values > 0).tobytes()
        if number % _BLOCKS_BETWEEN_LOOKS == 0:
            checkpoint()
    return np.frombuffer(counts, np.uint32), np.frombuffer(inside, np.bool_)


def _blocks(data: bytes, samples: int) -> Iterator[tuple[int, int | NDArray[np.int64]]]:
    """Yield (count, value) of each block: one value that stands for all, or an array of ``count`` values."""
    end = len(data) * 8
    header = int.from_bytes(data[:7], "big") >> 56 - _HEADER_BITS
    sample_bits = (header >> 16 & 31) + 1
    fields = [(header >> shift & 15) + 1 for shift in (12, 8, 4, 0)]
    padded = data + bytes(8)
    place, covered = _HEADER_BITS, 0
    while covered < samples:
        # The next 64 bits hold all of a run: 1 + 2 + at most 16 + at most 32, after up to 7 old ones.
        window = int.from_bytes(padded[place >> 3 : (place >> 3) + 8], "big") << (place & 7)
        is_run, field = window >> 63 & 1, fields[window >> 61 & 3]
        count = (window >> 61 - field & (1 << field) - 1) + 1
        place += 3 + field
        stored = place
        place += sample_bits if is_run else sample_bits * count
        covered += count
        if place > end or covered > samples:
            raise DataError("the Label Studio rle ends too early or runs too far; it is damaged.")
        if is_run:
            yield count, window >> 61 - field - sample_bits & (1 << sample_bits) - 1
        else:
            yield count, _literals(data, stored, place, sample_bits)


def _literals(data: bytes, start: int, end: int, sample_bits: int) -> NDArray[np.int64]:
    """Return the samples of ``sample_bits`` each in the bits ``start`` to ``end`` (exclusive)."""
    bits = np.unpackbits(np.frombuffer(data[start >> 3 : (end + 7) >> 3], np.uint8))
    words = bits[start & 7 : (start & 7) + end - start].reshape(-1, sample_bits)
    values: NDArray[np.int64] = words @ (1 << np.arange(sample_bits - 1, -1, -1))
    return values
