"""Several answers to one click: which there are, and how clicks choose among them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.candidates import distinct, is_cut, part_under
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.geometry import Frame
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.protocol import parity
from fcfi_core.regions import Region
from fcfi_core.rules import State

CLICK = Click(64, 60)


def state(region, probability):
    height, width = probability.shape
    frame = Frame(region, height, width, 80, 100)
    return State(frame, probability, probability, probability, None)


def filled(region, rows, columns):
    probability = np.zeros((40, 50), np.float32)
    probability[rows, columns] = 0.9
    return state(region, probability)


def test_only_the_part_under_the_click_stays():
    whole = filled(Region.whole(80, 100), np.s_[5:10], np.s_[5:10])
    whole.probability[20:30, 20:30] = 0.8
    found = part_under(whole, Click(50, 50), 0.5)
    assert found.probability[25, 25] == np.float32(0.8)
    assert not found.probability[5:10, 5:10].any()
    assert part_under(whole, Click(99, 79), 0.5) is whole


def test_answers_are_ordered_by_size_and_equal_ones_merged():
    whole, part = Region.whole(80, 100), Region(20, 59, 25, 74)
    large = filled(whole, np.s_[5:35], np.s_[5:45])
    small = filled(whole, np.s_[15:25], np.s_[20:30])
    small_again = filled(part, np.s_[10:30], np.s_[15:35])
    empty = filled(part, np.s_[0:0], np.s_[0:0])
    assert distinct([small, small_again, large, empty], 0.5) == (2, 0)
    assert distinct([empty, large], 0.5) == (1, 0)


@pytest.mark.parametrize(
    ("rows", "columns", "cut"),
    [
        (np.s_[5:35], np.s_[5:45], False),
        (np.s_[0:35], np.s_[5:45], True),
        (np.s_[5:35], np.s_[0:45], False),  # where the photo itself ends
        (np.s_[5:40], np.s_[5:45], True),
        (np.s_[5:35], np.s_[5:50], True),
    ],
)
def test_an_answer_is_cut_where_its_look_ends_inside_the_photo(rows, columns, cut):
    assert is_cut(filled(Region(20, 59, 0, 49), rows, columns), (80, 100), 0.5) is cut
    assert not is_cut(filled(Region.whole(80, 100), rows, columns), (80, 100), 0.5)


@pytest.fixture
def predictor(colour_model):
    return Predictor(colour_model)


@pytest.fixture(scope="module")
def nested():
    """A ring of one red around a disc of another: is the disc meant, or both?"""
    rows, columns = np.mgrid[:120, :160]
    distance = np.hypot(columns - 64, rows - 60)
    pixels = np.full((120, 160, 3), (60, 55, 45), np.uint8)
    pixels[distance <= 40] = (190, 70, 50)
    pixels[distance <= 12] = (215, 60, 40)
    return pixels


class Scales:
    """Stands in for a network that marks the middle half of whatever it sees."""

    name, version, device, threads, size_multiple = "scales", "1", "cpu", 1, 1

    def encode(self, images):
        from fcfi_core.engines.base import Encoded

        return Encoded(images, images.nbytes)

    def decode(self, encoded, feedback, points, new_points, gate):
        from fcfi_core.engines.base import Maps

        logits = np.full(feedback.shape, -4, np.float32)
        height, width = feedback.shape[1:]
        logits[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 4
        return Maps(logits, logits, logits)


@pytest.fixture
def scales(colour_model):
    from dataclasses import replace

    return Predictor(replace(colour_model, engine=Scales(), digest="1" * 64))


class Several(Scales):
    """Stands in for a network that knows a smaller and a larger answer by itself."""

    other_answers = 2

    def __init__(self):
        self.encoded = 0

    def encode(self, images):
        self.encoded += 1
        return super().encode(images)

    def first_answers(self, encoded, size, points, new_points):
        height, width = size
        logits = np.full((1, 3, height, width), -4, np.float32)
        logits[0, 0, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 4
        logits[0, 1, height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 4
        logits[0, 1, :3, :3] = 4  # a part that the click is not on
        logits[0, 2, 5:-5, 5:-5] = 4
        return logits


def test_a_network_that_knows_other_answers_looks_again_at_small_things_alone(colour_model, nested):
    from dataclasses import replace

    engine = Several()
    predictor = Predictor(replace(colour_model, engine=engine, digest="2" * 64))
    session = predictor.open(nested)
    first = session.click(80, 60)
    looked = engine.encoded
    areas = [int(answer.mask.sum()) for answer in first.candidates]
    assert len(areas) == 4
    assert areas == sorted(areas, reverse=True)
    assert np.array_equal(first.candidates[1].mask, first.mask)
    assert not first.candidates[2].mask[:20, :20].any()
    assert areas[3] == pytest.approx(areas[1] / 16, rel=0.2), "the middle half of a quarter of the image"
    assert engine.encoded == looked + 1
    assert np.array_equal(session.click(80, 60).mask, first.candidates[2].mask)
    assert engine.encoded == looked + 1


class Bright(Scales):
    """Stands in for a network that marks what is bright in whatever it sees."""

    def decode(self, encoded, feedback, points, new_points, gate):
        from fcfi_core.engines.base import Maps

        logits = np.where(encoded.value[..., 0] > 0.5, 4, -4).astype(np.float32)
        return Maps(logits, logits, logits)


def test_no_answer_ends_straight_where_its_look_ended(colour_model):
    """A bar longer than a quarter of the photo: the look at this quarter sees a piece of it."""
    from dataclasses import replace

    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[56:64, 40:120] = 255
    predictor = Predictor(replace(colour_model, engine=Bright(), digest="3" * 64))
    (answer,) = predictor.segment(pixels, [(80, 60)]).candidates
    assert answer.box.width == 80


def test_three_looks_give_three_answers(scales, nested):
    session = scales.open(nested)
    first = session.click(80, 60)
    areas = [int(answer.mask.sum()) for answer in first.candidates]
    assert len(areas) == 3
    assert areas == sorted(areas, reverse=True)
    assert np.array_equal(first.candidates[0].mask, first.mask)


def test_a_repeated_click_asks_for_the_next_smaller_answer_round_and_round(scales, nested):
    session = scales.open(nested)
    first = session.click(80, 60)
    for answer in (*first.candidates[1:], first.candidates[0]):
        again = session.click(80, 61)
        assert np.array_equal(again.mask, answer.mask)
        assert again.confidence == answer.confidence
    assert np.array_equal(session.undo().mask, first.candidates[2].mask)


def test_choosing_is_clicking(scales, nested):
    session = scales.open(nested)
    answers = session.click(80, 60).candidates
    assert [len(answer.clicks) for answer in answers] == [1, 2, 3]
    for index in (2, 0, 1, 1):
        assert np.array_equal(session.choose(index).mask, answers[index].mask)
        pairs = zip(session.result.candidates, answers, strict=True)
        assert all(np.array_equal(one.mask, other.mask) for one, other in pairs)
    assert session.clicks == (Click(80, 60), Click(80, 60))
    with pytest.raises(PromptError, match="answer 3"):
        session.choose(3)
    assert session.clicks == (Click(80, 60), Click(80, 60))


def test_undo_takes_back_one_act_whether_it_was_a_click_or_a_choice(scales, nested):
    session = scales.open(nested)
    answers = session.click(80, 60).candidates
    session.choose(2)
    assert len(session.clicks) == 3
    assert np.array_equal(session.undo().mask, answers[0].mask)
    session.choose(2)
    session.choose(0)  # fewer clicks than before
    assert np.array_equal(session.undo().mask, answers[2].mask)
    session.choose(2)  # the one that is there: nothing to undo
    assert np.array_equal(session.undo().mask, answers[0].mask)
    assert session.undo() is None
    with pytest.raises(PromptError, match="no click to undo"):
        session.undo()


def test_clicking_again_on_the_same_place_is_an_act_each(scales, nested):
    session = scales.open(nested)
    answers = session.click(80, 60).candidates
    for _ in range(2):
        session.click(80, 60)
    assert np.array_equal(session.undo().mask, answers[1].mask)
    assert np.array_equal(session.undo().mask, answers[0].mask)


def test_clicks_go_on_from_the_chosen_answer(scales, nested):
    corrected = scales.segment(nested, [(80, 60), (80, 60), (84, 100, False)])
    plain = scales.segment(nested, [(80, 60), (84, 100, False)])
    assert corrected.frame != plain.frame


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt((CLICK, Click(20, 20, positive=False))),
        Prompt((CLICK, Click(90, 60))),
        Prompt((CLICK,), Box(20, 20, 100, 100)),
        Prompt((Click(3, 3, positive=False),)),
    ],
)
def test_where_there_is_nothing_to_choose_the_answer_stands_alone(predictor, nested, prompt):
    result = predictor.answer(nested, prompt)
    assert [np.array_equal(answer.mask, result.mask) for answer in result.candidates] == [True]


def test_official_rules_know_no_choice(colour_model, nested):
    predictor = Predictor(colour_model, protocol=parity())
    twice = predictor.segment(nested, [CLICK, CLICK])
    assert len(predictor.segment(nested, [CLICK]).candidates) == 1
    assert twice.candidates[0].mask.shape == (120, 160)


@given(st.lists(st.tuples(st.integers(60, 68), st.integers(56, 64), st.booleans()), min_size=1, max_size=6))
def test_a_choice_is_a_function_of_the_prompt(colour_model, nested, clicks):
    remembering, forgetting = Predictor(colour_model), Predictor(colour_model, memo_bytes=0)
    session = remembering.open(nested)
    for click in clicks:
        result = session.click(*click)
    again = forgetting.segment(nested, clicks)
    assert np.array_equal(result.probability, again.probability)
    assert np.array_equal(result.mask, again.mask)


def test_an_answer_can_be_sent_to_another_process(predictor, nested):
    result = predictor.segment(nested, [CLICK])
    there = pickle.loads(pickle.dumps(result))
    assert np.array_equal(there.mask, result.mask)
    assert len(there.candidates) == 1


@pytest.mark.parametrize(
    ("clicks", "repeated"),
    [
        ([(64, 60)], range(0)),
        ([(64, 60), (65, 61)], range(1, 2)),
        ([(3, 3, False), (64, 60), (64, 60), (66, 60), (64, 63)], range(2, 4)),
        ([(64, 60), (64, 60, False)], range(1, 1)),
        ([(64, 60), (90, 60), (64, 60)], range(1, 1)),
    ],
)
def test_which_clicks_are_repetitions(clicks, repeated):
    assert list(Prompt.of(clicks).repetitions(120, 160)) == list(repeated)
