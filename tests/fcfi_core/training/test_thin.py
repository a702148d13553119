from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.training.thin import draw_thin_structure

PHOTO = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_a_drawn_structure_is_thin_and_marked_where_it_is(seed):
    image, target = draw_thin_structure(PHOTO, np.random.default_rng(seed))
    assert image.shape == PHOTO.shape
    assert (image.dtype, target.dtype) == (np.uint8, np.uint8)
    assert set(np.unique(target)) <= {0, 1}
    # A wave may widen 8 pixels by a third; where branches meet, a line is wider still.
    assert cv2.distanceTransform(target, cv2.DIST_L2, 5).max() < 14


def test_the_same_seed_draws_the_same():
    drawn = [draw_thin_structure(PHOTO, np.random.default_rng(5)) for _ in range(2)]
    assert np.array_equal(drawn[0][0], drawn[1][0])
    assert np.array_equal(drawn[0][1], drawn[1][1])


def test_most_lines_can_be_seen():
    grey = np.full((128, 128, 3), 128, np.uint8)
    visible = []
    for seed in range(60):
        image, target = draw_thin_structure(grey, np.random.default_rng(seed))
        drawn_on_photo = (image == 128).all(axis=2).mean() > 0.5  # and not on a grainy surface
        if target.sum() > 40 and drawn_on_photo:
            line, rest = image[target == 1].mean(axis=0), image[target == 0].mean(axis=0)
            visible.append(abs(line - rest).max() > 8)
    assert np.mean(visible) > 0.8


def test_the_photo_stays_as_it_is():
    before = PHOTO.copy()
    draw_thin_structure(PHOTO, np.random.default_rng(1))
    assert np.array_equal(PHOTO, before)
