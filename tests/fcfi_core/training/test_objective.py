from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fcfi_core.training.configuration import LossConfiguration
from fcfi_core.training.objective import at_edge, bce_dice

FLAT = LossConfiguration(click_weight=1.0, feedback=0.0)
"""A loss in which nothing but edges may weigh more."""


def half(size=24):
    """A target whose upper half is the object."""
    target = torch.zeros((1, 1, size, size), dtype=torch.uint8)
    target[..., : size // 2, :] = 1
    return target


def loss(target, logits, configuration, exact=True):
    maps = torch.full_like(logits, 0.5)
    output = SimpleNamespace(logits=logits, corrected=maps, fused=maps)
    points = torch.full((len(target), 2, 3), -1.0)
    return float(
        bce_dice(
            output,
            target,
            torch.full((len(target),), exact),
            points,
            torch.zeros((len(target), 1, 3)),
            configuration,
            0.3,
        )
    )


def wrong_in_row(target, row):
    """Logits that are right but for one row, in doubt there: Dice and the rest are alike for all rows."""
    logits = (target.float() - 0.5) * 20
    logits[..., row, :] = 0
    return logits


def test_an_error_at_the_edge_costs_its_weight():
    target = half()
    at, off = wrong_in_row(target, 11), wrong_in_row(target, 3)
    assert loss(target, at, FLAT) == pytest.approx(loss(target, off, FLAT))
    weighty = replace(FLAT, edge_weight=4.0)
    more = loss(target, at, weighty) - loss(target, at, FLAT)
    # One of 24 rows has an entropy of log 2, and counts three times more.
    assert more == pytest.approx(3 * np.log(2) / 24, rel=1e-3)
    assert loss(target, off, weighty) == pytest.approx(loss(target, off, FLAT), abs=1e-4)


def test_edges_that_are_not_exact_weigh_no_more():
    target = half()
    at = wrong_in_row(target, 11)
    weighty = replace(FLAT, edge_weight=4.0)
    assert loss(target, at, weighty, exact=False) == loss(target, at, FLAT, exact=False)


def test_only_what_lies_near_both_sides_is_an_edge():
    found = at_edge(half(), 2)[0, 0]
    assert found[10:14].all()
    assert found.sum() == 4 * 24


def test_the_unknown_makes_no_edge():
    target = half()
    target[..., 9:15, :] = 255
    assert not at_edge(target, 2).any()


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 1, 255])),
    st.integers(min_value=1, max_value=4),
)
def test_edges_are_what_a_search_finds(pixels, radius):
    found = at_edge(torch.from_numpy(pixels)[None, None], radius)[0, 0].numpy()
    for y, x in np.ndindex(*pixels.shape):
        around = pixels[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        assert found[y, x] == float((around == 1).any() and (around == 0).any())
