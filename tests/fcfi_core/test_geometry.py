"""Frames: the official integers, and the way there and back."""

from __future__ import annotations

from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core import geometry
from fcfi_core.clicks import Click
from fcfi_core.geometry import Frame
from fcfi_core.regions import Region
from tests.fcfi_core.test_regions import regions

WAYS = st.sampled_from((0, 1 << 19)).map(lambda few: patch.object(geometry, "_FEW_PIXELS", few))
"""A mask's pixels are all calculated, or those along its edge alone."""


@pytest.mark.parametrize(
    ("size", "box", "ratio", "target", "region", "frame", "click", "placed"),
    [
        ((515, 829), (402, 462, 50, 433), 1.4, 400, (332, 514, 0, 510), (143, 400), None, None),
        (
            (280, 480),
            (189, 207, 273, 337),
            3.2,
            720,
            (103, 279, 8, 479),
            (270, 720),
            Click(181, 266),
            (248.64406779661016, 263.89830508474574),
        ),
    ],
)
def test_zoom_by_hand(size, box, ratio, target, region, frame, click, placed):
    clicks = [click] if click else []
    expanded = Region(*box).including(clicks).expanded(ratio, 200, *size)
    shown = Frame.of(expanded, size, target=target, align_corners=True)
    assert expanded == Region(*region)
    assert shown.size == frame
    if click:
        assert shown.apply_clicks(clicks)[0] == pytest.approx(placed, abs=1e-9)


@given(regions(40, 50), st.integers(16, 64), st.sampled_from([1, 8]))
@settings(deadline=None)
def test_sides_are_multiples_and_the_longer_one_is_the_target(region, target, multiple):
    frame = Frame.of(region, (40, 50), target=target * multiple, multiple=multiple)
    assert max(frame.size) == target * multiple
    assert min(frame.size) >= multiple
    assert frame.height % multiple == frame.width % multiple == 0


