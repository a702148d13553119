from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core.clicks import Click
from fcfi_core.errors import SettingsError
from fcfi_core.evaluation.clicker import Clicker, NearBorder, Scatter, UniformJitter, next_click

masks = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def squares(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((30, 40), np.bool_)
    for y1, x1, y2, x2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


NOTHING = squares()


def test_first_click_is_the_middle_of_the_object() -> None:
    assert next_click(NOTHING, squares((5, 5, 14, 16))) == Click(9, 9, True)


def test_deeper_error_wins_and_ties_go_to_the_negative_click() -> None:
    small, large = (2, 2, 7, 7), (15, 15, 24, 24)
    assert next_click(squares(large), squares(small)) == Click(19, 19, False)
    assert next_click(squares(small), squares(large)) == Click(19, 19, True)
    assert next_click(squares((2, 2, 7, 7)), squares((12, 12, 17, 17))) == Click(4, 4, False)


def test_outside_of_the_image_counts_as_correct() -> None:
    assert next_click(np.zeros((5, 9), np.bool_), np.ones((5, 9), np.bool_)) == Click(2, 2, True)


def test_ignored_pixels_are_no_error() -> None:
    wanted, ignored = squares((5, 5, 14, 14)), squares((5, 5, 14, 10))
    click = next_click(NOTHING, wanted, ignore=ignored)
    assert click is not None
    assert click.x >= 10
    assert next_click(NOTHING, wanted, ignore=wanted) is None


def test_never_clicks_one_pixel_twice_and_stops_when_all_are_clicked() -> None:
    wanted = squares((5, 5, 8, 8))
    clicker = Clicker(wanted)
    clicks = [clicker.next(NOTHING) for _ in range(9)]
    assert len(set(clicks)) == 9
    assert clicker.next(NOTHING) is None


def test_official_behaviour_clicks_the_corner_when_nothing_is_wrong() -> None:
    wanted = squares((5, 5, 8, 8))
    clicker = Clicker(wanted, stop_when_perfect=False)
    assert [clicker.next(wanted) for _ in range(3)] == [Click(0, 0, False)] * 3
    assert Clicker(wanted).next(wanted) is None


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_equals_the_rule_on_the_whole_image(data: st.DataObject) -> None:
    truth = data.draw(masks)
    prediction, ignore, free = (data.draw(arrays(np.bool_, truth.shape)) for _ in range(3))

    def depth(error: np.ndarray) -> np.ndarray:
        padded = np.pad((error & ~ignore).astype(np.uint8), 1)
        return cv2.distanceTransform(padded, cv2.DIST_L2, 0)[1:-1, 1:-1] * free

    missed, excess = depth(truth & ~prediction), depth(prediction & ~truth)
    positive = bool(missed.max() > excess.max())
    chosen = missed if positive else excess
    y, x = np.argwhere(chosen == chosen.max())[0]
    expected = Click(int(x), int(y), positive)
    assert next_click(prediction, truth, free, ignore, stop_when_perfect=False) == expected
    assert next_click(prediction, truth, free, ignore) == (expected if chosen.max() > 0 else None)


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(0, 12), st.integers(0, 5))
def test_jitter_stays_near_and_on_the_right_side(data: st.DataObject, pixels: int, seed: int) -> None:
    truth = data.draw(masks)
    prediction = data.draw(arrays(np.bool_, truth.shape))
    exact = next_click(prediction, truth)
    noise = UniformJitter(pixels)
    noisy = next_click(prediction, truth, noise=noise, random=np.random.default_rng(seed))
    if exact is None:
        assert noisy is None
        return
    assert noisy is not None
    assert noisy.positive == exact.positive == bool(truth[noisy.y, noisy.x])
    assert max(abs(noisy.x - exact.x), abs(noisy.y - exact.y)) <= pixels


def test_jitter_may_miss_when_asked() -> None:
    wanted = squares((10, 10, 13, 13))
    clicks = [Clicker(wanted, noise=UniformJitter(6, may_miss=True), seed=s).next(NOTHING) for s in range(30)]
    assert all(click is not None and click.positive for click in clicks)
    assert any(not wanted[click.y, click.x] for click in clicks if click is not None)


def test_near_border_clicks_the_rim_of_the_same_region() -> None:
    wanted = squares((2, 2, 25, 25), (2, 30, 8, 36))
    for seed in range(20):
        click = Clicker(wanted, noise=NearBorder(0.3), seed=seed).next(NOTHING)
        assert click is not None
        assert click.x < 25
        assert min(click.x - 1, click.y - 1, 25 - click.x, 25 - click.y) <= 0.3 * 12


def test_near_border_of_a_single_pixel_is_that_pixel() -> None:
    wanted = squares((3, 3, 4, 4))
    assert Clicker(wanted, noise=NearBorder(0.1)).next(NOTHING) == Click(3, 3, True)


@pytest.mark.parametrize(("centre", "stray", "shallowest"), [(1, 0, 12), (0, 0, 7), (0, 1, 1)])
def test_scattered_clicks_are_as_deep_as_asked(centre: float, stray: float, shallowest: int) -> None:
    wanted = squares((2, 2, 25, 25), (2, 30, 8, 36))
    scatter = Scatter(centre, stray, 0.5)
    clicks = [Clicker(wanted, noise=scatter, seed=seed).next(NOTHING) for seed in range(200)]
    depths = {min(c.x - 1, c.y - 1, 25 - c.x, 25 - c.y) for c in clicks if c is not None and c.x < 25}
    assert min(depths) == shallowest
    assert any(click is not None and click.x >= 25 for click in clicks) == bool(stray)


def test_same_seed_same_clicks() -> None:
    wanted = squares((2, 2, 25, 25))

    def clicks(seed: int) -> list[Click | None]:
        clicker = Clicker(wanted, noise=UniformJitter(8), seed=seed)
        return [clicker.next(NOTHING) for _ in range(5)]

    assert clicks(3) == clicks(3)
    assert clicks(3) != clicks(4)


def test_misuse_is_named() -> None:
    with pytest.raises(SettingsError, match=r"-1 pixels"):
        UniformJitter(-1)
    with pytest.raises(SettingsError, match=r"depth is 0"):
        NearBorder(0)
    with pytest.raises(SettingsError, match=r"scattered by 0, 2 and 0\.5"):
        Scatter(0, 2)
    with pytest.raises(SettingsError, match="random generator"):
        next_click(NOTHING, squares((3, 3, 9, 9)), noise=UniformJitter(2))
