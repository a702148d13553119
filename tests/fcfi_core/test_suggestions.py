"""Where one more click is worth most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fcfi_core import Click, Predictor
from fcfi_core.datasets.samples import Sample
from fcfi_core.evaluation.answering import Answerer
from fcfi_core.evaluation.benchmark import Rules, trace
from fcfi_core.geometry import Frame
from fcfi_core.regions import Region
from fcfi_core.suggestions import doubts, suggestion

SIZE = (60, 80)
WHOLE = Frame.of(Region.whole(*SIZE), SIZE, target=None)


def view_with(*parts):
    """A sure view but for squares of some probability: (row, column, half side, probability)."""
    view = np.full(WHOLE.size, 0.01, np.float32)
    view[20:40, 30:50] = 0.99
    for row, column, half, probability in parts:
        view[row - half : row + half + 1, column - half : column + half + 1] = probability
    return view


def test_the_middle_of_the_largest_doubt_is_asked_for():
    place = suggestion(view_with((10, 10, 2, 0.45), (50, 60, 6, 0.4), (30, 40, 1, 0.6)), 0.5, WHOLE, [])
    assert (place.x, place.y, place.positive) == (60, 50, False)
    inside = suggestion(view_with((30, 40, 5, 0.6)), 0.5, WHOLE, [])
    assert (inside.x, inside.y, inside.positive) == (40, 30, True)
    assert inside.answered(False) == Click(40, 30, False)


def test_a_stronger_doubt_of_the_same_size_goes_first():
    place = suggestion(view_with((10, 10, 4, 0.15), (50, 60, 4, 0.45)), 0.5, WHOLE, [])
    assert (place.x, place.y) == (60, 50)


def test_nothing_is_asked_for_where_nothing_is_doubtful_or_all_was_clicked():
    assert suggestion(view_with(), 0.5, WHOLE, []) is None
    assert suggestion(view_with((10, 10, 2, 0.45)), 0.5, WHOLE, [Click(10, 10, False)]) is None
    assert suggestion(view_with((10, 10, 4, 0.45)), 1.0, WHOLE, []) is None


def test_where_the_answers_to_choose_from_disagree_is_asked_for():
    part, whole = np.zeros(WHOLE.size, bool), np.zeros(WHOLE.size, bool)
    part[20:40, 30:50] = whole[20:40, 30:80] = True
    place = suggestion(view_with((10, 10, 2, 0.45)), 0.5, WHOLE, [Click(40, 30)], [part, whole])
    assert place.x >= 50
    assert 20 <= place.y < 40
    agreed = suggestion(view_with((10, 10, 2, 0.45)), 0.5, WHOLE, [Click(40, 30)], [part, part])
    assert (agreed.x, agreed.y) == (10, 10)


def test_places_are_pixels_of_the_image():
    image_size = (400, 600)
    frame = Frame.of(Region(100, 299, 200, 399), image_size, target=50)
    view = np.full(frame.size, 0.02, np.float32)
    view[10:21, 30:41] = 0.4
    place = suggestion(view, 0.5, frame, [])
    assert abs(place.x - (200 + 4 * 35)) <= 4
    assert abs(place.y - (100 + 4 * 15)) <= 4
    asked = suggestion(view, 0.5, frame, [Click(place.x, place.y)])
    assert asked is None or (asked.x, asked.y) != (place.x, place.y)


@given(
    arrays.arrays(np.float32, WHOLE.size, elements=st.floats(0, 1, width=32), fill=st.just(np.float32(0.5))),
    st.floats(0.01, 0.99),
    st.lists(st.tuples(st.integers(0, 79), st.integers(0, 59)), max_size=5),
)
def test_any_view_gives_a_pixel_of_the_image_or_nothing(view, threshold, clicks):
    doubt = doubts(view, threshold)
    assert (doubt >= 0).all()
    assert (doubt <= 0.5 + 1e-6).all()
    place = suggestion(view, threshold, WHOLE, [Click(x, y) for x, y in clicks])
    if place is not None:
        assert 0 <= place.x < 80
        assert 0 <= place.y < 60
        assert place.worth > 0
        assert place.positive == bool(view[place.y, place.x] > threshold)
        assert all(max(abs(place.x - x), abs(place.y - y)) > 3 for x, y in clicks)


@pytest.fixture
def truth_of_disc(disc):
    return Sample("set", "disc", 1, np.asarray(disc[0]), disc[1])


def test_an_annotator_who_only_answers(tiny_model, truth_of_disc):
    predictor = Predictor(tiny_model)
    rules = Rules(max_clicks=5, boundaries=False, all_clicks=True)
    found, _ = trace(Answerer(predictor), truth_of_disc, rules)
    session = predictor.open(truth_of_disc.loaded)
    free, _ = trace(predictor, truth_of_disc, rules)
    assert found.clicks[0] == free.clicks[0]
    result = session.click(found.clicks[0].x, found.clicks[0].y)
    for click in found.clicks[1:]:
        place = result.suggestion
        assert click == place.answered(bool(truth_of_disc.truth[place.y, place.x]))
        result = session.click(click.x, click.y, click.positive)
