"""What is asked of one object: checks, names of prefixes, JSON, and what a box stands for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.prompt import Prompt
from fcfi_core.regions import Region

HEIGHT, WIDTH = 80, 100


def square():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[50:60, 50:60] = True
    return mask


def test_box_and_mask_together():
    prompt = Prompt(box=Box(10, 20, 55, 55), mask=square())
    assert prompt.region == Region(20, 59, 10, 59)
    implied = prompt.implied_click
    assert prompt.mask[implied.y, implied.x]


def test_equal_prompts_have_equal_names():
    mask = np.zeros((80, 100), bool)
    mask[3, 4] = True
    prompts = [
        Prompt(box=box, mask=given)
        for box in (None, Box(1, 2, 3, 4))
        for given in (None, mask, mask.astype(np.uint8) * 255)
    ]
    assert len(set(prompts)) == len({prompt.digest for prompt in prompts}) == 4
    assert Prompt.of([(1, 2)]) != Prompt.of([(1, 2, False)])
    assert Prompt.of([(1, 2), (3, 4)]) != Prompt.of([(3, 4), (1, 2)])


def test_the_implied_click_of_a_box_is_its_centre():
    assert Prompt(box=Box(10, 20, 30, 41)).implied_click == Click(20, 30)


def test_a_box_implies_its_centre_and_its_surroundings():
    box = Box(10, 20, 50, 60)
    around = [Click(30, 18, False), Click(30, 62, False), Click(8, 40, False), Click(52, 40, False)]
    assert Prompt(box=box).surroundings(80, 100) == (*around, Click(30, 40))
    assert Prompt.of([Click(20, 30)], box).surroundings(80, 100) == tuple(around)


def test_sides_outside_the_image_imply_nothing():
    box = Box(0, 0, 50, 79)
    assert Prompt(box=box).surroundings(80, 100) == (Click(52, 39, False), Click(25, 39))


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
    box = Box(10, 20, 50, 60)
    places = {(click.x, click.y) for click in Prompt.of([beyond], box).surroundings(80, 100)}
    assert dropped not in places
    assert len(places) == 3
    as_negative = Click(beyond.x, beyond.y, positive=False)
    assert len(Prompt.of([as_negative], box).surroundings(80, 100)) == 4


def test_a_prior_mask_implies_no_surroundings():
    mask = np.zeros((80, 100), bool)
    mask[20:61, 10:51] = True
    assert Prompt(box=Box(10, 20, 50, 60), mask=mask).surroundings(80, 100) == ()


def test_a_prompt_that_asks_nothing():
    assert Prompt().is_empty
    assert Prompt(mask=np.zeros((HEIGHT, WIDTH))).within(HEIGHT, WIDTH).is_empty
    assert Prompt().implied_click is None
    assert Prompt().region is None


def test_negative_clicks_alone_do_not_say_where_the_object_is():
    assert not Prompt.of([(1, 2, False)]).asks
    assert Prompt.of([(1, 2, False)], Box(0, 0, 4, 4)).asks


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        (Prompt(box=Box(200, 200, 300, 300)), "outside the image"),
        (Prompt.of([(100, 3)]), r"\(100, 3\) is outside"),
        (Prompt(mask=np.ones((5, 5), bool)), r"\(5, 5\)"),
    ],
)
def test_what_does_not_fit_the_image_is_named(prompt, problem):
    with pytest.raises(PromptError, match=problem):
        prompt.within(HEIGHT, WIDTH)


def test_a_box_is_cut_at_the_border():
    assert Prompt(box=Box(-5, -5, 200, 20)).within(HEIGHT, WIDTH).box == Box(0, 0, 99, 20)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"box": (1, 2, 3, 4, 5)}, "box"),
        ({"mask": np.zeros((2, 3, 4))}, "shape"),
        ({"mask": "mask.png"}, "shape"),
        ({"clicks": ["here"]}, "not a click"),
    ],
)
def test_what_is_no_prompt_is_named(arguments, problem):
    with pytest.raises(PromptError, match=problem):
        Prompt(**arguments)


pixels = st.builds(Click, st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.booleans())


@given(
    st.lists(pixels, max_size=6),
    st.none() | st.builds(Box, *(st.integers(0, 79) for _ in range(4))),
    st.booleans(),
)
def test_json_goes_there_and_back(clicks, box, with_mask):
    prompt = Prompt(clicks, box, square() if with_mask else None)
    assert Prompt.from_json(json.loads(json.dumps(prompt.to_json())), HEIGHT, WIDTH) == prompt


@given(st.lists(pixels, max_size=6), st.lists(pixels, max_size=3))
def test_a_prefix_has_the_same_name_whatever_follows(clicks, more):
    start = Prompt(mask=square())
    grown = start.with_clicks([*clicks, *more])
    assert grown.prefix(len(clicks)) == start.with_clicks(clicks)
    assert grown.digests[len(clicks)] == Prompt(clicks, mask=square()).digest


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {"clicks": {}},
        {"clicks": [[1, 2]]},
        {"clicks": [{"x": 1}]},
        {"clicks": [{"x": "1", "y": 2}]},
        {"clicks": [{"x": 1, "y": 2}] * 1001},
        {"box": [1, 2, 3]},
        {"box": "1,2,3,4"},
        {"mask": {"size": [1_000_000, 1_000_000], "counts": [0, 10**12]}},
        {"mask": {"size": [HEIGHT, WIDTH], "counts": [1, [2]]}},
        {"mask": "mask.png"},
    ],
)
def test_json_that_is_no_prompt_is_one_error(fields):
    with pytest.raises(PromptError):
        Prompt.from_json(fields, HEIGHT, WIDTH)