@given(regions(40, 50), st.integers(16, 64))
@settings(deadline=None)
def test_a_clicked_pixel_lands_in_the_frame_pixel_that_covers_it(region, target):
    frame = Frame.of(region, (40, 50), target=target)
    marked = np.zeros((40, 50), np.float32)
    click = Click((region.left + region.right) // 2, (region.top + region.bottom) // 2)
    marked[click.y, click.x] = 1
    row, column = frame.apply_clicks([click])[0]
    assert frame.apply_map(marked)[int(row), int(column)] > 0


@pytest.mark.parametrize("align_corners", [True, False])
@given(region=regions(40, 50))
@settings(deadline=None)
def test_a_ramp_survives_the_way_there_and_back(region, align_corners):
    frame = Frame.of(region, (40, 50), target=128, align_corners=align_corners)
    rows, columns = np.mgrid[:40, :50].astype(np.float32)
    ramp = (rows + 2 * columns) / 150
    error = np.abs(frame.invert(frame.apply_map(ramp)) - ramp[region.slices])
    # Beyond the outermost centres there is nothing to interpolate: up to half a pixel of the ramp is lost.
    assert error.max() <= (1e-5 if align_corners else 1.5 / 150)


@given(regions(40, 50), st.integers(8, 90))
@settings(deadline=None, max_examples=30)
def test_the_official_convention_is_that_of_torch(region, target):
    frame = Frame.of(region, (40, 50), target=target, align_corners=True)
    full = np.random.default_rng(1).random((40, 50), np.float32)
    crop = torch.from_numpy(full[region.slices].copy())[None, None]
    expected = torch.nn.functional.interpolate(crop, frame.size, mode="bilinear", align_corners=True)
    assert np.abs(frame.apply_map(full) - expected[0, 0].numpy()).max() < 1e-5
    whole = Frame.of(Region.whole(40, 50), (40, 50), target=None, align_corners=True)
    assert np.abs(whole.moved(full, frame) - frame.apply_map(full)).max() < 1e-5
    back = torch.nn.functional.interpolate(
        expected, (region.height, region.width), mode="bilinear", align_corners=True
    )
    assert np.abs(frame.invert(expected[0, 0].numpy()) - back[0, 0].numpy()).max() < 1e-5


@given(regions(90, 120), st.integers(8, 40), st.floats(0.1, 0.9), WAYS)
@settings(deadline=None, max_examples=60)
def test_above_is_paste_and_compare(region, target, threshold, way):
    frame = Frame.of(region, (90, 120), target=target)
    view = np.random.default_rng(target).random(frame.size, np.float32)
    with way:
        assert np.array_equal(frame.above(view, threshold), frame.paste(view) > threshold)


@given(regions(90, 120), st.integers(8, 200), st.sampled_from((0.25, 0.5, 0.75)), st.booleans(), WAYS)
@settings(deadline=None, max_examples=90)
def test_above_of_a_smooth_map_with_values_on_the_threshold(region, target, threshold, align_corners, way):
    frame = Frame.of(region, (90, 120), target=target, align_corners=align_corners)
    rough = np.random.default_rng(target).random(frame.size, np.float32)
    view = np.round(cv2.GaussianBlur(rough, (0, 0), 3) * 40 - 18).clip(0, 4).astype(np.float32) / 4
    with way:
        assert np.array_equal(frame.above(view, threshold), frame.paste(view) > threshold)


@given(regions(90, 120), st.integers(4, 200), st.floats(0, 1), st.integers(1, 4000))
@settings(deadline=None, max_examples=60)
def test_the_pixels_under_marked_ones_come_once_and_in_parts(region, target, share, most):
    frame = Frame.of(region, (90, 120), target=target)
    marked = np.random.default_rng(target).random(frame.size) < share
    rows = np.arange(region.height) * frame.height // region.height
    columns = np.arange(region.width) * frame.width // region.width
    expected = np.zeros((90, 120), np.int64)
    expected[region.slices] = marked[np.ix_(rows, columns)]
    found = np.zeros((90, 120), np.int64)
    for y, x in frame.pixels_under(marked, most):
        assert len(y) == len(x) <= most + region.width
        np.add.at(found, (y, x), 1)
    assert np.array_equal(found, expected)


@given(regions(90, 120), st.integers(4, 200), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_of_the_pixels_under_marked_ones_come_those_interpolated_in_given_cells(region, target, share, open_):
    frame = Frame.of(region, (90, 120), target=target)
    random = np.random.default_rng(target)
    marked, cells = random.random(frame.size) < share, random.random(frame.size) < open_
    under, found = np.zeros((90, 120), bool), np.zeros((90, 120), bool)
    for y, x in frame.pixels_under(marked, 1000):
        under[y, x] = True
    for y, x in frame.pixels_under(marked, 1000, cells=cells):
        found[y, x] = True
    assert not (found & ~under).any()
    upper, left = (
        np.clip(np.floor((np.arange(extent) + 0.5) * (size / extent) - 0.5), 0, size - 1).astype(int)
        for extent, size in zip((region.height, region.width), frame.size, strict=True)
    )
    wanted = np.zeros((90, 120), bool)
    wanted[region.slices] = cells[np.ix_(upper, left)]
    if frame.height <= region.height and frame.width <= region.width:
        assert np.array_equal(found, under & wanted)
    else:
        assert np.array_equal(found, under)


@given(regions(90, 120), st.integers(4, 200), st.floats(0, 1), WAYS)
@settings(deadline=None, max_examples=90)
def test_above_leaves_the_edge_to_the_caller_where_that_is_asked(region, target, share, way):
    frame = Frame.of(region, (90, 120), target=target)
    random = np.random.default_rng(target)
    view, but = random.random(frame.size, np.float32), random.random(frame.size) < share
    with way:
        whole, rest = frame.above(view, 0.5), frame.above(view, 0.5, but=but)
    left = np.zeros((90, 120), bool)
    for y, x in frame.pixels_under(but, 1000):
        left[y, x] = True
    assert not ((whole != rest) & ~left).any()
    assert not (rest & ~whole).any()  # what is filled without calculation is right everywhere


@given(regions(90, 120), st.integers(8, 40), WAYS)
@settings(deadline=None, max_examples=60)
def test_the_foreground_holds_the_mask(region, target, way):
    frame = Frame.of(region, (90, 120), target=target)
    view = (np.random.default_rng(target).random(frame.size) ** 8).astype(np.float32)
    found = frame.foreground(view, 0.5, margin=1)
    with way:
        mask = frame.above(view, 0.5)
    if mask.any():
        mask[found.slices] = False
    assert not mask.any()


def test_moving_a_map_keeps_the_place_and_leaves_zero_beyond():
    whole = Frame.of(Region.whole(80, 80), (80, 80), target=80)
    left = Frame.of(Region(0, 79, 0, 39), (80, 80), target=80)
    full = np.zeros((80, 80), np.float32)
    full[20:60, 10:30] = 1
    assert np.array_equal(whole.moved(full, left), left.apply_map(full))
    back = left.moved(left.apply_map(full), whole)
    assert np.array_equal(back, full)
    filled = left.moved(np.ones(left.size, np.float32), whole)
    assert filled[:, :40].all()
    assert not filled[:, 40:].any()


def test_shrinking_an_image_averages_its_pixels():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255
    frame = Frame.of(Region.whole(64, 64), (64, 64), target=8)
    assert np.abs(frame.apply(stripes) - 1 / 8).max() < 0.01
