"""Colours of an object."""

from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.images import load
from fcfi_core.propagation.colours import colours_of, likeness


def seen(colour):
    mask = np.zeros((40, 60), bool)
    mask[10:22, 5:17] = True
    return colours_of(load(np.where(mask[..., None], colour, (30, 90, 30)).astype(np.uint8)), mask)


def test_colours_are_shares():
    colours = seen((200, 40, 60))
    assert colours.shape == (3, 16)
    assert np.allclose(colours.sum(axis=1), 1)


def test_an_object_is_like_itself_in_slightly_other_light():
    here = seen((200, 40, 60))
    assert likeness(here, here) == pytest.approx(1)
    assert likeness(here, seen((190, 34, 52))) > 0.3
    assert likeness(here, seen((10, 10, 200))) < 0.1
