"""What the network is shown before it has answered, and which rules a protocol asks for."""

from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.geometry import Frame
from fcfi_core.prompt import Prompt
from fcfi_core.protocol import Protocol, parity
from fcfi_core.regions import Region
from fcfi_core.rules import BOX_FEEDBACK, OfficialRules, ProductRules, initial_feedback, rules_of


def frame(target, region=None):
    return Frame.of(region or Region.whole(80, 100), (80, 100), target=target)


def test_a_box_is_a_soft_rectangle():
    feedback = initial_feedback(frame(100), Prompt(box=Box(10, 20, 30, 40)))
    assert feedback.dtype == np.float32
    assert feedback[20:41, 10:31] == pytest.approx(BOX_FEEDBACK)
    assert feedback.sum() == pytest.approx(BOX_FEEDBACK * 21 * 21)


def test_edge_pixels_of_a_box_count_by_their_share():
    feedback = initial_feedback(frame(50), Prompt(box=Box(11, 20, 30, 39)))
    assert feedback[15, 5] == pytest.approx(BOX_FEEDBACK / 2)
    assert feedback[15, 6] == pytest.approx(BOX_FEEDBACK)
    assert feedback.sum() * 4 == pytest.approx(BOX_FEEDBACK * 20 * 20)


def test_a_mask_is_itself_averaged():
    mask = np.zeros((80, 100), bool)
    mask[20:40, 11:31] = True
    feedback = initial_feedback(frame(50), Prompt(mask=mask))
    assert feedback[15, 5] == pytest.approx(0.5)
    assert feedback[15, 6] == pytest.approx(1)
    assert feedback.sum() * 4 == pytest.approx(400)


def test_a_frame_may_show_a_part_of_the_box():
    part = frame(64, Region(30, 61, 20, 51))
    feedback = initial_feedback(part, Prompt(box=Box(10, 20, 35, 45)))
    assert feedback[:32, :32] == pytest.approx(BOX_FEEDBACK)
    assert not feedback[32:].any()
    assert not feedback[:, 32:].any()


def test_the_protocol_chooses_the_rules():
    assert isinstance(rules_of(Protocol(), 16), ProductRules)
    assert isinstance(rules_of(parity(), 16), OfficialRules)


@pytest.mark.parametrize(
    ("prompt", "product", "official"),
    [
        (Prompt.of([(1, 1), (2, 2)]), 1, 1),
        (Prompt.of([(1, 1, False), (2, 2)]), 2, 1),
        (Prompt.of([(1, 1, False)]), 2, 1),
        (Prompt.of([(1, 1, False)], Box(0, 0, 9, 9)), 0, 1),
        (Prompt.of([(1, 1, False)], mask=np.ones((9, 9), bool)), 1, 1),
    ],
)
def test_negative_clicks_wait_for_an_object_and_a_box_speaks_first(prompt, product, official):
    assert rules_of(Protocol(), 16).first_pass(prompt) == product
    assert rules_of(parity(), 16).first_pass(prompt) == official


def test_who_is_shown_which_clicks():
    prompt = Prompt.of([(30, 40)], Box(10, 20, 50, 60))
    assert len(rules_of(Protocol(), 16).shown(prompt, (80, 100))) == 5
    assert rules_of(parity(), 16).shown(prompt, (80, 100)) == (Click(30, 40),)
