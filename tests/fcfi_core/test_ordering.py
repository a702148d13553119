"""The order of split clicks: recovered where the masks tell it, and a function of the request alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core import ordering
from fcfi_core.clicks import Box, Click
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.images import load
from fcfi_core.ordering import ordered, positive_is_next
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt


def split(clicks):
    return tuple(c for c in clicks if c.positive), tuple(c for c in clicks if not c.positive)


@pytest.fixture
def predictor(colour_model):
    return Predictor(colour_model)


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
    positive = (Click(64, 60), Click(80, 60), Click(60, 40))
    negative = (Click(150, 8, False), Click(5, 5, False))
    found = ordered(predictor.recurrence, image, Prompt((*negative, *positive)))
    assert split(found.clicks) == (positive, negative)
    assert found.clicks[0].positive


def test_the_order_of_a_correcting_annotator_is_found(predictor, colour_model):
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
    positive, negative = split(session.clicks)
    assert positive
    assert negative
    found = ordered(Predictor(colour_model).recurrence, image, Prompt((*positive, *negative)))
    assert found.clicks == session.clicks


points = st.tuples(st.integers(0, 159), st.integers(0, 119))


@settings(deadline=None, max_examples=30)
@given(st.lists(points, min_size=1, max_size=5), st.lists(points, max_size=5), st.booleans(), st.data())
def test_what_a_worker_saw_before_changes_nothing(colour_model, disc, positive, negative, boxed, data):
    image = load(np.asarray(disc[0]))
    left = [Click(*place) for place in positive]
    right = [Click(*place, False) for place in negative]
    start = Prompt(box=Box(26, 21, 101, 99)) if boxed else Prompt()
    worker, fresh = Predictor(colour_model), Predictor(colour_model, memo_bytes=0)
    lengths = st.tuples(st.integers(0, len(left)), st.integers(0, len(right)))
    for shown_left, shown_right in data.draw(st.lists(lengths, max_size=4)):
        seen = start.with_clicks((*left[:shown_left], *right[:shown_right]))
        ordered(worker.recurrence, image, seen)
    asked = start.with_clicks((*left, *right))
    assert ordered(worker.recurrence, image, asked) == ordered(fresh.recurrence, image, asked)


class Counted:
    """Counts the calls of a function and passes them on."""

    def __init__(self, function):
        self._function = function
        self.calls = 0

    def __call__(self, *arguments, **named):
        self.calls += 1
        return self._function(*arguments, **named)


def shared(clicks, before):
    """Return how many clicks both lists begin with."""
    differing = (
        number for number, (one, other) in enumerate(zip(clicks, before, strict=False)) if one != other
    )
    return next(differing, min(len(clicks), len(before)))


def test_one_more_click_costs_no_more_than_its_passes(colour_model, image, monkeypatch):
    """However many there are before it: the cost of a click is counted, not timed."""
    predictor = Predictor(colour_model)
    passes = Counted(predictor.recurrence.advance)
    decisions = Counted(positive_is_next)
    monkeypatch.setattr(predictor.recurrence, "advance", passes)
    monkeypatch.setattr(ordering, "positive_is_next", decisions)
    places = np.random.default_rng(1).integers(0, 119, (40, 2)).tolist()
    clicks = [Click(x, y, number % 3 != 2) for number, (x, y) in enumerate(places)]
    before: tuple[Click, ...] = ()
    decided = made = 0
    for count in range(1, len(clicks) + 1):
        passes.calls = decisions.calls = 0
        positive, negative = split(clicks[:count])
        asked = Prompt((*positive, *negative))
        found = ordered(predictor.recurrence, image, asked)
        predictor.answer(image, found)
        new = count - shared(found.clicks, before)
        assert passes.calls == new
        decided, made = decided + decisions.calls, made + new
        before = found.clicks
    assert decided <= 1.5 * made  # a click may be weighed against those that its list had run out before
    passes.calls = decisions.calls = 0
    assert ordered(predictor.recurrence, image, asked) == found
    predictor.answer(image, found)
    assert passes.calls == decisions.calls == 0


def test_very_many_clicks_are_thinned_block_by_block():
    clicks = tuple(Click(number, 0) for number in range(200))
    assert ordering.thinned(clicks[:50]) == clicks[:50]
    before: tuple[Click, ...] = ()
    shared = 0
    for count in range(1, 201):
        kept = ordering.thinned(clicks[:count])
        assert kept[0] == clicks[0]
        assert kept[-1] == clicks[count - 1]
        assert len(kept) <= 50
        shared += kept[: len(before)] == before
        before = kept
    assert shared == 200 - 150 // 25


def test_the_decision_is_recorded():
    assert "docs/decisions/" in (ordering.__doc__ or "")
