"""Flat memory for processes that serve for days.

Frames differ in size from click to click. Left alone, glibc keeps what the largest ones needed, in pieces
that fit no other, because maps that are remembered lie between them; and oneDNN keeps compiled code for each
size it ever saw. A server then grows by a fifth in its first two thousand clicks. So what is remembered
lives in pages of its own (:func:`outside_heap`), the rest is bounded (:func:`keep_flat`), and the heap that
one click may need is taken at the start (:func:`fill_heap`) instead of piece by piece as rarer frames come.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIB = 1 << 20
# Numbers of glibc's mallopt: one arena, large blocks straight from the system, the rest in large steps.
_MALLOC = {-8: 1, -3: 8 * _MIB, -1: 256 * _MIB, -2: 64 * _MIB}
_CACHES = {"LRU_CACHE_CAPACITY": "16", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}
_SMALL = 128 * 1024
_BLOCK = 4 * _MIB


def keep_flat() -> None:
    """Bound what the C library and oneDNN hold back; call it before torch is imported.

    Variables that the operator set win. Where the C library is not glibc, only oneDNN is bounded.
    """
    for name, entries in _CACHES.items():
        os.environ.setdefault(name, entries)
    mallopt = _mallopt()
    if mallopt is not None:
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def keep_compiled(primitives: int) -> None:
    """Let oneDNN hold code for ``primitives`` layers, unless the operator set a number.

    Call it before the first of them is compiled.
    """
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    if os.environ.get(name, _CACHES[name]) == _CACHES[name]:
        os.environ[name] = str(primitives)


def fill_heap(mebibytes: int = 128) -> None:
    """Take ``mebibytes`` of heap and give them back, so that clicks find them there.

    A pass of the default model takes about 60 MB at its largest; over thousands of them, with what lies
    between them for longer, no more than 120 MB were ever touched.

    Does nothing where :func:`keep_flat` bounds nothing: elsewhere the memory would go back to the system.
    """
    if _mallopt() is None:
        return
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(_BLOCK) for _ in range(mebibytes * _MIB // _BLOCK)]
    for block in filter(None, blocks):
        ctypes.memset(block, 0, _BLOCK)
    for block in blocks:
        library.free(block)


def give_back() -> None:
    """Return to the system what the heap holds and nobody uses; elsewhere than on glibc do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def outside_heap(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of ``array`` that goes back to the system the moment it is forgotten.

    Args:
        array: of any shape and layout; a small one, whose place can be used again, is returned as it is.
    """
    if array.nbytes < _SMALL:
        return array
    layout = np.empty_like(array).strides  # dense, with the axes in the order of the original's
    copy: NDArray[Any] = np.ndarray(array.shape, array.dtype, mmap.mmap(-1, array.nbytes), strides=layout)
    copy[...] = array
    return copy


def _mallopt() -> Callable[[int, int], int] | None:
    """Return glibc's function that bounds the heap; None elsewhere, and where the operator bounds it."""
    if any(name.startswith("MALLOC_") for name in os.environ):
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)
