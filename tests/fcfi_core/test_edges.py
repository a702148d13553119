"""Edges where the colours change, and only there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.edges import DOUBT, RADIUS, STRONGEST, VARIANCE, _band, sharpened
from fcfi_core.geometry import Frame
from fcfi_core.images import load
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol, parity, product
from fcfi_core.regions import Region

HEIGHT, WIDTH = 200, 300


def soft(shift=0.0, scale=1.0):
    """A vertical edge at column 150, as a network shows it: soft, and off by ``shift`` pixels."""
    height, width = round(HEIGHT * scale), round(WIDTH * scale)
    columns = (np.arange(width) + 0.5) / scale
    row = 1 / (1 + np.exp(-(columns - 150 - shift) / (4 / scale)))
    return np.tile(row.astype(np.float32), (height, 1))


def photo(noise=4):
    random = np.random.default_rng(0)
    pixels = np.full((HEIGHT, WIDTH, 3), (60, 90, 60))
    pixels[:, 150:] = (170, 60, 50)
    return np.clip(pixels + random.normal(0, noise, pixels.shape), 0, 255).astype(np.uint8)


def frame(view):
    return Frame(Region.whole(HEIGHT, WIDTH), *view.shape, HEIGHT, WIDTH)


TRUTH = np.tile(np.arange(WIDTH) >= 150, (HEIGHT, 1))


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("shift", [-2.5, 0.0, 2.5])
def test_an_edge_goes_where_the_colours_change(shift, scale):
    view = soft(shift, scale)
    before = (frame(view).above(view, 0.5) != TRUTH).sum()
    after = (sharpened(load(photo()), frame(view), view, 0.5) != TRUTH).sum()
    assert after < 0.25 * before if shift else after <= before


def test_without_a_difference_of_colours_nothing_moves():
    view = soft(3.0)
    flat = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    assert np.array_equal(sharpened(load(flat), frame(view), view, 0.5), frame(view).above(view, 0.5))


@given(st.integers(0, 10_000), st.sampled_from((0.3, 0.49, 0.7)))
def test_only_doubtful_pixels_change_sides(seed, threshold):
    random = np.random.default_rng(seed)
    view = cv2.GaussianBlur(random.random((60, 80)).astype(np.float32), (0, 0), 4)
    view = np.clip((view - view.mean()) * 12 + 0.5, 0, 1).astype(np.float32)
    pixels = random.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    seen = Frame(Region.whole(120, 160), 60, 80, 120, 160)
    changed = sharpened(load(pixels), seen, view, threshold) != seen.above(view, threshold)
    probability = seen.paste(view)[changed]
    assert ((probability > DOUBT - 1e-2) & (probability < 1 - DOUBT + 1e-2)).all()


def plainly(image, seen, view, threshold):
    """The mask by the formula, at every pixel of the photo."""
    window, grey = (2 * RADIUS + 1,) * 2, np.float32(255)

    def mean(values):
        return cv2.boxFilter(values, -1, window, borderType=cv2.BORDER_REFLECT)

    def statistics(weights):
        total = mean(weights)[..., None] + np.float32(1e-6)
        average = mean(colours * weights[..., None]) / total
        variance = mean(colours * weights[..., None] * colours) / total - average**2
        return average, np.maximum(variance, 0) + np.float32(VARIANCE)

    colours = seen.apply(image.pixels)
    (mean_in, in_), (mean_out, out) = statistics(view), statistics(1 - view)
    constant = 0.5 * np.log(out / in_) + 0.5 * mean_out**2 / out - 0.5 * mean_in**2 / in_
    maps = (0.5 / out - 0.5 / in_, mean_in / in_ - mean_out / out, constant.sum(axis=2), view)
    down, across = np.indices((image.height, image.width), np.float64)
    region = seen.region
    down = (down - region.top + 0.5) * (seen.height / region.height) - 0.5
    across = (across - region.left + 0.5) * (seen.width / region.width) - 0.5
    places = (
        np.clip(position, 0, size - 1).astype(np.float32)
        for position, size in zip((across, down), (seen.width, seen.height), strict=True)
    )
    columns, rows = places
    squares, linear, constant, probability = (cv2.remap(one, columns, rows, cv2.INTER_LINEAR) for one in maps)
    pixels = image.pixels.astype(np.float32) / grey
    ratio = ((squares * pixels + linear) * pixels).sum(axis=2) + constant
    evidence = np.log(probability / (1 - probability)) + np.clip(ratio, -STRONGEST, STRONGEST)
    near = np.zeros((image.height, image.width), bool)
    for y, x in seen.pixels_under(_band(view, threshold), 1000):
        near[y, x] = True
    near &= (probability > DOUBT) & (probability < 1 - DOUBT)
    return np.where(near, evidence > np.log(threshold / (1 - threshold)), seen.above(view, threshold))


@given(
    st.integers(0, 10_000),
    st.sampled_from(((0, 239, 0, 319), (16, 215, 40, 299), (100, 121, 120, 149))),
    st.sampled_from((0.15, 0.3, 0.49, 0.5)),
)
@settings(deadline=None, max_examples=30)
def test_the_mask_is_that_of_the_formula(seed, edges, threshold):
    random = np.random.default_rng(seed)
    seen = Frame.of(Region(*edges), (240, 320), target=64)
    view = cv2.GaussianBlur(random.random(seen.size).astype(np.float32), (0, 0), 3)
    view = np.clip((view - view.mean()) * 9 + 0.5, 1e-3, 1 - 1e-3).astype(np.float32)
    rough = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = load(cv2.resize(rough, (320, 240), interpolation=cv2.INTER_CUBIC))
    assert np.array_equal(sharpened(image, seen, view, threshold), plainly(image, seen, view, threshold))


def test_a_part_of_a_photo_is_sharpened_where_it_lies():
    view = soft(2.0)[50:150, 100:200]
    seen = Frame(Region(50, 149, 100, 199), 100, 100, HEIGHT, WIDTH)
    found = sharpened(load(photo()), seen, view, 0.5)
    assert not found[:50].any()
    assert not found[150:].any()
    assert (found[50:150, 100:200] != TRUTH[50:150, 100:200]).mean() < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_strips_of_a_large_frame_give_what_the_whole_gives(monkeypatch, seed):
    random = np.random.default_rng(seed)
    view = cv2.GaussianBlur(random.random((90, 120)).astype(np.float32), (0, 0), 5)
    view = np.clip((view - view.mean()) * 12 + 0.5, 0, 1).astype(np.float32)
    view[30:52] = 0  # a strip without an edge
    pixels = random.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    seen = Frame(Region.whole(90, 120), 90, 120, 90, 120)
    whole = sharpened(load(pixels), seen, view, 0.5)
    monkeypatch.setattr("fcfi_core.edges._AT_ONCE", 90 * 120 // 2)
    strips = sharpened(load(pixels), seen, view, 0.5)
    # Sums of other stretches round otherwise: a pixel at the very limit may change sides.
    assert np.count_nonzero(strips != whole) <= 1
    assert not np.array_equal(strips, seen.above(view, 0.5))


def test_nothing_and_everything():
    view = np.zeros((40, 60), np.float32)
    assert not sharpened(load(photo()), frame(view), view, 0.5).any()
    assert sharpened(load(photo()), frame(view), view + 1, 0.5).all()


def test_who_is_sharpened():
    assert product("mobilenetv2").local_colours
    assert not product("hrnet18").local_colours
    assert not parity().local_colours
    assert not Protocol().switched(local_colours=None).local_colours
    assert Protocol().switched(local_colours=True).local_colours


def test_the_network_sees_nothing_of_it(tiny_model, photo):
    sharp = Predictor(tiny_model, protocol=tiny_model.protocol.switched(local_colours=True))
    plain = Predictor(tiny_model)
    clicks = [(70, 40), (20, 20, False), (75, 50)]
    one, other = sharp.segment(photo, clicks), plain.segment(photo, clicks)
    assert np.array_equal(one.probability, other.probability)
    assert one.confidence == other.confidence
