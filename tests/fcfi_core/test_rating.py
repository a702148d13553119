"""What answers look like, what that says of their worth, and which of them is given."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fcfi_core.engines.base import Encoded, Maps
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.model import load_model
from fcfi_core.predictor import Predictor
from fcfi_core.rating import FEATURES, Rating, described, likeliest

SIZE = 40, 50
COUNT = 3
PLACE = 20, 25


def filled(rows, columns, value=0.9, size=SIZE):
    probability = np.zeros(size, np.float32)
    probability[rows, columns] = value
    return probability


def named(row):
    return dict(zip(FEATURES, row, strict=False))


def test_a_filled_rectangle_is_described_by_its_shape():
    found = described([filled(np.s_[10:30], np.s_[15:35])], PLACE, 0.5)
    assert found.shape == (1, len(FEATURES) + 1)
    told = named(found[0])
    assert told["expected"] == pytest.approx(0.9)
    assert told["inside"] == pytest.approx(0.9)
    assert np.exp(told["area"]) == pytest.approx(400 / 2000, abs=1e-3)
    assert told["largest"] == told["filled"] == 1
    assert told["border"] == told["undecided"] == 0
    assert told["extent"] == pytest.approx(400 / 2000)
    assert told["eccentric"] < 0.05
    assert told["depth"] > 0.9
    assert found[0, -1] == 1, "it agrees with itself"


def test_pieces_at_the_border_far_from_the_click_say_so():
    probability = np.zeros(SIZE, np.float32)
    probability[:5, :5] = probability[35:, 45:] = 0.6
    told = named(described([probability], (2, 2), 0.5)[0])
    assert told["largest"] == pytest.approx(0.5)
    assert told["border"] > 0.1
    assert told["eccentric"] > 1
    assert told["undecided"] == pytest.approx(1)
    assert told["filled"] < 0.1


def test_answers_are_compared_with_each_other():
    left, both = filled(np.s_[:], np.s_[:25]), filled(np.s_[:], np.s_[:])
    found = described([left, both, filled(np.s_[0:0], np.s_[0:0])], PLACE, 0.5)
    assert found[:, -3:] == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]))


probabilities = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.floats(0, 1, width=32)
)


@given(probabilities, st.floats(0, 0.999), st.floats(0, 0.999))
def test_whatever_the_answer_its_description_is_finite(probability, down, along):
    height, width = probability.shape
    nothing = np.zeros_like(probability)
    found = described([probability, nothing], (int(down * height), int(along * width)), 0.49)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def a_rating():
    """Fitted to answers whose worth is the seventh of their numbers."""
    descriptions = np.random.default_rng(0).random((400, COUNT, len(FEATURES) + COUNT), np.float32)
    return Rating.fitted(descriptions, descriptions[:, :, 6].astype(np.float64)), descriptions


def test_what_can_be_learnt_is_learnt():
    rating, descriptions = a_rating()
    assert rating.count == COUNT
    assert np.abs(rating.expected(descriptions) - descriptions[:, :, 6]).mean() < 0.05


def test_numbers_beyond_all_that_was_seen_lead_no_farther():
    rating, descriptions = a_rating()
    far = descriptions.copy()
    far[:, :, 6], descriptions[:, :, 6] = 1e6, 1e3
    assert np.allclose(rating.expected(far), rating.expected(descriptions))


def test_the_usual_answer_is_given_unless_another_is_worth_clearly_more():
    worth = np.array([[0.5, 0.52, 0.4], [0.5, 0.54, 0.6], [0.5, 0.6, 0.55], [0.9, 0.1, 0.1]])
    assert likeliest(worth).tolist() == [0, 2, 1, 0]


def test_numbers_that_never_change_say_nothing():
    rating, descriptions = a_rating()
    descriptions[:, 0, 2] = 0.5
    rating = Rating.fitted(descriptions, descriptions[:, :, 6].astype(np.float64))
    other = descriptions.copy()
    other[:, 0, 2] = 0.9
    assert np.allclose(rating.expected(descriptions), rating.expected(other))


@given(probabilities)
def test_every_answer_is_worth_something_between_0_and_1(probability):
    rating, _ = a_rating()
    views = [probability, np.ones_like(probability), np.zeros_like(probability)]
    (found,) = rating.expected(described(views, (0, 0), 0.49)[None])
    assert found.shape == (COUNT,)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_rating_survives_the_header():
    rating, descriptions = a_rating()
    again = Rating.from_dict(json.loads(json.dumps(rating.to_dict())))
    assert np.allclose(again.expected(descriptions), rating.expected(descriptions), atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"features": ["other"]},
        {"offset": [0.5]},
        {"weights": "no"},
        {"weights": [[float("nan")] * COUNT] * COUNT * (len(FEATURES) + COUNT)},
        {"deviation": [0.0] * COUNT * (len(FEATURES) + COUNT)},
        {"mean": None},
    ],
)
def test_what_is_no_rating_is_refused(change):
    stated = {**a_rating()[0].to_dict(), **change}
    with pytest.raises(SettingsError, match="rating cannot be used"):
        Rating.from_dict(stated)


@pytest.mark.parametrize("stated", [None, [], 3, {}])
def test_neither_is_anything_else(stated):
    with pytest.raises(SettingsError, match="rating cannot be used"):
        Rating.from_dict(stated)


class Several:
    """Stands in for a network that knows a smaller and a larger answer by itself."""

    name, version, device, threads, size_multiple = "several", "1", "cpu", 1, 1
    other_answers = COUNT - 1

    def __init__(self):
        self.passes = []

    def encode(self, images):
        self.passes.append("encode")
        return Encoded(images, images.nbytes)

    def decode(self, encoded, feedback, points, new_points, gate):
        self.passes.append("decode")
        logits = np.full(feedback.shape, -4, np.float32)
        height, width = feedback.shape[1:]
        logits[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 4
        return Maps(logits, logits, logits)

    def first_answers(self, encoded, size, points, new_points):
        self.passes.append("first")
        height, width = size
        logits = np.full((1, COUNT, height, width), -4, np.float32)
        for index, part in enumerate((4, 3, 8)):
            logits[0, index, height // part : -(height // part), width // part : -(width // part)] = 4
        return logits


def preferring(index):
    """Return a rating by which answer ``index`` is worth .8, the one before it .6, and the last .4."""
    size = COUNT * (len(FEATURES) + COUNT)
    offset = np.roll([0.8, 0.4, 0.6], index)
    return Rating(np.zeros(size), np.ones(size), np.zeros((size, COUNT)), offset)


@pytest.fixture
def predictor_preferring(colour_model):
    def made(index):
        rating = None if index is None else preferring(index)
        return Predictor(replace(colour_model, engine=Several(), digest=f"{index}" * 8, rating=rating))

    return made


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize(("index", "share"), [(0, 1 / 4), (1, 1 / 9), (2, 9 / 16)])
def test_the_likeliest_answer_is_given_with_what_it_is_worth(predictor_preferring, pixels, index, share):
    predictor = predictor_preferring(index)
    result = predictor.segment(pixels, [(80, 60)])
    assert result.mask.mean() == pytest.approx(share, abs=0.03)
    assert result.confidence == pytest.approx(0.8)
    assert predictor.model.engine.passes == ["encode", "first"], "one look at the photo, and one answer to it"


def test_without_a_rating_the_usual_answer_is_given(predictor_preferring, pixels):
    predictor = predictor_preferring(None)
    result = predictor.segment(pixels, [(80, 60)])
    assert result.mask.mean() == pytest.approx(1 / 4, abs=0.03)
    assert result.confidence > 0.9
    assert predictor.model.engine.passes == ["encode", "decode"]


def test_a_further_click_on_the_same_place_goes_on_from_the_likeliest(predictor_preferring, pixels):
    session = predictor_preferring(2).open(pixels)
    first = session.click(80, 60)
    answers = first.candidates
    assert [int(answer.mask.sum()) for answer in answers] == sorted(
        (int(answer.mask.sum()) for answer in answers), reverse=True
    )
    assert np.array_equal(answers[0].mask, first.mask)
    assert answers[0].confidence == first.confidence
    assert {round(answer.confidence, 1) for answer in answers} >= {0.8, 0.6, 0.4}
    assert np.array_equal(session.click(80, 60).mask, answers[1].mask)
    assert np.array_equal(session.undo().mask, first.mask)


def test_corrections_go_on_from_the_likeliest_answer(predictor_preferring, pixels):
    plain = predictor_preferring(2)
    clicks = [(80, 60), (20, 20, False)]
    corrected = plain.segment(pixels, clicks)
    assert corrected.frame != predictor_preferring(1).segment(pixels, clicks).frame
    assert np.array_equal(plain.segment(pixels, clicks).mask, corrected.mask)
    assert np.array_equal(predictor_preferring(2).segment(pixels, clicks).mask, corrected.mask)


@pytest.mark.parametrize("start", [{"box": (40, 30, 120, 90)}, {"clicks": [(80, 60), (90, 60)]}])
def test_only_a_first_click_is_rated(predictor_preferring, pixels, start):
    result = predictor_preferring(1).segment(pixels, **{"clicks": (), **start})
    assert result.rated is None
    assert result.confidence > 0.9


def test_negative_clicks_before_the_first_positive_one_change_nothing_in_that(predictor_preferring, pixels):
    result = predictor_preferring(1).segment(pixels, [(5, 5, False), (80, 60)])
    assert result.rated == pytest.approx(0.8)


def test_a_model_keeps_its_rating_on_the_way_to_another_process(colour_model):
    model = pickle.loads(pickle.dumps(replace(colour_model, engine=Several(), rating=preferring(1))))
    assert np.array_equal(model.rating.offset, preferring(1).offset)


def test_the_default_knows_what_its_answers_are_worth():
    model = load_model("default", threads=1)
    assert model.rating.count == model.engine.other_answers + 1
    sample = np.zeros((200, 300, 3), np.uint8)
    sample[60:140, 100:200] = 200
    result = Predictor(model).segment(sample, [(150, 100)])
    assert result.rated is not None
    assert result.mask[70:130, 110:190].mean() > 0.9


def test_a_header_with_half_a_rating_is_refused(tmp_path):
    from fcfi_core.checkpoints.catalogue import resolve
    from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint

    checkpoint = read_checkpoint(resolve("default"))
    path = tmp_path / "half.safetensors"
    write_checkpoint(path, checkpoint.state, {**checkpoint.header, "rating": {"features": []}})
    with pytest.raises(WeightsError, match=r"header of .* is wrong: the rating"):
        load_model(path)
    size = 2 * (len(FEATURES) + 2)
    two = Rating(np.zeros(size), np.ones(size), np.zeros((size, 2)), np.zeros(2))
    write_checkpoint(path, checkpoint.state, {**checkpoint.header, "rating": two.to_dict()})
    with pytest.raises(WeightsError, match="it rates 2 answers of a network that has 3"):
        load_model(path)
