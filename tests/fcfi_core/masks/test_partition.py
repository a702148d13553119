"""Masks without overlaps: nothing is lost, nothing is twice, the likeliest wins."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core.masks.extent import crop
from fcfi_core.masks.partition import partition
from fcfi_core.predictor import Predictor
from fcfi_core.results import exclusive

levels = arrays(np.float32, (3, 6, 7), elements=st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0)).map(np.float32))


@given(arrays(np.bool_, (3, 6, 7)), levels)
def test_each_pixel_goes_to_the_likeliest(masks, levels):
    before = masks.copy()
    parts = np.array(partition(list(masks), lambda number, part: crop(levels[number], part)))
    assert np.array_equal(masks, before)
    assert (parts <= masks).all()
    assert np.array_equal(parts.sum(axis=0), masks.any(axis=0))
    areas = masks.sum(axis=(1, 2))
    for row, column in zip(*np.nonzero(masks.any(axis=0)), strict=True):
        claims = [number for number in range(3) if masks[number, row, column]]
        best = max(claims, key=lambda number: (levels[number, row, column], -areas[number], -number))
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
