"""Images in order of need."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from fcfi_core import Predictor
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import DataError, ImageError, PromptError
from fcfi_core.pipelines.prompts import ImagePrompts, ObjectPrompt, OpenedImage, PromptSource
from fcfi_core.pipelines.ranking import Need, batches, by_need, needs, photos_without_prompts


@pytest.fixture
def predictor(colour_model):
    return Predictor(colour_model)


def source(*images):
    found = [
        ImagePrompts(f"{number}.png", (lambda opened=opened: opened), number)
        for number, opened in enumerate(images)
    ]
    return PromptSource("some", "", found, {})


def test_an_image_needs_as_much_as_its_objects_are_doubtful(predictor, disc):
    picture, truth = disc
    objects = (
        ObjectPrompt("1", clicks=(Click(60, 60),)),
        ObjectPrompt("2", box=Box(30, 30, 100, 100)),
        ObjectPrompt("3", clicks=(Click(5, 5),), prior_mask=lambda: truth),
    )
    (found,) = needs(predictor, source(OpenedImage(picture, objects)))
    each = [predictor.answer(picture, one.prompt(lambda *_: None)).confidence for one in objects]
    assert found == Need("0.png", 0, pytest.approx(1 - np.mean(each)), 3, min(each))


def test_without_prompts_nine_places_are_asked(predictor, disc, tmp_path):
    (tmp_path / "below").mkdir()
    disc[0].save(tmp_path / "below" / "disc.png")
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "below" / "._disc.png").write_bytes(b"hidden, as macOS leaves it")
    photos = photos_without_prompts(tmp_path)
    assert [image.name for image in photos.images] == ["below/disc.png"]
    (found,) = needs(predictor, photos)
    places = [(int(160 * x), int(120 * y)) for y in (1 / 6, 1 / 2, 5 / 6) for x in (1 / 6, 1 / 2, 5 / 6)]
    each = [predictor.segment(disc[0], [place]).confidence for place in places]
    assert found.objects == 9
    assert found.need == pytest.approx(1 - np.mean(each))
    with pytest.raises(DataError, match="no photo"):
        photos_without_prompts(tmp_path / "below" / "missing")


def test_one_bad_image_or_object_spoils_nothing(predictor, disc):
    def unreadable():
        raise ImageError("the image is cut short.")

    def broken():
        raise PromptError("no mask.")

    objects = (ObjectPrompt("1", prior_mask=broken), ObjectPrompt("2", clicks=(Click(60, 60),)))
    images = source(OpenedImage(disc[0], objects), OpenedImage(disc[0], objects[:1])).images
    found = needs(predictor, PromptSource("some", "", [*images, ImagePrompts("bad", unreadable)], {}))
    assert (found[0].objects, found[0].error) == (1, "")
    assert "no object" in found[1].error
    assert found[2].error == "the image is cut short."
    assert [one.image for one in by_need(found)] == ["0.png", "1.png", "bad"]


def test_the_neediest_come_first_and_batches_keep_the_order_of_the_source():
    values = [0.1, 0.9, 0.5, 0.5, math.nan]
    found = [Need(str(n), None, value, 1, 0.5, "bad" if n == 4 else "") for n, value in enumerate(values)]
    assert [one.image for one in by_need(found)] == ["1", "2", "3", "0", "4"]
    made = batches(found, 2)
    assert [(one.number, one.first, one.last) for one in made] == [(0, 0, 1), (1, 2, 3), (2, 4, 4)]
    assert [one.need for one in made[:2]] == [0.5, 0.5]
    assert math.isnan(made[2].need)


def test_a_noisy_photo_needs_more_than_a_plain_one(predictor, disc):
    plain = np.asarray(disc[0])
    noise = np.random.default_rng(0).normal(0, 60, plain.shape)
    noisy = np.clip(cv2.GaussianBlur(plain, (0, 0), 9) + noise, 0, 255).astype(np.uint8)
    objects = (ObjectPrompt("1", clicks=(Click(60, 60),)),)
    easy, hard = needs(predictor, source(OpenedImage(plain, objects), OpenedImage(noisy, objects)))
    assert hard.need > easy.need
