"""An annotator who may choose among the answers to the first click."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fcfi_core.evaluation.choosing import WORTH_A_CLICK, Chooser, ChoosingSession
from fcfi_core.predictor import Predictor


def rows(count):
    mask = np.zeros((100, 10), bool)
    mask[:count] = True
    return SimpleNamespace(mask=mask)


class Choices:
    """Stands in for a session: the answers are so many rows each, the first is given."""

    def __init__(self, *counts):
        answers = tuple(map(rows, counts))
        self.result = SimpleNamespace(mask=answers[0].mask, candidates=answers)

    def choose(self, index):
        return self.result.candidates[index]


def test_a_better_answer_is_taken_and_a_little_better_one_is_not():
    truth = rows(80).mask
    best, taken = ChoosingSession(Choices(40, 76, 20)).better(truth, None)
    assert best == pytest.approx(0.95)
    assert taken.mask.sum() == 760
    best, taken = ChoosingSession(Choices(76, 79, 20)).better(truth, None)
    assert best == pytest.approx(79 / 80)
    assert WORTH_A_CLICK > 3 / 80
    assert taken is None


def test_pixels_to_ignore_do_not_count():
    ignore = ~rows(50).mask
    best, taken = ChoosingSession(Choices(50, 80)).better(rows(80).mask, ignore)
    assert (best, taken) == (1.0, None)


def test_it_segments_like_the_predictor(colour_model, disc):
    picture, _ = disc
    pixels = np.asarray(picture)
    predictor = Predictor(colour_model)
    chooser = Chooser(predictor)
    assert chooser.protocol is predictor.protocol
    assert np.array_equal(chooser.open(pixels).click(64, 60).mask, predictor.open(pixels).click(64, 60).mask)
