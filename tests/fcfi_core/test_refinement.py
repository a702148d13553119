"""One more pass in a finer frame: what it changes, and that nothing follows from it."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import REFINED_SIDE, Protocol, parity
from fcfi_core.session import Session

CLICKS = [(70, 40), (20, 20, False), (75, 50)]


@pytest.fixture
def refining(tiny_model):
    return Predictor(tiny_model, protocol=tiny_model.protocol.with_refinement(True))


def test_the_last_pass_sees_the_same_region_finer(tiny_model, photo):
    result = Predictor(tiny_model).segment(photo, CLICKS)
    finer = result.refined()
    assert finer.frame.region == result.frame.region
    assert max(finer.view.shape) == REFINED_SIDE > max(result.view.shape)
    assert finer.clicks == result.clicks
    assert finer.mask.shape == result.mask.shape
    assert finer.refined() is finer


def test_a_predictor_that_refines_gives_what_refining_gives(tiny_model, refining, photo):
    for count in range(1, len(CLICKS) + 1):
        expected = Predictor(tiny_model).segment(photo, CLICKS[:count]).refined()
        found = refining.segment(photo, CLICKS[:count])
        assert np.array_equal(found.probability, expected.probability)
        assert found.refined() is found


def test_no_state_follows_from_it(tiny_model, refining, photo):
    plain = Predictor(tiny_model).open(photo)
    session: Session = refining.open(photo)
    seen = []
    for click in CLICKS:
        plain.click(*click).refined()
        seen.append(session.click(*click).probability)
        assert np.array_equal(seen[-1], plain.result.refined().probability)
    session.undo()
    assert np.array_equal(session.result.probability, seen[-2])


def test_boxes_and_prior_masks_alone_are_refined_too(refining, photo):
    mask = np.zeros(photo.shape[:2], bool)
    mask[20:60, 30:90] = True
    for start in ({"box": (30, 20, 89, 59)}, {"prior_mask": mask}):
        assert max(refining.segment(photo, **start).view.shape) == REFINED_SIDE


def test_every_answer_to_choose_from_is_the_one_that_choosing_gives(refining, photo):
    session = refining.open(photo)
    answers = session.click(70, 40).candidates
    for index, answer in enumerate(answers):
        assert np.array_equal(session.choose(index).probability, answer.probability)


def test_without_an_object_there_is_nothing_to_refine(refining, photo):
    assert not refining.segment(photo, [(20, 20, False)]).mask.any()


def test_official_rules_know_no_such_pass(tiny_model, photo):
    official = Predictor(tiny_model, protocol=replace(parity(), refined=True)).segment(photo, CLICKS)
    plain = Predictor(tiny_model, protocol=parity()).segment(photo, CLICKS)
    assert np.array_equal(official.probability, plain.probability)
    assert official.refined() is official


def test_a_result_from_another_process_stays_as_it_is(tiny_model, photo):
    result = Predictor(tiny_model).segment(photo, CLICKS)
    sent = pickle.loads(pickle.dumps(result))
    assert sent.refined() is sent
    assert np.array_equal(sent.mask, result.mask)


def test_the_setting():
    assert Protocol().with_refinement(True).refined
    assert Protocol().with_refinement(None) == Protocol()
    with pytest.raises(SettingsError, match="refined"):
        Protocol.from_dict({"refined": "yes"})
