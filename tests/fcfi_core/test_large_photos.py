"""Frames that show little of a large photo are made from its reduced copy, and show the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core import images
from fcfi_core.geometry import COARSE, REDUCTION, Frame
from fcfi_core.protocol import parity, product
from fcfi_core.regions import Region
from fcfi_core.rules import rules_of


@pytest.fixture(scope="module")
def photo():
    """(2004, 3000, 3) uint8: soft noise with a disk."""
    random = np.random.default_rng(4)
    pixels = cv2.resize(random.integers(0, 256, (40, 60, 3), dtype=np.uint8), (3000, 2004))
    cv2.circle(pixels, (1400, 900), 500, (230, 200, 40), -1)
    return images.load(pixels)


def frame_of(region, size=(2004, 3000), target=320):
    return Frame.of(region, size, target=target, multiple=16)


@pytest.mark.parametrize(
    "region", [Region.whole(2004, 3000), Region(0, 1999, 400, 2999), Region(4, 2003, 8, 2807)]
)
def test_the_reduced_copy_shows_the_same_but_for_two_grey_levels(photo, region):
    frame = frame_of(region)
    assert frame.is_coarse
    difference = np.abs(photo.seen(frame) - frame.apply(photo.pixels))
    assert np.array_equal(photo.seen(frame), frame.shown_reduced(photo.quarter) / np.float32(255))
    assert np.quantile(difference, 0.995) <= 2.5 / 255
    assert difference.max() <= 24 / 255  # along the disk, an edge harder than any lens draws
    assert difference.mean() < 0.5 / 255


def test_frames_that_need_the_pixels_are_not_coarse():
    assert not frame_of(Region(1, 2000, 0, 2999)).is_coarse  # an edge within a pixel of the copy
    assert not frame_of(Region(0, 1199, 0, 1199)).is_coarse  # shows more than the copy has
    whole = Region.whole(2003, 3000)
    assert not Frame.of(whole, (2003, 3000), target=320).is_coarse
    official = Frame.of(Region.whole(2004, 3000), (2004, 3000), target=320, align_corners=True)
    assert not official.is_coarse


@given(st.integers(0, 3990), st.integers(0, 3990), st.integers(0, 5990), st.integers(0, 5990))
def test_large_parts_meet_the_copy_and_hold_what_they_held(a, b, c, d):
    size = (4000, 6000)
    region = Region(min(a, b), max(a, b), min(c, d), max(c, d))
    seen = rules_of(product(), 16).zoomed(region, size).region
    assert (seen.top, seen.left) <= (region.top, region.left)
    assert region.top - seen.top < REDUCTION > seen.bottom - region.bottom >= 0
    if max(region.height, region.width) >= COARSE * 384:
        assert not any(edge % REDUCTION for edge in (seen.top, seen.left, seen.height, seen.width))
    else:
        assert seen == region
    assert rules_of(parity(400), 16).zoomed(region, size).region == region


def test_the_copy_is_the_mean_of_blocks_and_cannot_be_changed(photo):
    blocks = photo.pixels.reshape(501, 4, 750, 4, 3).mean(axis=(1, 3))
    assert np.abs(photo.quarter - blocks).max() <= 0.51
    assert not photo.quarter.flags.writeable
    assert photo.quarter is photo.quarter


def test_small_photos_have_a_copy_too():
    assert images.load(np.zeros((9, 10, 3), np.uint8)).quarter.shape == (2, 2, 3)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_kept_view_is_that_of_its_frame(photo, align_corners):
    frames = [
        Frame.of(region, (2004, 3000), target=target, multiple=16, align_corners=align_corners)
        for region, target in ((Region.whole(2004, 3000), 320), (Region(10, 700, 20, 900), 320))
    ]
    for frame in (frames[0], frames[0], frames[1], frames[0]):
        expected = frame.apply(photo.pixels)
        if frame.is_coarse:
            expected = frame.shown_reduced(photo.quarter) / np.float32(255)
        assert np.array_equal(photo.seen(frame), expected)
        photo.seen(frame)[:] = 0  # what is given away may be changed
