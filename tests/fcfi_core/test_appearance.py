"""The linear model of an object: what it learns, where it is refused, how it travels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core import Predictor, load_model
from fcfi_core.appearance import Appearance, with_evidence
from fcfi_core.errors import PromptError
from fcfi_core.images import load
from fcfi_core.prompt import Prompt

DIGEST = "0123456789abcdef"


def square(size=(64, 96), left=20):
    inside = np.zeros(size, np.float32)
    inside[16:48, left : left + 32] = 1
    return inside


def features(inside, seed=0):
    """Maps at strides 8 and 4, in which one channel each tells the object, and others are noise."""
    random = np.random.default_rng(seed)
    maps = []
    for stride, channels in ((8, 6), (4, 3)):
        small = inside[stride // 2 :: stride, stride // 2 :: stride]
        noise = random.normal(size=(channels, *small.shape)).astype(np.float32)
        noise[1] = 3 * small + 0.1 * noise[1]
        maps.append(noise)
    return maps


def test_it_recognises_the_object_where_it_has_moved_to():
    appearance = Appearance.fitted(features(square()), square(), DIGEST)
    moved = square(left=48)
    evidence = appearance.evidence(features(moved, seed=1), moved.shape)
    assert evidence.shape == moved.shape
    assert evidence[24:40, 56:72].min() > 2
    assert evidence[:, :30].max() < -2


@pytest.mark.parametrize("fill", [0, 1])
def test_one_side_alone_teaches_nothing(fill):
    assert Appearance.fitted(features(square()), np.full((64, 96), fill, np.float32), DIGEST) is None


def test_without_features_there_is_no_appearance():
    assert Appearance.fitted([], square(), DIGEST) is None


def test_the_mean_of_several():
    one, other = (Appearance(np.full(3, value, np.float16), DIGEST[:12]) for value in (1, 2))
    assert Appearance.mean([one, other]).weights.tolist() == [1.5] * 3
    assert Appearance.mean([]) is None


def test_another_model_and_other_features_are_refused():
    appearance = Appearance.fitted(features(square()), square(), DIGEST)
    appearance.require_of(DIGEST)
    with pytest.raises(PromptError, match="start again"):
        appearance.require_of("f" * 16)
    with pytest.raises(PromptError, match="10 numbers"):
        appearance.evidence(features(square())[:1], (64, 96))


@given(arrays(np.float16, st.integers(1, 300), elements=st.floats(-4, 4, width=16)))
def test_it_travels_as_json(weights):
    sent = Appearance(weights, DIGEST[:12])
    got = Appearance.from_json(json.loads(json.dumps(sent.to_json())))
    assert np.array_equal(got.weights, sent.weights)
    assert got.model == sent.model


@pytest.mark.parametrize(
    "fields",
    [
        None,
        7,
        {},
        {"model": "a", "weights": ""},
        {"model": "a", "weights": "AAAA"},
        {"model": "a", "weights": "!!"},
        {"model": 3, "weights": "AAA="},
        {"model": "a", "weights": "AHw="},
    ],
)
def test_what_is_no_appearance_is_refused(fields):
    with pytest.raises(PromptError, match="cannot be read"):
        Appearance.from_json(fields)


@given(st.floats(0, 1, width=32), st.floats(-20, 20, width=32))
def test_evidence_moves_a_prior_its_own_way_and_never_to_certainty(prior, evidence):
    found = with_evidence(np.full((1, 1), prior, np.float32), np.full((1, 1), evidence, np.float32))[0, 0]
    start = with_evidence(np.full((1, 1), prior, np.float32), np.zeros((1, 1), np.float32))[0, 0]
    assert 0 <= found <= 1
    assert start == pytest.approx(0.96 * prior + 0.02, abs=1e-5)
    assert (found - start) * evidence >= -1e-6


def test_it_is_part_of_what_is_asked():
    appearance = Appearance(np.ones(4, np.float16), DIGEST[:12])
    bare, asked = Prompt.of([(3, 4)]), Prompt(((3, 4),), appearance=appearance)
    assert bare.digest != asked.digest
    assert Prompt.from_json(asked.to_json(), 10, 10) == asked
    assert asked.with_clicks([(1, 1)]).appearance is appearance


@pytest.fixture(scope="module", params=["openvino", "torch"])
def predictor(request):
    return Predictor(load_model("default", engine=request.param, threads=1))


def two_discs(left):
    rows, columns = np.mgrid[:120, :160]
    red, blue = ((columns - x) ** 2 + (rows - 60) ** 2 <= 20**2 for x in (left, 120))
    noise = np.random.default_rng(0).integers(0, 30, (120, 160, 3))
    pixels = np.full((120, 160, 3), (60, 90, 50))
    pixels[red], pixels[blue] = (200, 40, 40), (40, 60, 200)
    return load((pixels + noise).astype(np.uint8)), red


def test_every_engine_learns_one(predictor):
    image, red = two_discs(40)
    appearance = predictor.recurrence.appearance(image, red)
    assert appearance.weights.shape == (257,)
    assert appearance.model == predictor.model.digest[:12]
    moved, there = two_discs(50)
    mask = predictor.answer(moved, Prompt(mask=red, appearance=appearance)).mask
    assert (mask & there).sum() > 0.8 * (mask | there).sum()


def test_the_engines_agree(predictor):
    image, red = two_discs(40)
    other = Predictor(load_model("default", engine="torch", threads=1))
    one, two = (each.recurrence.appearance(image, red).weights for each in (predictor, other))
    assert np.abs(one - two).max() < 0.01
