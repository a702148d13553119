from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core import tracing
from fcfi_core.clicks import Click
from fcfi_core.tracing import MOST, SIDE, traced, width_of

MULTIPLE = 16


class Seeing:
    """Stands in for the network: it finds what is joined to the new click within what the frame shows.

    Args:
        truth: (H, W) bool.
        reach: it sees no further than so many network pixels from the click.
    """

    def __init__(self, truth, reach=10_000):
        self.truth = truth
        self.reach = reach
        self.calls = []

    def __call__(self, frame, feedback, clicks, gate):
        self.calls.append((frame, feedback.copy(), tuple(clicks), gate))
        assert frame.height % MULTIPLE == frame.width % MULTIPLE == 0
        assert feedback.shape == frame.size
        region = frame.region
        assert region.top >= 0 <= region.left
        assert region.bottom < self.truth.shape[0]
        assert region.right < self.truth.shape[1]
        shown = frame.apply_map(self.truth) > 0.25
        row, column = (int(place) for place in frame.apply_clicks(clicks[-1:])[0])
        near = np.zeros(shown.shape, bool)
        near[
            max(row - self.reach, 0) : row + self.reach, max(column - self.reach, 0) : column + self.reach
        ] = True
        _, labels = cv2.connectedComponents((shown & near).astype(np.uint8))
        around = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        meant = np.isin(labels, around[around > 0])
        return np.where(meant, 0.9, 0.05).astype(np.float32)


def wire(height, width, points, thickness=3):
    truth = np.zeros((height, width), np.uint8)
    cv2.polylines(truth, [np.array(points, np.int32)], False, 1, thickness)
    return truth > 0


def mask_of(found, threshold=0.5):
    frame, view = found
    return frame.above(view, threshold)


def test_a_wire_is_followed_from_one_click_to_both_ends():
    truth = wire(900, 1500, [(20, 800), (500, 450), (900, 700), (1480, 30)])
    network = Seeing(truth)
    found = traced(network, truth.shape, [Click(500, 450)], 0.5, MULTIPLE)
    assert np.array_equal(mask_of(found), truth)
    assert 4 < len(network.calls) <= MOST
    assert network.calls[0][3] == 0.0
    assert all(gate == 1.0 and feedback.max() > 0.5 for _, feedback, _, gate in network.calls[1:])


def test_a_network_that_sees_a_little_ahead_is_enough():
    truth = wire(700, 1400, [(40, 650), (700, 300), (1360, 90)])
    found = traced(Seeing(truth, reach=130), truth.shape, [Click(700, 300)], 0.5, MULTIPLE)
    assert np.array_equal(mask_of(found), truth)


def test_there_are_never_more_windows_than_allowed(monkeypatch):
    monkeypatch.setattr(tracing, "MOST", 5)
    truth = wire(500, 4000, [(10, 250), (3990, 250)])
    network = Seeing(truth)
    found = traced(network, truth.shape, [Click(2000, 250)], 0.5, MULTIPLE)
    assert len(network.calls) == 5
    assert 0 < np.count_nonzero(mask_of(found)) < np.count_nonzero(truth)


def test_what_is_wide_is_not_traced():
    truth = np.zeros((900, 1600), bool)
    truth[200:700, 300:1200] = True
    network = Seeing(truth)
    assert traced(network, truth.shape, [Click(600, 450)], 0.5, MULTIPLE) is None
    assert len(network.calls) == 2  # once in the finest grid, once in the next


def test_what_is_too_wide_in_the_finest_grid_is_traced_in_the_next():
    truth = wire(1000, 4000, [(1400, 500), (2900, 500)], thickness=21)
    frame, view = traced(Seeing(truth), truth.shape, [Click(2000, 500)], 0.5, MULTIPLE)
    assert frame.region.width == 2 * view.shape[1]
    found = mask_of((frame, view))
    assert np.count_nonzero(found & truth) > 0.95 * np.count_nonzero(found | truth)


def test_what_a_frame_of_the_whole_photo_shows_is_not_traced():
    for thickness, seen in ((5, False), (11, True)):
        truth = wire(1200, 1200, [(30, 600), (1170, 620)], thickness)
        found = traced(Seeing(truth), truth.shape, [Click(600, 610)], 0.5, MULTIPLE)
        assert (found is None) == seen


def test_a_leak_is_left_out():
    truth = wire(600, 1800, [(30, 300), (900, 300)])
    truth[:, 900:] = True
    found = mask_of(traced(Seeing(truth), truth.shape, [Click(200, 300)], 0.5, MULTIPLE))
    assert found[:, 200:700].any(axis=0).all()
    assert not found[:, 1000:].any()


def test_large_photos_are_traced_in_a_coarser_grid():
    truth = wire(3000, 4500, [(100, 2900), (4400, 100)], thickness=9)
    frame, view = traced(Seeing(truth), truth.shape, [Click(2250, 1500)], 0.5, MULTIPLE)
    assert frame.region.width == 2 * view.shape[1]
    found = mask_of((frame, view))
    assert np.count_nonzero(found & truth) > 0.8 * np.count_nonzero(found | truth)


@pytest.mark.parametrize("size", [(480, 320), (767, 767), (6000, 90)])
def test_small_photos_and_narrow_strips_are_none(size):
    network = Seeing(np.ones(size, bool))
    assert traced(network, size, [Click(10, 10)], 0.5, MULTIPLE) is None
    assert not network.calls


def test_negative_clicks_alone_trace_nothing():
    assert traced(Seeing(np.ones((900, 900), bool)), (900, 900), [Click(4, 4, False)], 0.5, MULTIPLE) is None


def test_clicks_are_shown_in_the_windows_that_they_are_in():
    truth = wire(500, 1600, [(20, 250), (1580, 250)])
    network = Seeing(truth)
    clicks = [Click(300, 250), Click(330, 300, False), Click(1500, 100, False)]
    traced(network, truth.shape, clicks, 0.5, MULTIPLE)
    # At the first click first it alone, then with the correction beside it; the new click stays the last.
    assert [call[2] for call in network.calls[:2]] == [(clicks[0],), (clicks[1], clicks[0])]
    for frame, _, shown, _ in network.calls[2:]:
        inside = {click for click in clicks if frame.region.including([click]) == frame.region}
        assert inside <= set(shown)
        assert set(shown[:-1]) <= set(clicks)
        assert shown[-1].positive


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(5, 1094), st.integers(5, 694)), min_size=2, max_size=5),
    st.integers(1, 5),
)
def test_what_is_found_is_part_of_the_wire_and_holds_the_click(points, thickness):
    truth = wire(700, 1100, points, thickness)
    click = Click(*points[0])
    runs = [traced(Seeing(truth), truth.shape, [click], 0.5, MULTIPLE) for _ in range(2)]
    if runs[0] is None:  # a wire that comes back so often that it fills its window
        assert runs[1] is None
        return
    first, second = map(mask_of, runs)
    assert np.array_equal(first, second)
    assert first[click.y, click.x]
    assert not (first & ~truth).any()


def test_the_width_of_bands():
    for rise in (0, 90, 200, 350):
        truth = wire(SIDE, SIDE, [(0, 20), (SIDE, 20 + rise)], thickness=6)
        length = np.hypot(SIDE, rise)
        assert width_of(truth) == pytest.approx(np.count_nonzero(truth) / length, rel=0.3)
    assert width_of(np.zeros((9, 9), bool)) == 0
    assert width_of(np.ones((9, 9), bool)) == np.inf
