"""What is drawn in NumPy before a graph equals what the networks compute in torch, bit for bit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.engines import click_maps
from fcfi_core.networks import feedback_correction
from fcfi_core.networks.click_maps import disk_maps

places = st.one_of(st.just(-1.0), st.floats(0, 120, width=32), st.integers(0, 120).map(float))


@given(
    st.lists(st.tuples(places, places), min_size=2, max_size=6).filter(lambda rows: len(rows) % 2 == 0),
    st.integers(8, 100),
    st.integers(8, 100),
    st.sampled_from([3.0, 5.0, 20.0, 5.5]),
)
def test_disks(rows, height, width, radius):
    points = np.array([(*row, order) for order, row in enumerate(rows)], np.float32)
    ours = click_maps.disk_maps(points, height, width, radius)
    theirs = disk_maps(torch.from_numpy(points)[None], height, width, radius)[0].numpy()
    np.testing.assert_array_equal(ours, theirs)


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([0.05, 0.3, 0.7, 2.0]),
)
def test_the_window_and_the_clicked_cell(height, width, down, right, ratio):
    row, column = int(down * height), int(right * width)
    found = click_maps.focus(np.array([row, column, 1]), (height, width), ratio)
    rule = SimpleNamespace(expansion_ratio=ratio)
    reaches = feedback_correction.FeedbackCorrection.reach(rule, None, None, None, None, (height, width))
    inside, cells = [], []
    for position, pixels, reach in zip((row, column), (height, width), reaches, strict=True):
        count = -(-pixels // 4)
        place = torch.tensor([position], dtype=torch.float32)
        bounds = feedback_correction._window_bounds(place, pixels, count, reach)
        inside.append(feedback_correction._hard_span(bounds, count)[0].numpy())
        cells.append(int(feedback_correction._cells(place, pixels, count)))
    np.testing.assert_array_equal(found.spread_rows.sum(axis=1) > 0, inside[0])
    np.testing.assert_array_equal(found.spread_columns.sum(axis=0) > 0, inside[1])
    assert found.spread_rows[:, :].max(initial=0) <= 1
    assert found.rows[found.cell[0] // len(found.columns)] == cells[0]
    assert found.columns[found.cell[0] % len(found.columns)] == cells[1]


@given(st.integers(16, 200), st.floats(0, 1, exclude_max=True), st.sampled_from([0.05, 0.3, 0.7]))
def test_the_crop_holds_the_window_with_a_rim_and_has_one_size(pixels, place, ratio):
    found = click_maps.focus(np.array([int(place * pixels), 0, 0]), (pixels, pixels), ratio)
    corner = click_maps.focus(np.array([0, 0, 0]), (pixels, pixels), ratio)
    window = np.flatnonzero(found.spread_rows.sum(axis=1))
    cells = found.spread_rows.shape[0]
    assert len(found.rows) == len(corner.rows)
    assert np.array_equal(found.rows, np.arange(found.rows[0], found.rows[0] + len(found.rows)))
    assert found.rows[0] <= max(0, window[0] - click_maps.RIM)
    assert found.rows[-1] >= min(cells - 1, window[-1] + click_maps.RIM)
    for row in window:
        assert found.spread_rows[row, row - found.rows[0]] == 1
