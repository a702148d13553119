from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.clicks import Box
from fcfi_core.evaluation import clicker
from fcfi_core.geometry import Frame
from fcfi_core.prompt import Prompt
from fcfi_core.regions import Region
from fcfi_core.rules import BOX_FEEDBACK, initial_feedback
from fcfi_core.training.configuration import SamplingConfiguration
from fcfi_core.training.crops import UNKNOWN, Crop
from fcfi_core.training.episodes import disturbed, first_click, next_click, start_episode


def disc(size: int = 64, radius: int = 14) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return (((y - size // 2) ** 2 + (x - size // 2) ** 2) <= radius**2).astype(np.uint8)


def crop_of(target: np.ndarray) -> Crop:
    return Crop(np.zeros((*target.shape, 3), np.uint8), target)


def test_box_starts_look_like_boxes_at_inference():
    sampling = SamplingConfiguration(box_start=1, implied=1)
    seen = set()
    for seed in range(30):
        episode = start_episode(crop_of(disc()), sampling, np.random.default_rng(seed))
        rows, columns = np.nonzero(episode.feedback == np.float32(BOX_FEEDBACK))
        box = Box(columns.min(), rows.min(), columns.max(), rows.max())
        prompt = Prompt(box=box).within(64, 64)
        clicks = [(click.y, click.x, click.positive) for click in prompt.surroundings(64, 64)]
        assert episode.clicks in (clicks, clicks[-1:])
        frame = Frame.of(Region.whole(64, 64), (64, 64), target=64)
        assert np.array_equal(episode.feedback, initial_feedback(frame, prompt))
        seen.add(len(episode.clicks))
    assert seen == {1, 5}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_first_click_lies_on_the_object(seed):
    target = disc()
    click = first_click(target, np.random.default_rng(seed))
    assert click.positive
    assert target[click.y, click.x] == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_next_click_names_a_pixel_that_is_wrong(seed, share):
    random = np.random.default_rng(seed)
    target = disc()
    target[:4] = UNKNOWN
    mask = random.random(target.shape) < share
    click = next_click(target, mask, random)
    if click is not None:
        assert target[click.y, click.x] == int(click.positive)
        assert mask[click.y, click.x] != click.positive


def test_an_exact_annotator_clicks_the_centre_and_a_hurried_one_anywhere():
    target, nothing = disc(), np.zeros((64, 64), bool)
    clicked = {}
    for name, sampling in (
        ("exact", SamplingConfiguration(centre_clicks=1, stray_clicks=0)),
        ("inner", SamplingConfiguration(centre_clicks=0, stray_clicks=0)),
        ("stray", SamplingConfiguration(centre_clicks=0, stray_clicks=1)),
    ):
        clicks = [next_click(target, nothing, np.random.default_rng(seed), sampling) for seed in range(80)]
        depth = cv2.distanceTransform(target, cv2.DIST_L2, 5)
        clicked[name] = np.array([depth[click.y, click.x] for click in clicks])
    assert len(set(clicked["exact"])) == 1
    assert clicked["inner"].min() > clicked["exact"][0] / 2 - 1
    assert clicked["stray"].min() < clicked["exact"][0] / 4


def test_hands_without_scatter_are_the_annotator_of_the_evaluation():
    target = disc()
    target[:20] = UNKNOWN
    mask = np.roll(target == 1, 9, axis=1)
    exact = SamplingConfiguration(centre_clicks=1, stray_clicks=0)
    expected = clicker.next_click(mask, target == 1, ignore=target == UNKNOWN)
    assert next_click(target, mask, np.random.default_rng(0), exact) == expected


def test_nothing_to_correct_gives_no_click():
    target = disc()
    assert next_click(target, target == 1, np.random.default_rng(0)) is None


def test_unknown_pixels_are_never_wrong():
    target = np.full((32, 32), UNKNOWN, np.uint8)
    assert next_click(target, np.ones((32, 32), bool), np.random.default_rng(0)) is None


def test_a_correction_becomes_feedback_and_opens_the_gate():
    sampling = SamplingConfiguration(box_start=0, prior_start=0)
    episode = start_episode(crop_of(disc()), sampling, np.random.default_rng(0))
    assert episode.gate == 0
    assert len(episode.clicks) == 1
    prediction = np.zeros((64, 64), np.float32)
    episode.correct(prediction)
    assert episode.gate == 1
    assert episode.feedback is prediction
    assert len(episode.clicks) == 2
    assert episode.clicks[-1][2]


def test_a_perfect_prediction_finishes_the_episode():
    episode = start_episode(crop_of(disc()), SamplingConfiguration(), np.random.default_rng(0))
    episode.correct(disc().astype(np.float32))
    assert episode.finished


@pytest.mark.parametrize("start", ["box_start", "prior_start"])
def test_starts_with_a_prior_have_feedback_and_an_open_gate(start):
    sampling = SamplingConfiguration(**{"box_start": 0, "prior_start": 0, start: 1.0})
    for seed in range(20):
        episode = start_episode(crop_of(disc()), sampling, np.random.default_rng(seed))
        assert episode.gate == 1
        assert len(episode.clicks) in ((1, 5) if start == "box_start" else (1,))
        assert 0 <= episode.feedback.min() <= episode.feedback.max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_disturbing_keeps_the_shape_and_the_original(seed):
    mask = disc() == 1
    before = mask.copy()
    result = disturbed(mask, np.random.default_rng(seed))
    assert result.shape == mask.shape
    assert result.dtype == bool
    assert np.array_equal(mask, before)


@pytest.mark.parametrize("target", [np.zeros((32, 32), np.uint8), np.ones((32, 32), np.uint8)])
def test_empty_and_full_targets_start_an_episode(target):
    for seed in range(20):
        episode = start_episode(crop_of(target), SamplingConfiguration(), np.random.default_rng(seed))
        y, x, _ = episode.clicks[0]
        assert 0 <= y < 32
        assert 0 <= x < 32


def test_stray_starts_fall_anywhere_on_the_object():
    target = np.zeros((64, 64), np.uint8)
    target[8:56, 8:56] = 1
    middle, anywhere = (
        [
            first_click(target, np.random.default_rng(seed), SamplingConfiguration(stray_starts=share))
            for seed in range(80)
        ]
        for share in (0.0, 1.0)
    )
    middle, anywhere = (np.array([(click.y, click.x) for click in clicks]) for clicks in (middle, anywhere))
    assert np.abs(middle - 31.5).max() < 16
    assert np.abs(anywhere - 31.5).max() > 20
    assert (target[anywhere[:, 0], anywhere[:, 1]] == 1).all()
