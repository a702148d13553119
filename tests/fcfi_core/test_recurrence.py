"""The function from (image, prompt) to a mask: what the network is shown, and what is made of its answer."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.model import Model
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import REFINED_SIDE, Protocol, parity
from fcfi_core.regions import Region
from fcfi_core.rules import NO_OBJECT
from fcfi_core.session import Session
from tests.fcfi_core.test_predictor import same


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_no_mask(colour_model, disc, monkeypatch, value):
    """Weights may be numbers, and too large for the network all the same."""
    decode = colour_model.engine.decode

    def overflowing(*given, **named):
        maps = decode(*given, **named)
        logits = maps.logits.copy()
        logits[..., 3, 5] = value
        return replace(maps, logits=logits)

    monkeypatch.setattr(colour_model.engine, "decode", overflowing)
    predictor = Predictor(colour_model)
    if np.isnan(value):
        with pytest.raises(WeightsError, match="is no number"):
            predictor.segment(disc[0], [(64, 60)])
    else:
        assert predictor.segment(disc[0], [(64, 60)]).mask.any()


def test_a_second_look_sees_more(tiny_model, photo):
    protocol = replace(tiny_model.protocol, zoom_threshold=0.9)
    once, twice = (
        Predictor(tiny_model, protocol=replace(protocol, second_look=factor)).segment(photo, [(70, 40)])
        for factor in (0, 1.2)
    )
    assert once.frame.region == Region(0, 89, 0, 119)
    assert twice.frame.scale > once.frame.scale


def test_a_negative_click_lowers_the_probability_there(tiny_model, photo):
    session = Predictor(tiny_model).open(photo)
    before = session.click(70, 40).probability[60, 30]
    assert session.click(30, 60, positive=False).probability[60, 30] < before


def test_the_memo_spares_work(tiny_model, photo):
    predictor = Predictor(tiny_model)
    predictor.segment(photo, [(70, 40), (20, 20, False)])
    again = predictor.segment(photo, [(70, 40), (20, 20, False)])
    assert again.timings["network"] == again.timings["encode"] == 0
    assert predictor.memo.statistics()["hits"] >= 1


def test_a_box_alone_implies_its_centre(tiny_model, photo):
    result = Predictor(tiny_model).segment(photo, box=Box(50, 20, 90, 60))
    assert result.implied_click == Click(70, 40)
    assert result.clicks == ()
    assert result.mask.any()


def test_the_official_protocol_knows_no_surroundings_of_a_box(tiny_model, photo):
    predictor = Predictor(tiny_model, protocol=parity())
    box = Box(50, 20, 90, 60)
    assert same(predictor.segment(photo, box=box), predictor.segment(photo, [(70, 40)], box=box))


def test_a_prior_mask_alone_implies_its_innermost_point(tiny_model, photo):
    prior = np.zeros((90, 120), bool)
    prior[20:61, 50:91] = True
    result = Predictor(tiny_model).segment(photo, prior_mask=prior)
    assert result.implied_click is not None
    assert prior[result.implied_click.y, result.implied_click.x]


def test_box_and_prior_mask_matter_beside_clicks(tiny_model, photo):
    predictor = Predictor(tiny_model)
    prior = np.zeros((90, 120), bool)
    prior[20:60, 50:90] = True
    plain = predictor.segment(photo, [(70, 40)])
    boxed = predictor.segment(photo, [(70, 40)], box=Box(50, 20, 90, 60))
    corrected = predictor.segment(photo, [(70, 40)], prior_mask=prior)
    assert not same(plain, boxed)
    assert not same(boxed, corrected)
    assert boxed.implied_click is None


def test_negative_clicks_before_any_object_wait_for_it(tiny_model, photo):
    session = Predictor(tiny_model).open(photo)
    result = session.click(10, 10, positive=False)
    assert not result.mask.any()
    assert result.confidence == 0
    assert result.notes == (NO_OBJECT,)
    assert session.click(70, 40).mask.any()


def test_an_empty_prior_mask_says_nothing(tiny_model, photo):
    predictor = Predictor(tiny_model)
    empty = np.zeros((90, 120), bool)
    assert same(predictor.segment(photo, [(70, 40)], prior_mask=empty), predictor.segment(photo, [(70, 40)]))


def test_the_mask_is_kept_in_the_frame_until_asked_for(tiny_model):
    large = np.zeros((3000, 4000, 3), np.uint8)
    predictor = Predictor(tiny_model)
    result = predictor.segment(large, [(2000, 1500)])
    assert result.view.size <= 64 * 64
    assert predictor.memo.statistics()["bytes"] < 1_000_000


def test_official_rules_with_a_limited_first_frame(tiny_network, photo):
    """Maps at the image's size, a first frame that is not: what bench compares with."""
    protocol = replace(parity(None), first_side=64)
    model = Model.from_network(tiny_network(), protocol=protocol, device="cpu", threads=1)
    assert Predictor(model).segment(photo, [(70, 40), (30, 20, False)]).mask.shape == (90, 120)


