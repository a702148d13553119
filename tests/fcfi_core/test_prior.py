"""Boxes and prior masks start the feedback where they are."""

from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.geometry import Frame, Region
from fcfi_core.prior import BOX_FEEDBACK, Prior, initial_feedback


def frame(target, region=None):
    return Frame.of(region or Region.whole(80, 100), (80, 100), target=target)


def test_a_box_is_a_soft_rectangle():
    feedback = initial_feedback(frame(100), Box(10, 20, 30, 40), None)
    assert feedback.dtype == np.float32
    assert feedback[20:41, 10:31] == pytest.approx(BOX_FEEDBACK)
    assert feedback.sum() == pytest.approx(BOX_FEEDBACK * 21 * 21)


def test_edge_pixels_of_a_box_count_by_their_share():
    feedback = initial_feedback(frame(50), Box(11, 20, 30, 39), None)
    assert feedback[15, 5] == pytest.approx(BOX_FEEDBACK / 2)
    assert feedback[15, 6] == pytest.approx(BOX_FEEDBACK)
    assert feedback.sum() * 4 == pytest.approx(BOX_FEEDBACK * 20 * 20)


def test_a_mask_is_itself_averaged():
    mask = np.zeros((80, 100), bool)
    mask[20:40, 11:31] = True
    feedback = initial_feedback(frame(50), None, mask)
    assert feedback[15, 5] == pytest.approx(0.5)
    assert feedback[15, 6] == pytest.approx(1)
    assert feedback.sum() * 4 == pytest.approx(400)


def test_a_frame_may_show_a_part_of_the_box():
    part = frame(64, Region(30, 61, 20, 51))
    feedback = initial_feedback(part, Box(10, 20, 35, 45), None)
    assert feedback[:32, :32] == pytest.approx(BOX_FEEDBACK)
    assert not feedback[32:].any()
    assert not feedback[:, 32:].any()


def test_box_and_mask_together():
    mask = np.zeros((80, 100), bool)
    mask[50:60, 50:60] = True
    prior = Prior.of(80, 100, Box(10, 20, 55, 55), mask)
    assert prior.region == Region(20, 59, 10, 59)
    implied = prior.implied_click()
    assert mask[implied.y, implied.x]


def test_equal_priors_have_equal_digests():
    mask = np.zeros((80, 100), bool)
    mask[3, 4] = True
    digests = {
        Prior.of(80, 100, box, given).digest
        for box in (None, Box(1, 2, 3, 4))
        for given in (None, mask, mask.astype(np.uint8) * 255)
        if box or given is not None
    }
    assert len(digests) == 3


def test_the_implied_click_of_a_box_is_its_centre():
    assert Prior.of(80, 100, Box(10, 20, 30, 41), None).implied_click() == Click(20, 30)


def test_a_box_implies_its_centre_and_its_surroundings():
    prior = Prior.of(80, 100, Box(10, 20, 50, 60), None)
    around = [Click(30, 18, False), Click(30, 62, False), Click(8, 40, False), Click(52, 40, False)]
    assert prior.implied_clicks(80, 100, ()) == (*around, Click(30, 40))
    assert prior.implied_clicks(80, 100, [Click(20, 30)]) == tuple(around)


def test_sides_outside_the_image_imply_nothing():
    prior = Prior.of(80, 100, Box(0, 0, 50, 79), None)
    assert prior.implied_clicks(80, 100, ()) == (Click(52, 39, False), Click(25, 39))


@pytest.mark.parametrize(
    ("beyond", "dropped"),
    [
        (Click(30, 10), (30, 18)),
        (Click(30, 70), (30, 62)),
        (Click(2, 40), (8, 40)),
        (Click(70, 40), (52, 40)),
    ],
)
def test_a_positive_click_beyond_a_side_overrules_it(beyond, dropped):
    prior = Prior.of(80, 100, Box(10, 20, 50, 60), None)
    places = {(click.x, click.y) for click in prior.implied_clicks(80, 100, [beyond])}
    assert dropped not in places
    assert len(places) == 3
    as_negative = Click(beyond.x, beyond.y, positive=False)
    assert len(prior.implied_clicks(80, 100, [as_negative])) == 4


def test_a_prior_mask_implies_no_surroundings():
    mask = np.zeros((80, 100), bool)
    mask[20:61, 10:51] = True
    assert Prior.of(80, 100, Box(10, 20, 50, 60), mask).implied_clicks(80, 100, ()) == ()


def test_nothing_known_is_none():
    assert Prior.of(80, 100, None, None) is None
    assert Prior.of(80, 100, None, np.zeros((80, 100))) is None


def test_a_box_outside_is_named():
    with pytest.raises(PromptError, match="outside the image"):
        Prior.of(80, 100, Box(200, 200, 300, 300), None)
