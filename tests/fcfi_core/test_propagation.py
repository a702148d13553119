"""Sightings of an object from frame to frame: what counts as the same one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fcfi_core.errors import PromptError
from fcfi_core.images import load
from fcfi_core.propagation import Limits, Sighting, likeness, propagate

HEIGHT, WIDTH = 40, 60


def square(left, side=12):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10 : 10 + side, left : left + side] = True
    return mask


def scene(mask, colour=(200, 40, 60)):
    return load(np.where(mask[..., None], colour, (30, 90, 30)).astype(np.uint8))


def answering(mask):
    """A predictor that always finds ``mask``."""
    return SimpleNamespace(segment=lambda image, clicks, prior_mask: SimpleNamespace(mask=mask))


def step(before, after, colour=(200, 40, 60)):
    last = Sighting.of(scene(before), before)
    return propagate(answering(after), scene(after, colour), last)


def test_colours_are_shares():
    colours = Sighting.of(scene(square(5)), square(5)).colours
    assert colours.shape == (3, 16)
    assert np.allclose(colours.sum(axis=1), 1)


def test_an_object_is_like_itself_in_slightly_other_light():
    here = Sighting.of(scene(square(5)), square(5))
    darker = Sighting.of(scene(square(5), (190, 34, 52)), square(5))
    assert likeness(here, here) == pytest.approx(1)
    assert likeness(here, darker) > Limits().least_likeness
    assert likeness(here, Sighting.of(scene(square(5), (10, 10, 200)), square(5))) < 0.1


def test_a_moved_object_is_found():
    found = step(square(5), square(8))
    assert found is not None
    assert np.array_equal(found.mask, square(8))


@pytest.mark.parametrize(
    ("after", "colour"),
    [
        (np.zeros((HEIGHT, WIDTH), bool), (200, 40, 60)),
        (square(30), (200, 40, 60)),
        (square(5, 28), (200, 40, 60)),
        (square(5, 5), (200, 40, 60)),
        (square(5), (10, 10, 200)),
    ],
    ids=["gone", "elsewhere", "swollen", "shrunk", "repainted"],
)
def test_a_lost_object_is_none(after, colour):
    assert step(square(5), after, colour) is None


def test_an_empty_mask_is_no_sighting():
    with pytest.raises(PromptError):
        Sighting.of(scene(square(5)), np.zeros((HEIGHT, WIDTH), bool))
