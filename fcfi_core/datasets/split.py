"""Which photos are kept out of training, told by their names alone.

The choice never changes when photos are added, and anyone with the same photos makes the same one.
"""

from __future__ import annotations

import hashlib


def name_rank(name: str) -> float:
    """Return a number from 0 to 1 that depends on ``name`` (``DATASET/PHOTO``) alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def is_held_out(name: str, share: float) -> bool:
    """Return whether the photo called ``name`` belongs to the ``share`` kept out of training."""
    return name_rank(name) < share
