"""A whole video with corrections: forward, backward, and frames that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from fcfi_core import Predictor
from fcfi_core.engines.base import Encoded
from fcfi_core.errors import PromptError
from fcfi_core.evaluation.metrics import iou
from fcfi_core.masks import Finish
from fcfi_core.model import Model
from fcfi_core.propagation import Track
from fcfi_core.protocol import Protocol

SIZE = HEIGHT, WIDTH = 90, 160


def disc(x, radius=16):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - 45) ** 2 <= radius**2


def picture(x, colour=(210, 60, 40)):
    return np.where(disc(x)[..., None], colour, (60, 85, 45)).astype(np.uint8)


PLACES = range(30, 130, 5)
VIDEO = [picture(x) for x in PLACES]


@pytest.fixture
def predictor(colour_model):
    """An engine that answers by colours, and tells them as features."""

    class Telling(type(colour_model.engine)):
        def encode(self, images):
            found = super().encode(images)
            return Encoded(found.value, found.size, lambda: (np.moveaxis(images, 3, 1),))

    protocol = Protocol(first_side=128, target_size=128, smallest_crop=40)
    return Predictor(Model("colour", "1", "colour", Telling(), protocol, "0" * 64))


def test_a_moving_object_is_followed_forward_and_backward(predictor):
    track = Track(predictor, VIDEO)
    shown = track.correct(10, [(PLACES[10], 45)])
    assert shown.seen
    found = list(track)
    assert [one.number for one in found] == list(range(len(VIDEO)))
    assert [one.seen for one in found] == [number == 10 for number in range(len(VIDEO))]
    for one, x in zip(found, PLACES, strict=True):
        assert iou(one.mask, disc(x)) > 0.9, one.number


def test_a_single_frame_is_the_same_as_in_the_whole(predictor):
    track = Track(predictor, VIDEO)
    track.correct(3, [(PLACES[3], 45)])
    found = list(track)
    for number in (0, 3, 4, 15):
        assert np.array_equal(track[number].mask, found[number].mask)


def test_a_frame_between_two_seen_ones_comes_from_the_nearer(predictor):
    drawn = {0: disc(30, 10), 11: disc(PLACES[11], 20)}
    track = Track(predictor, VIDEO)
    for number, mask in drawn.items():
        shown = track.correct(number, mask=mask)
        assert np.array_equal(shown.mask, mask)
    assert track.seen == (0, 11)
    alone = Track(predictor, VIDEO)
    alone.correct(11, mask=drawn[11])
    sizes = [one.number for one in track if one.seen]
    assert sizes == [0, 11]
    # Frame 5 is reached from 0, frame 6 backward from 11.
    assert track._nearest(5) == 0
    assert track._nearest(6) == 11


def test_more_clicks_on_a_frame_follow_those_before(predictor):
    track = Track(predictor, VIDEO)
    track.correct(0, [(30, 45)])
    track.correct(0, [(100, 20, False)])
    whole = Track(predictor, VIDEO)
    whole.correct(0, [(30, 45), (100, 20, False)])
    assert np.array_equal(track[7].mask, whole[7].mask)


def test_clicks_correct_what_the_track_shows_and_the_object_is_learnt_anew(predictor):
    track = Track(predictor, VIDEO)
    track.correct(0, [(30, 45)])
    before = track[8].mask
    track.correct(8, [(PLACES[8], 45)])
    assert track.seen == (0, 8)
    prompt = track._seen[8].prompt
    assert np.array_equal(prompt.mask, before)
    assert prompt.appearance is not None
    track.forget(8)
    assert np.array_equal(track[8].mask, before)


def test_bad_frames_are_told_and_passed_over(predictor):
    frames = [*VIDEO]
    frames[4] = b"this is no picture"
    frames[6] = picture(60)[:50]
    track = Track(predictor, frames)
    track.correct(0, [(30, 45)])
    found = list(track)
    assert [one.number for one in found if one.error] == [4, 6]
    assert found[4].mask is None
    assert "one size" in found[6].error
    assert iou(found[8].mask, disc(PLACES[8])) > 0.9


def test_a_lost_object_is_to_be_reviewed_and_found_again(predictor):
    frames = [*VIDEO]
    frames[3] = np.full((HEIGHT, WIDTH, 3), (20, 200, 220), np.uint8)
    track = Track(predictor, frames)
    track.correct(0, [(30, 45)])
    found = list(track)
    assert found[3].mask is None
    assert found[3].needs_review
    assert not found[3].error
    assert found[4].mask is not None


def test_what_cannot_be_asked(predictor):
    track = Track(predictor, VIDEO)
    with pytest.raises(PromptError, match="no frame shows the object yet"):
        track[0]
    with pytest.raises(PromptError, match="no frame shows the object yet"):
        list(track)
    for number in (-1, len(VIDEO), "3", True):
        with pytest.raises(PromptError, match="there is no frame"):
            track.correct(number, [(3, 3)])
    with pytest.raises(PromptError, match="at least one"):
        track.correct(0)
    with pytest.raises(PromptError, match="was not corrected"):
        track.forget(5)
    with pytest.raises(PromptError, match="outside"):
        track.correct(0, [(500, 3)])


def test_a_frame_of_another_size_is_not_corrected(predictor):
    track = Track(predictor, [*VIDEO[:2], picture(60)[:50]])
    track.correct(0, [(30, 45)])
    with pytest.raises(PromptError, match="one size"):
        track.correct(2, [(60, 45)])


def test_what_is_shown_is_finished(predictor):
    speck = picture(30)
    speck[5, 150] = (210, 60, 40)
    track = Track(predictor, [speck, speck], finish=Finish(min_area=5))
    assert not track.correct(0, [(30, 45)]).mask[5, 150]
    assert not track[1].mask[5, 150]


def test_asking_twice_gives_the_same(predictor):
    track = Track(predictor, VIDEO)
    track.correct(2, [(PLACES[2], 45)])
    one, two = list(track), list(track)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(one, two, strict=True))
