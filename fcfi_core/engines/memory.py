"""Flat memory for processes that serve for days.

Frames differ in size from click to click. Left alone, glibc keeps what the largest ones needed, in pieces
that fit no other, and oneDNN keeps compiled code for each size it ever saw: a server grows by a fifth in
its first two thousand clicks. With the bounds here it is flat after some dozens, at the same speed.
"""

from __future__ import annotations

import ctypes
import os

_MEGABYTE = 1 << 20
# Numbers of glibc's mallopt: one arena, large blocks straight from the system, the rest in large steps.
_MALLOC = {-8: 1, -3: 8 * _MEGABYTE, -1: 256 * _MEGABYTE, -2: 64 * _MEGABYTE}
_CACHES = {"LRU_CACHE_CAPACITY": "16", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}


def keep_flat() -> None:
    """Bound what the C library and oneDNN hold back; call it before torch is imported.

    Variables that the operator set win. Where the C library is not glibc, only oneDNN is bounded.
    """
    for name, entries in _CACHES.items():
        os.environ.setdefault(name, entries)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and not any(name.startswith("MALLOC_") for name in os.environ):
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)