def test_a_fresh_process_gives_the_same_bits(photo, tmp_path):
    """The same clicks in two processes: network, model, session made anew; one of them takes a detour."""
    np.save(tmp_path / "photo.npy", photo)
    script = """
import hashlib, sys, numpy, torch
from fcfi_core import Model, Predictor
from fcfi_core.networks import registry
torch.manual_seed(5)
model = Model.from_network(registry.build("mobilenetv2"), device="cpu", threads=1)
session = Predictor(model).open(numpy.load(sys.argv[1]))
session.click(70, 40)
if sys.argv[2] == "detour":
    session.click(100, 80)
    session.undo()
result = session.click(20, 20, positive=False)
print(hashlib.sha256(result.probability.tobytes()).hexdigest())
"""
    words = [sys.executable, "-c", script, str(tmp_path / "photo.npy")]
    digests = {
        subprocess.run([*words, way], capture_output=True, check=True).stdout
        for way in ("straight", "detour")
    }
    assert len(digests) == 1


def test_a_positive_click_never_gives_nothing(tiny_model, photo):
    predictor = Predictor(tiny_model, protocol=replace(tiny_model.protocol, mask_threshold=1.0))
    result = predictor.segment(photo, [(20, 20)])
    assert result.mask[20, 20]
    assert "unsure" in result.notes[0]


# --- one more pass in a finer frame ----------------------------------------------------------------

CLICKS = [(70, 40), (20, 20, False), (75, 50)]


@pytest.fixture
def refining(tiny_model):
    return Predictor(tiny_model, protocol=tiny_model.protocol.switched(refined=True))


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
    assert Protocol().switched(refined=True).refined
    assert Protocol().switched(refined=None) == Protocol()
    with pytest.raises(SettingsError, match="refined"):
        Protocol.from_dict({"refined": "yes"})


# --- a thin structure, traced ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wired():
    """A photo of 900 x 240 pixels with a red wire from side to side."""
    columns = np.arange(900)
    middle = 110 + np.round(25 * np.sin(columns / 140)).astype(int)
    mask = np.abs(np.arange(240)[:, None] - middle) <= 1
    return np.where(mask[..., None], (210, 60, 40), (60, 55, 45)).astype(np.uint8), mask


@pytest.fixture
def tracing(colour_model):
    return Predictor(colour_model, protocol=colour_model.protocol.switched(traced=True))


def on_the_wire(mask, x):
    return Click(x, int(np.flatnonzero(mask[:, x])[1]))


def test_a_wire_is_traced_in_the_photo_s_own_pixels(colour_model, tracing, wired):
    photo, mask = wired
    click = on_the_wire(mask, 450)
    plain = Predictor(colour_model).segment(photo, [click])
    assert not np.array_equal(plain.mask, mask)
    for result in (plain.traced(), tracing.segment(photo, [click]), plain.refined().traced()):
        assert np.array_equal(result.mask, mask)
        assert result.clicks == (click,)
        assert result.traced() is result
    assert "encode" in tracing.segment(photo, [click]).timings


def test_no_state_follows_from_tracing(colour_model, tracing, wired):
    photo, mask = wired
    plain, session = Predictor(colour_model).open(photo), tracing.open(photo)
    clicks = [on_the_wire(mask, 450), Click(60, 30, False), on_the_wire(mask, 800)]
    seen = []
    for click in clicks:
        expected = plain.click(click.x, click.y, click.positive)
        seen.append(session.click(click.x, click.y, click.positive).probability)
        assert np.array_equal(seen[-1], expected.traced().probability)
    assert np.array_equal(session.undo().probability, seen[-2])
    again = Predictor(colour_model, protocol=tracing.protocol).segment(photo, clicks)
    assert np.array_equal(again.probability, seen[-1])


def test_what_is_not_thin_stays_as_it_is(colour_model, tracing, disc, wired):
    photo = np.asarray(disc[0].resize((960, 720)))
    plain = Predictor(colour_model).segment(photo, [(390, 360)])
    assert plain.traced() is plain
    assert np.array_equal(tracing.segment(photo, [(390, 360)]).mask, plain.mask)
    # A start says what is meant, and where.
    mask = wired[1]
    for start in ({"box": (0, 80, 899, 140)}, {"prior_mask": mask}):
        result = Predictor(colour_model).segment(wired[0], [on_the_wire(mask, 450)], **start)
        assert result.traced() is result


def test_every_answer_to_choose_from_is_that_of_choosing_where_one_is_traced(tracing, wired):
    photo, mask = wired
    click, session = on_the_wire(mask, 450), tracing.open(photo)
    answers = session.click(click.x, click.y).candidates
    for index, answer in enumerate(answers):
        assert np.array_equal(session.choose(index).probability, answer.probability)


def test_official_rules_trace_nothing(colour_model, wired):
    result = Predictor(colour_model, protocol=replace(parity(), traced=True)).segment(
        wired[0], [on_the_wire(wired[1], 450)]
    )
    assert result.traced() is result
    sent = pickle.loads(pickle.dumps(result))
    assert sent.traced() is sent


def test_the_setting_of_tracing():
    assert Protocol().switched(traced=True).traced
    assert Protocol().switched(traced=None) == Protocol()
    with pytest.raises(SettingsError, match="traced"):
        Protocol.from_dict({"traced": 1})
