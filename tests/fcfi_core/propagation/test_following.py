"""One step from frame to frame: found, lost, doubted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fcfi_core.errors import PromptError
from fcfi_core.geometry import Frame
from fcfi_core.images import load
from fcfi_core.propagation import LOST, begin, follow
from fcfi_core.regions import Region
from fcfi_core.results import Result

HEIGHT, WIDTH = 40, 60
COLOUR = (200, 40, 60)


def square(left, side=12):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10 : 10 + side, left : left + side] = True
    return mask


def scene(mask, colour=COLOUR):
    return load(np.where(mask[..., None], colour, (30, 90, 30)).astype(np.uint8))


def answering(mask, inside=0.99):
    """A predictor that always finds ``mask``, with that probability."""
    frame = Frame.of(Region.whole(HEIGHT, WIDTH), (HEIGHT, WIDTH), target=None)
    result = Result(frame, mask * np.float32(inside), 0.49, ())
    return SimpleNamespace(
        answer=lambda image, prompt: result,
        recurrence=SimpleNamespace(appearance=lambda image, mask: None),
    )


def step(before, after, colour=COLOUR, inside=0.99):
    predictor = answering(after, inside)
    return follow(predictor, scene(after, colour), begin(predictor, scene(before), before))


def test_a_moved_object_is_found():
    found = step(square(5), square(8))
    assert np.array_equal(found.result.mask, square(8))
    assert np.array_equal(found.state.mask, square(8))
    assert found.likeness == pytest.approx(1)
    assert not found.needs_review
    assert found.result.notes == ()


@pytest.mark.parametrize(
    ("after", "colour"),
    [
        (np.zeros((HEIGHT, WIDTH), bool), COLOUR),
        (square(30), COLOUR),
        (square(5, 28), COLOUR),
        (square(5, 5), COLOUR),
        (square(5), (10, 10, 200)),
    ],
    ids=["gone", "elsewhere", "swollen", "shrunk", "repainted"],
)
def test_a_lost_object_keeps_its_state_and_is_to_be_looked_at(after, colour):
    found = step(square(5), after, colour)
    assert found.result is None
    assert np.array_equal(found.state.mask, square(5))
    assert found.needs_review
    assert found.doubt == LOST


def test_an_unsure_answer_is_to_be_looked_at():
    found = step(square(5), square(6), inside=0.7)
    assert "unsure (0.70)" in found.doubt
    assert found.doubt in found.result.notes[-1]


def test_colours_are_compared_with_those_that_a_person_has_seen():
    """A little change a frame is none from one to the next, but adds up."""
    mask = square(5)
    predictor = answering(mask)
    state = begin(predictor, scene(mask), mask)
    doubts = []
    for shade in range(0, 60, 4):
        found = follow(predictor, scene(mask, (200 - shade, 40 + shade, 60)), state)
        state = found.state
        doubts.append(found.needs_review)
    assert not doubts[0]
    assert doubts[-1]
    assert doubts == sorted(doubts)


def test_an_empty_mask_begins_nothing():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    with pytest.raises(PromptError, match="no pixel"):
        begin(answering(mask), scene(mask), mask)


def test_a_mask_of_another_size_begins_nothing():
    with pytest.raises(PromptError, match="frame's size"):
        begin(answering(square(5)), scene(square(5)), np.ones((3, 3), bool))
