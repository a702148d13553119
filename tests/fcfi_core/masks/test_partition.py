"""Masks without overlaps: nothing is lost, nothing is twice, the likeliest wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core.clicks import Click
from fcfi_core.errors import DataError
from fcfi_core.masks.extent import crop
from fcfi_core.masks.partition import Overlaid, beside, partition
from fcfi_core.predictor import Predictor
from fcfi_core.results import exclusive

levels = arrays(np.float32, (3, 6, 7), elements=st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0)).map(np.float32))


@given(arrays(np.bool_, (3, 6, 7)), levels)
def test_each_pixel_goes_to_the_likeliest_or_to_what_lies_within(masks, levels):
    before = masks.copy()
    parts = np.array(partition(list(masks), lambda number, part: crop(levels[number], part)))
    assert np.array_equal(masks, before)
    assert (parts <= masks).all()
    assert np.array_equal(parts.sum(axis=0), masks.any(axis=0))
    areas = masks.sum(axis=(1, 2))
    depths = [
        sum((one & other).sum() >= 0.8 * area for other in masks if area < other.sum())
        for one, area in zip(masks, areas, strict=True)
    ]
    for row, column in zip(*np.nonzero(masks.any(axis=0)), strict=True):
        claims = [number for number in range(3) if masks[number, row, column]]
        here = levels[:, row, column] + depths
        best = max(claims, key=lambda number: (here[number], -areas[number], -number))
        assert parts[best, row, column]


def test_masks_that_do_not_meet_are_the_same_objects():
    left, right = np.zeros((2, 5, 8), bool)
    left[:, :3], right[:, 5:] = True, True
    assert all(one is other for one, other in zip(partition([left, right], None), (left, right), strict=True))
    assert partition([np.zeros((5, 8), bool), left], None)[1] is left


def test_results_of_neighbours_do_not_overlap(colour_model, disc):
    predictor = Predictor(colour_model)
    pixels = np.asarray(disc[0])
    results = [predictor.segment(pixels, [(50, 60)]), predictor.segment(pixels, [(80, 60), (90, 62)])]
    assert (results[0].mask & results[1].mask).any()
    apart = exclusive(results)
    assert not (apart[0].mask & apart[1].mask).any()
    assert np.array_equal(apart[0].mask | apart[1].mask, results[0].mask | results[1].mask)
    assert [one.confidence for one in apart] == [one.confidence for one in results]
    assert exclusive(results[:1]) == tuple(results[:1])


masks_and_click = st.tuples(
    arrays(np.bool_, (3, 8, 9)), st.lists(st.builds(Click, st.integers(0, 8), st.integers(0, 7)), max_size=3)
)


@given(masks_and_click)
def test_beside_finished_masks_only_disputed_pixels_go_and_clicked_ones_stay(given):
    (mask, *finished), clicks = given
    before = mask.copy()
    found = beside(mask, finished, clicks)
    assert np.array_equal(mask, before)
    assert (found <= mask).all()
    in_front = [other for other in finished if 2 * (mask & other).sum() > mask.sum()]
    held = [other for other in finished if 2 * (mask & other).sum() <= mask.sum()]
    elsewhere = mask & ~np.logical_or.reduce([np.zeros_like(mask), *held])
    assert (found >= elsewhere).all()
    assert all(found[click.y, click.x] == mask[click.y, click.x] for click in clicks)
    if not clicks:
        assert not any((found & other).any() for other in held)
        assert np.array_equal(beside(mask, in_front), mask)


def test_a_thing_in_front_of_a_finished_one_stays_whole():
    """A wheel of a finished car, by click or box; the car after the wheel has a hole until it is clicked."""
    car, wheel = np.zeros((2, 20, 40), bool)
    car[4:16, 2:38] = wheel[10:15, 6:11] = True
    assert np.array_equal(beside(wheel, [car], [Click(8, 12)]), wheel)
    assert np.array_equal(beside(wheel, [car]), wheel)
    assert np.array_equal(beside(car, [wheel], [Click(20, 8)]), car & ~wheel)
    assert np.array_equal(beside(car, [wheel], [Click(20, 8), Click(8, 12)]), car)


def test_of_two_disputed_parts_the_clicked_one_stays():
    mask, other = np.zeros((2, 20, 40), bool)
    mask[:, 4:36] = True
    other[2:5, 20:], other[12:16, 30:] = True, True
    found = beside(mask, [other], [Click(33, 13), Click(21, 3, False)])
    assert not found[2:5, 20:].any()
    assert found[12:16, 30:36].all()


def overlaid(*masks: np.ndarray) -> list[list[int]]:
    found = Overlaid(masks[0].shape)
    for mask in masks:
        found.add(mask)
    return found.numbers.tolist()


def test_the_smaller_mask_lies_in_front() -> None:
    large, small = np.ones((1, 4), bool), np.array([[False, True, True, False]])
    assert overlaid(large, small) == [[1, 2, 2, 1]]
    assert overlaid(small, large) == [[2, 1, 1, 2]]
    assert overlaid(large, large) == [[1, 1, 1, 1]]
    assert overlaid(small, ~large, large) == [[3, 1, 1, 3]]


def test_an_object_without_a_mask_takes_a_number() -> None:
    found = Overlaid((1, 2))
    for mask in (None, np.array([[True, False]]), np.zeros((1, 2), bool), np.array([[False, True]])):
        found.add(mask)
    assert found.numbers.tolist() == [[2, 4]]


def test_masks_of_another_size_are_not_laid_over() -> None:
    with pytest.raises(DataError, match="one size"):
        overlaid(np.ones((1, 2), bool), np.ones((2, 2), bool))


@given(arrays(np.bool_, (4, 6, 7)))
def test_the_smallest_lies_on_top_as_a_painter_would_do_it(masks):
    found, painted = Overlaid((6, 7)), np.zeros((6, 7), int)
    for mask in masks:
        found.add(mask)
    for number in sorted(range(4), key=lambda number: (masks[number].sum(), number), reverse=True):
        painted[masks[number]] = number + 1
    assert np.array_equal(found.numbers, painted)
