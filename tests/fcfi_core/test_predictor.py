"""The mask is a function of image, clicks, box and prior mask, however it is reached."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import ImageError, PromptError, SettingsError
from fcfi_core.model import load_model
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.protocol import parity
from fcfi_core.regions import Region


def same(first, second):
    return np.array_equal(first.probability, second.probability) and np.array_equal(first.mask, second.mask)


def test_a_click_cuts_something_out(tiny_model, photo):
    result = Predictor(tiny_model).segment(photo, [(70, 40)])
    assert result.mask.shape == (90, 120)
    assert result.mask.dtype == np.bool_
    assert result.probability.dtype == np.float32
    assert result.mask[40, 70]
    assert np.array_equal(result.mask, result.probability > 0.49)
    assert result.box is not None
    assert set(result.timings) == {"decode", "encode", "network", "rest", "total"}


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (17, 5)])
def test_images_of_any_size(tiny_model, size):
    predictor = Predictor(tiny_model)
    pixels = np.full((*size, 3), 200, np.uint8)
    result = predictor.segment(pixels, [(0, 0), (size[1] - 1, size[0] - 1)])
    assert result.mask.shape == size


def test_nothing_to_go_by(tiny_model, photo):
    with pytest.raises(PromptError, match="no click, no box and no prior mask"):
        Predictor(tiny_model).segment(photo)
    assert Predictor(tiny_model).open(photo).result is None


def test_a_prior_mask_of_another_size(tiny_model, photo):
    with pytest.raises(PromptError, match=r"\(5, 5\)"):
        Predictor(tiny_model).segment(photo, prior_mask=np.ones((5, 5), bool))


def test_warming_up_works_under_any_pixel_limit(tiny_model):
    Predictor(tiny_model, max_pixels=100).warm_up()


@pytest.fixture(scope="module")
def strip():
    """A picture 30 times as wide as high, and in the middle of it a red disc."""
    random = np.random.default_rng(0)
    pixels = np.full((100, 3000, 3), (96, 104, 90), np.uint8) + random.integers(
        0, 16, (100, 3000, 3), np.uint8
    )
    rows, columns = np.mgrid[:100, :3000]
    disc = np.hypot(columns - 1500, rows - 50) <= 30
    pixels[disc] = (200, 40, 30)
    return pixels, disc


@pytest.mark.parametrize("upright", [False, True])
def test_one_click_is_enough_in_a_picture_of_any_shape(strip, upright):
    pixels, disc = strip
    click = Click(1500, 50)
    if upright:
        pixels, disc, click = np.ascontiguousarray(pixels.transpose(1, 0, 2)), disc.T, Click(50, 1500)
    mask = Predictor(load_model("default", device="cpu", threads=1)).segment(pixels, [click]).mask
    assert (mask & disc).sum() / (mask | disc).sum() > 0.9


def test_only_the_product_looks_at_a_part_of_a_strip_first(tiny_model, strip):
    pixels, _ = strip
    clicks = [Click(9, 9, positive=False), Click(1500, 50)]
    seen = Predictor(tiny_model).segment(pixels, clicks).frame.region
    assert seen == Region(0, 99, 1425, 1574)
    official = Predictor(tiny_model, protocol=replace(parity(), first_side=64))
    assert official.segment(pixels, clicks).frame.region == Region.whole(100, 3000)


def test_another_answer_in_a_strip_takes_a_click_on_the_same_place(strip):
    height, width = strip[1].shape
    assert not Prompt.of([(1500, 50), (1500, 60)]).repetitions(height, width)
    assert Prompt.of([(1500, 50), (1500, 51)]).repetitions(height, width)


# --- what Python users write ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "box",
    [(50, 20, 90, 60), [90, 60, 50, 20], np.array([50, 20, 90, 60]), torch.tensor([50.0, 20, 90, 60])],
    ids=str,
)
def test_boxes_come_in_any_form(predictor, photo, box):
    right = predictor.segment(photo, box=Box(50, 20, 90, 60)).mask
    assert np.array_equal(predictor.segment(photo, box=box).mask, right)
    assert np.array_equal(predictor.open(photo, box=box).result.mask, right)


@pytest.mark.parametrize("box", [(1, 2, 3), "1,2,3,4", 5, np.zeros((2, 2)), ("a", 1, 2, 3)])
def test_what_is_no_box_is_named(photo, predictor, box):
    with pytest.raises(PromptError, match="box"):
        predictor.segment(photo, box=box)


def test_many_images_are_what_one_by_one_gives(predictor, photo):
    prompts = [[(70, 40)], Prompt.of(box=(50, 20, 90, 60)), np.array([[30, 30]])]
    sources = [photo, predictor.load(photo), photo[::-1]]
    found = list(predictor.segment_many(iter(sources), prompts))
    for source, prompt, result in zip(sources, prompts, found, strict=True):
        asked = prompt if isinstance(prompt, Prompt) else Prompt.of(prompt)
        assert np.array_equal(result.mask, predictor.answer(source, asked).mask)


def test_one_bad_image_does_not_spoil_the_others(predictor, photo):
    sources, prompts = [photo, "nowhere.png", photo], [[(70, 40)], [(1, 1)], [(999, 1)]]
    found = list(predictor.segment_many(sources, prompts, keep_going=True))
    assert [type(one).__name__ for one in found] == ["Result", "ImageError", "PromptError"]
    with pytest.raises(ImageError, match="nowhere"):
        list(predictor.segment_many(sources, prompts))
    with pytest.raises(SettingsError, match="one prompt for each image"):
        list(predictor.segment_many(sources, prompts[:2], keep_going=True))


def test_a_predictor_travels_to_a_worker_process(photo):
    ours = Predictor(load_model("default", device="cpu", threads=1), max_pixels=50_000, memo_bytes=7_000_000)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        theirs = pool.submit(ours.segment, photo, [(70, 40)]).result(timeout=250)
    assert np.array_equal(theirs.mask, ours.segment(photo, [(70, 40)]).mask)
    again = pickle.loads(pickle.dumps(ours))
    assert again.model.key == ours.model.key
    with pytest.raises(ImageError, match=r"0\.05 megapixels"):
        again.segment(np.zeros((300, 300), np.uint8), [(1, 1)])


def test_everything_is_told_in_one_line(predictor, photo):
    session = predictor.open(photo, box=(50, 20, 90, 60))
    for one in (predictor, predictor.model, session, session.result, session.prompt, predictor.load(photo)):
        assert len(repr(one)) < 160
        assert "\n" not in repr(one)
