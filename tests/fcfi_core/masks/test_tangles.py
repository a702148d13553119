"""Crossings as shapely sees them, and that other orders of the same points have none."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.masks.tangles import crosses, tangled, uncrossed

points = st.tuples(st.integers(0, 12), st.integers(0, 12))
rings = st.lists(points, min_size=3, max_size=9, unique=True).map(lambda found: np.array(found, float))


@settings(deadline=None, max_examples=300)
@given(rings)
def test_a_ring_is_tangled_if_it_is_not_simple(ring):
    assert bool(tangled([ring], [0], [False])) == (not shapely.LinearRing(ring).is_simple)


@settings(deadline=None, max_examples=300)
@given(rings, rings)
def test_two_rings_of_a_part_may_not_meet(exterior, hole):
    simple = all(shapely.LinearRing(ring).is_simple for ring in (exterior, hole))
    found = tangled([exterior, hole], [0, 0], [False, True])
    apart = not shapely.LinearRing(exterior).intersects(shapely.LinearRing(hole))
    assert (not found) == (simple and apart and shapely.Polygon(exterior).contains(shapely.Polygon(hole)))
    if simple:
        assert not tangled([exterior, hole], [0, 1], [False, False])


def test_it_is_told_which_segments():
    eight = np.array(((0, 0), (4, 4), (4, 0), (0, 4)), float)
    assert tangled([eight], [0], [False]) == {0: {0, 2}}


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.integers(4, 60))
def test_the_same_points_in_another_order(seed, count):
    ring = np.random.default_rng(seed).random((count, 2)) * 100
    found = uncrossed(ring)
    assert sorted(found.tolist()) == sorted(ring.tolist())
    assert not tangled([found], [0], [False])


@pytest.mark.parametrize(
    ("end", "crossed"), [((5, 5), False), ((5, 10), False), ((5, 11), True), ((0, 5), False), ((-1, 5), True)]
)
def test_the_ends_of_a_segment_may_touch(end, crossed):
    square = np.array(((0, 0), (10, 0), (10, 10), (0, 10)), float)
    assert crosses(np.array((5.0, 4.0)), np.array(end, float), [square]) == crossed
