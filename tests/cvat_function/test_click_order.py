"""The order of split clicks: recovered where the masks tell it, and a function of the request alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvat_function import click_order
from cvat_function.click_order import positive_is_next, replay, segment
from cvat_function.request import Prompts
from cvat_function.settings import Settings
from fcfi_core.clicks import Box, Click
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.images import load
from fcfi_core.predictor import Predictor


def split(clicks):
    return tuple(c for c in clicks if c.positive), tuple(c for c in clicks if not c.positive)


@pytest.fixture
def image(disc):
    return load(np.asarray(disc[0]))


class Known:
    """A result with given depths."""

    def __init__(self, depths):
        self._depths = depths

    def depth_at(self, click):
        return self._depths[click]


LEFT, RIGHT = Click(1, 1), Click(2, 2, False)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (-9, -9, True),  # the object is missed there: that is why it was clicked
        (9, 9, False),  # the mask runs over there
        (-9, 5, True),  # both are wrong: the greater error
        (-5, 9, False),
        (5, -9, True),  # neither is wrong: the one nearer to being so
        (-5, 5, True),  # a tie
        (-np.inf, -np.inf, True),  # an empty mask
        (np.inf, np.inf, False),  # the whole picture
    ],
)
def test_the_click_deeper_on_the_wrong_side_is_next(left, right, expected):
    assert positive_is_next(Known({LEFT: left, RIGHT: right}), LEFT, RIGHT) is expected


def test_without_a_mask_the_positive_click_is_first():
    assert positive_is_next(None, LEFT, RIGHT)


def test_each_list_keeps_its_order(predictor, image):
    session = predictor.open(image)
    positive = (Click(64, 60), Click(80, 60), Click(60, 40))
    negative = (Click(150, 8, False), Click(5, 5, False))
    replay(session, positive, negative)
    assert split(session.clicks) == (positive, negative)
    assert session.clicks[0].positive


def test_the_order_of_a_correcting_annotator_is_found(predictor):
    """Two bright bars and a dim one between: the annotator clicks where the mask is wrong."""
    pixels = np.full((60, 100, 3), 30, np.uint8)
    pixels[10:50, 10:30], pixels[10:50, 70:90], pixels[10:50, 40:60] = 220, 150, 190
    image = load(pixels)
    truth = np.zeros((60, 100), bool)
    truth[10:50, 10:30] = truth[10:50, 70:90] = True
    annotator, session, mask = Clicker(truth), predictor.open(image), np.zeros_like(truth)
    for _ in range(5):
        click = annotator.next(mask)
        if click is None:
            break
        mask = session.click(click.x, click.y, click.positive).mask
    merged = predictor.open(image)
    replay(merged, *split(session.clicks))
    assert {click.positive for click in session.clicks} == {True, False}
    assert merged.clicks == session.clicks


points = st.tuples(st.integers(0, 159), st.integers(0, 119))


@settings(deadline=None, max_examples=20)
@given(st.lists(points, min_size=1, max_size=4), st.lists(points, max_size=4))
def test_what_a_worker_saw_before_changes_nothing(model, disc, positive, negative):
    image = load(np.asarray(disc[0]))
    prompts = Prompts(tuple(Click(*p) for p in positive), tuple(Click(*p, False) for p in negative))
    worker, fresh = Predictor(model), Predictor(model, memo_bytes=0)
    for count in range(1, len(positive) + 1):
        segment(worker, image, Prompts(prompts.positive[:count], prompts.negative), Settings())
    first = segment(worker, image, prompts, Settings())
    again = segment(fresh, image, prompts, Settings())
    assert np.array_equal(first.mask, again.mask)
    assert first.confidence == again.confidence


def test_very_many_clicks_are_thinned_block_by_block():
    clicks = tuple(Click(number, 0) for number in range(200))
    assert click_order.thinned(clicks[:50]) == clicks[:50]
    before: tuple[Click, ...] = ()
    shared = 0
    for count in range(1, 201):
        kept = click_order.thinned(clicks[:count])
        assert kept[0] == clicks[0]
        assert kept[-1] == clicks[count - 1]
        assert len(kept) <= 50
        shared += kept[: len(before)] == before
        before = kept
    assert shared == 200 - 150 // 25


def test_a_box_alone_is_enough(predictor, image, disc):
    found = segment(predictor, image, Prompts(box=Box(26, 21, 101, 99)), Settings())
    assert (found.mask & disc[1]).sum() > 0.9 * disc[1].sum()


def test_specks_can_be_dropped(predictor, disc):
    pixels = np.asarray(disc[0]).copy()
    pixels[5:8, 150:153] = (210, 60, 40)
    prompts = Prompts((Click(64, 60),))
    kept = segment(predictor, load(pixels), prompts, Settings())
    cleaned = segment(predictor, load(pixels), prompts, Settings(min_area=20))
    assert kept.mask[6, 151]
    assert not cleaned.mask[6, 151]


def test_the_decision_is_recorded():
    assert "docs/decisions/" in (click_order.__doc__ or "")
