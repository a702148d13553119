"""Sampling along axes: single places get the bits that the grid gets, and lie between their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.axes import Axis, extremes, sample, sample_at

SIZES = st.integers(1, 9)


@given(SIZES, SIZES, st.integers(0, 99))
@settings(deadline=None)
def test_a_place_has_the_value_that_it_has_in_the_grid(height, width, seed):
    random = np.random.default_rng(seed)
    view = random.random((height, width), np.float32)
    rows, columns = random.random(7) * (height - 1), random.random(5) * (width - 1)
    grid = sample(view, rows, columns)
    y, x = np.mgrid[:7, :5]
    found = sample_at(view, rows[y.ravel()], columns[x.ravel()])
    assert found.dtype == np.float32
    assert np.array_equal(found, grid.ravel())


@given(SIZES, SIZES, st.integers(0, 99))
@settings(deadline=None)
def test_a_sample_lies_between_the_extremes_of_its_cell(height, width, seed):
    random = np.random.default_rng(seed)
    view = random.random((height, width), np.float32)
    rows, columns = random.random(20) * (height - 1), random.random(20) * (width - 1)
    low, high = extremes(view)
    cell = rows.astype(int), columns.astype(int)
    found = sample_at(view, rows, columns)
    assert (found >= low[cell] - 1e-6).all()
    assert (found <= high[cell] + 1e-6).all()


@pytest.mark.parametrize("align_corners", [False, True])
@given(start=st.integers(0, 50), extent=st.integers(2, 300), size=st.integers(2, 300))
def test_centres_are_where_they_say(align_corners, start, extent, size):
    axis = Axis(start, extent, size, align_corners)
    centres = axis.centres()
    assert axis.within(centres, size) == pytest.approx(
        np.clip(np.arange(size), 0, size - 1), abs=1e-3 if align_corners else 1e-9
    )
    assert axis.holds(centres).all()
    assert not axis.holds(np.array([start - 1.0, axis.end])).any()
