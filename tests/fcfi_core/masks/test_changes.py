"""Changes found by words are the changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.masks.changes import changes_across, changes_down, framed


def picture(height, width, seed, share):
    return (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000), st.sampled_from((0.0, 0.02, 0.5, 1.0)))
def test_words_miss_no_change_and_invent_none(height, width, seed, share):
    pixels = picture(height, width, seed, share)
    padded = np.pad(pixels, 1)
    given_frame = framed(pixels)
    assert np.array_equal(given_frame, padded)
    for found, expected in (
        (changes_down(given_frame), np.nonzero(padded[:-1] != padded[1:])),
        (changes_across(given_frame), np.nonzero(np.diff(padded, axis=1, prepend=0))),
    ):
        assert np.array_equal(found[0], expected[0])
        assert np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("width", [5, 6, 7, 13, 14, 15])
def test_a_change_at_the_border_of_a_word(width):
    pixels = np.ones((1, width), np.uint8)
    assert changes_across(framed(pixels))[1].tolist() == [1, width + 1]
