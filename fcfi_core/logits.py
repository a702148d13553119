"""Logits, what a network says before the sigmoid, and the probabilities that they mean."""

from __future__ import annotations

import numpy as np

from fcfi_core.axes import Map


def probability_of(logits: Map) -> Map:
    """Return the probabilities of ``logits``, float32; written with tanh, which cannot overflow."""
    half = np.float32(0.5)
    return np.asarray(half * np.tanh(half * logits) + half)


def logits_of(probability: Map) -> Map:
    """Return the logits of a ``probability`` between 0 and 1, both ends left out."""
    return np.asarray(np.log(probability / (1 - probability)))
