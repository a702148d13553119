"""Several objects of one image: apart from each other, and edited with undo across them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import ImageError, PromptError
from fcfi_core.masks import USUAL
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.results import exclusive
from fcfi_core.scene import UNNAMED


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return Predictor(tiny_model)


@pytest.fixture
def scene(predictor, photo):
    return predictor.scene(photo)


def shown(scene):
    """What a person sees: labels, prompts, masks."""
    masks = {number: result.mask.tobytes() for number, result in scene.results.items()}
    return {number: (one.label, one.prompt, masks.get(number)) for number, one in scene.objects.items()}


def test_one_object_is_what_segment_says(predictor, scene, photo):
    number = scene.add("disk", [(70, 40)])
    np.testing.assert_array_equal(scene[number].mask, predictor.segment(photo, [(70, 40)]).mask)
    result = scene.click(number, 10, 10, positive=False)
    np.testing.assert_array_equal(result.mask, predictor.segment(photo, [(70, 40), (10, 10, False)]).mask)
    assert repr(scene) == "Scene(120 x 90, ['disk'])"
    assert (scene.width, scene.height) == (120, 90)


def test_masks_do_not_overlap_and_each_pixel_has_its_number(scene):
    one, other, third = scene.add("a", [(70, 40)]), scene.add(clicks=[(60, 45)]), scene.add("b")
    results = scene.results
    assert list(results) == [one, other]  # of the third nothing was asked
    assert not (results[one].mask & results[other].mask).any()
    numbers = scene.numbers()
    for number, result in results.items():
        np.testing.assert_array_equal(numbers == number, result.mask)
    assert scene.objects[other].label == UNNAMED
    with pytest.raises(PromptError, match="nothing was asked of object 3 yet"):
        scene[third]


def test_undo_goes_back_across_objects_whatever_was_done(scene):
    seen = [shown(scene)]

    def after(action):
        action()
        seen.append(shown(scene))

    after(lambda: scene.add("cup", [(70, 40)]))
    after(lambda: scene.add("spoon", box=Box(10, 10, 40, 40)))
    after(lambda: scene.click(1, 60, 50))
    after(lambda: scene.rename(2, "fork"))
    after(lambda: scene.ask(1, Prompt.of([(71, 41)])))
    after(lambda: scene.remove(2))
    for step in reversed(seen[:-1]):
        scene.undo()
        assert shown(scene) == step
    assert not scene.can_undo
    with pytest.raises(PromptError, match="no edit to undo"):
        scene.undo()
    for step in seen[1:]:
        scene.redo()
        assert shown(scene) == step
    with pytest.raises(PromptError, match="no edit to make again"):
        scene.redo()


def test_an_edit_after_undo_forgets_what_was_undone(scene):
    scene.add("cup", [(70, 40)])
    scene.add("spoon", [(20, 20)])
    scene.undo()
    scene.add("plate", [(30, 60)])
    assert not scene.can_redo
    assert [one.label for one in scene.objects.values()] == ["cup", "plate"]


def test_numbers_stay(scene):
    one, other = scene.add("a", [(70, 40)]), scene.add("b", [(20, 20)])
    scene.remove(one)
    assert list(scene.objects) == [other]
    assert scene.add("c") not in (one, other)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda scene: scene.click(1, 500, 5), "outside"),
        (lambda scene: scene.click(7, 5, 5), r"no object 7; give one of \[1\]"),
        (lambda scene: scene.ask(1, Prompt()), "no click, no box"),
        (lambda scene: scene.add("x", box=(200, 200, 210, 210)), "outside"),
        (lambda scene: scene.add("x", mask=np.ones((3, 3), bool)), "shape"),
        (lambda scene: scene.choose(1, 9), "answer 9 cannot be chosen"),
        (lambda scene: scene.remove(2), "no object 2"),
        (lambda scene: scene.rename(2, "x"), "no object 2"),
    ],
)
def test_what_cannot_be_done_leaves_the_scene_as_it_was(scene, edit, sentence):
    scene.add("cup", [(70, 40)])
    before = shown(scene)
    with pytest.raises(PromptError, match=sentence):
        edit(scene)
    assert shown(scene) == before
    scene.undo()
    assert not scene.objects


def test_a_choice_is_made_of_clicks_and_undone(scene):
    number = scene.add("cup", [(70, 40)])
    answers = scene[number].candidates
    result = scene.choose(number, len(answers) - 1)
    np.testing.assert_array_equal(result.mask, answers[-1].mask)
    scene.undo()
    assert scene.objects[number].prompt.clicks == (Click(70, 40),)


def test_specks_go_where_that_is_asked_for(predictor, photo):
    scene = predictor.scene(photo, finish=USUAL)
    number = scene.add(clicks=[(70, 40)])
    np.testing.assert_array_equal(
        scene[number].mask, predictor.segment(photo, [(70, 40)]).finished(USUAL).mask
    )


def test_a_picture_that_cannot_be_read_is_told(predictor):
    with pytest.raises(ImageError):
        predictor.scene("no-such-photo.jpg")


EDITS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 119), st.integers(0, 89)),
    st.tuples(st.just("click"), st.integers(0, 119), st.integers(0, 89)),
    st.tuples(st.just("remove"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("undo"), st.just(0), st.just(0)),
    st.tuples(st.just("redo"), st.just(0), st.just(0)),
)


@given(st.lists(EDITS, max_size=8))
@settings(max_examples=25, deadline=None)
def test_any_edits_leave_masks_apart_and_a_function_of_the_objects(predictor, edits):
    pixels = np.random.default_rng(3).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    scene = predictor.scene(pixels)
    for what, x, y in edits:
        numbers = list(scene.objects)
        if what == "add":
            scene.add(clicks=[(x, y)])
        elif what == "click" and numbers:
            scene.click(numbers[x % len(numbers)], x, y, positive=bool(y % 2))
        elif what == "remove" and numbers:
            scene.remove(numbers[x % len(numbers)])
        elif what == "undo" and scene.can_undo:
            scene.undo()
        elif what == "redo" and scene.can_redo:
            scene.redo()
    masks = [result.mask for result in scene.results.values()]
    assert not masks or np.sum(masks, axis=0).max() <= 1
    again = predictor.scene(pixels)
    for one in scene.objects.values():
        again.add(one.label, one.prompt.clicks)
    for mask, result in zip(masks, again.results.values(), strict=True):
        np.testing.assert_array_equal(mask, result.mask)


def test_what_lies_within_another_object_lies_in_front(colour_model):
    """A large sure mask around a small one that the network is less sure of."""
    rows, columns = np.mgrid[:96, :128]
    far = np.hypot(columns - 64, rows - 48)
    pixels = np.where(far[..., None] < 40, (200, 60, 40), (30, 30, 90)).astype(np.uint8)
    predictor = Predictor(colour_model)
    whole = predictor.segment(pixels, [(64, 48)])
    within = replace(whole, cleaned_mask=far < 8, view=whole.view * np.float32(0.7))
    aside = replace(whole, cleaned_mask=columns > 90, view=whole.view * np.float32(0.7))
    outer, inner, other = exclusive([whole, within, aside])
    np.testing.assert_array_equal(inner.mask, far < 8)
    assert not (outer.mask & inner.mask).any()
    np.testing.assert_array_equal(other.mask, (columns > 90) & ~whole.mask)
    assert exclusive([whole])[0] is whole
