"""What people really clicked finds its photos and regions, and takes the place of simulated clicks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcfi_core.click_log import Entry
from fcfi_core.clicks import Click
from fcfi_core.training import crops
from fcfi_core.training.configuration import SamplingConfiguration, SourceConfiguration
from fcfi_core.training.crops import Crop, CropSampler
from fcfi_core.training.episodes import Episode, start_episode
from fcfi_core.training.photos import IGNORED, make_photo
from fcfi_core.training.real_clicks import with_real_clicks


def entry(clicks, image="a" * 32, width=280, height=180, box=None):
    """An object of a photo twice as large as the training photo."""
    prompt = {"clicks": [dict(zip(("x", "y", "positive"), click, strict=True)) for click in clicks]}
    if box is not None:
        prompt["box"] = box
    times = (0.0,) * len(clicks)
    return Entry(
        "playground", "2026-01-02T03:04:05Z", image, width, height, prompt, times, times, 1.0, len(clicks), 0,
        {"name": "m", "version": "1", "digest": "d"}, {}, "e" * 32, 5, 0.9,
    )  # fmt: skip


@pytest.fixture
def photo():
    ids = np.zeros((90, 140), np.uint16)
    ids[20:60, 30:80] = 1
    ids[50:85, 90:130] = 2
    ids[0:5] = IGNORED
    # Colours tell where a pixel was: red its column, green its row.
    rows, columns = np.mgrid[:90, :140]
    pixels = np.stack((columns, rows, np.zeros_like(rows)), axis=2).astype(np.uint8)
    return replace(make_photo("set/0", pixels, ids, 0, 512), digest="a" * 32)


def test_clicks_find_the_region_and_the_size_of_the_training_photo(photo):
    found = with_real_clicks([photo], [entry([(121, 81, True), (20, 150, False)])])
    assert (found.objects, found.clicks, found.contradicting) == (1, 2, 0)
    (real,) = found.photos[0].clicks[1]
    assert real.begins
    assert real.clicks == (Click(60, 40), Click(10, 75, False))


def test_what_contradicts_the_region_is_left_out_and_counted(photo):
    clicks = [(120, 80, True), (220, 140, True), (100, 90, False), (10, 2, False)]
    found = with_real_clicks([photo], [entry(clicks)])  # on the other region, on it, on what is ignored
    assert (found.clicks, found.contradicting) == (1, 3)
    assert found.photos[0].clicks[1][0].clicks == (Click(60, 40),)


@pytest.mark.parametrize(
    "other",
    [
        entry([(120, 80, True)], image="b" * 32),
        entry([(20, 20, True)]),  # on the background
        entry([(20, 20, False)]),  # no object at all
        entry([], box=[10, 10, 50, 50]),
    ],
)
def test_what_says_nothing_of_a_region_is_no_object(photo, other):
    found = with_real_clicks([photo], [other])
    assert (found.objects, found.photos) == (0, [photo])
    assert found.photos[0] is photo
    nameless = replace(photo, digest="")
    assert with_real_clicks([nameless], [replace(other, image="")]).objects == 0


def test_clicks_after_a_box_correct_and_do_not_begin(photo):
    found = with_real_clicks([photo], [entry([(120, 80, True)], box=[60, 40, 160, 120])])
    assert not found.photos[0].clicks[1][0].begins
    first_negative = with_real_clicks([photo], [entry([(10, 100, False), (120, 80, True)])])
    assert not first_negative.photos[0].clicks[1][0].begins


def sampler(photo, **sampling):
    values = {"paste": 0.0, "union": 0.0, "box_start": 0.0, "prior_start": 0.0, **sampling}
    return CropSampler([photo], (SourceConfiguration("a"),), SamplingConfiguration(**values), 0)


def test_crops_show_the_pixel_that_was_clicked_turned_or_not(photo):
    log = [entry([(121, 81, True), (90, 61, True), (20, 150, False)])]
    (clicked,) = with_real_clicks([photo], log).photos
    seen = 0
    for index in range(60):
        crop, random = sampler(clicked).draw(index, 128)
        plain, plain_random = sampler(photo).draw(index, 128)
        if not crop.clicks:
            np.testing.assert_array_equal(crop.image, plain.image)  # the same draws where nobody clicked
            assert random.random() == plain_random.random()
            continue
        for y, x, positive in crop.clicks:
            seen += 1
            assert crop.target[y, x] == int(positive)
    assert seen > 60


def test_a_click_stays_on_its_pixel(photo, monkeypatch):
    """What lies under the click in the crop is what was clicked in the photo, cut and turned as it is."""
    monkeypatch.setattr(crops, "_recoloured", lambda image, random: image)
    (clicked,) = with_real_clicks([photo], [entry([(121, 81, True)])]).photos
    made = sampler(clicked)
    seen = 0
    for index in range(120):
        crop, _ = made.draw(index, 128)
        red, green, blue = crop.image.reshape(-1, 3).astype(int).max(axis=0)
        if crop.begins and blue < 4 < max(red, green):  # neither grey nor noisy
            y, x, _ = crop.clicks[0]
            assert np.abs(crop.image[y, x, :2].astype(int) - (60, 40)).max() < 4
            seen += 1
    assert seen > 20


def crop_with(clicks, begins=True):
    target = np.zeros((64, 64), np.uint8)
    target[16:48, 16:48] = 1
    return Crop(np.zeros((64, 64, 3), np.uint8), target, tuple(clicks), begins)


def test_an_episode_begins_and_corrects_where_the_person_clicked():
    sampling = SamplingConfiguration(box_start=0, prior_start=0)
    person = [(20, 20, True), (40, 44, True), (5, 5, False)]
    episode = start_episode(crop_with(person), sampling, np.random.default_rng(0))
    assert episode.clicks == person[:1]
    probability = np.zeros((64, 64), np.float32)
    probability[:30, :64] = 1  # reaches the negative click's place, leaves out the second positive one
    episode.correct(probability, sampling)
    assert episode.clicks[-1] == person[1]
    kept = Episode.restored(episode.state())
    assert kept.told == [person[2]]
    kept.correct(probability, sampling)
    assert kept.clicks[-1] == person[2]
    kept.correct(probability, sampling)  # nothing is left of the person's: the annotator goes on
    assert kept.clicks[-1] not in person
    assert not kept.finished


def test_a_start_that_was_no_first_click_leaves_the_beginning_to_the_annotator():
    sampling = SamplingConfiguration(box_start=0, prior_start=0)
    episode = start_episode(crop_with([(20, 20, True)], begins=False), sampling, np.random.default_rng(0))
    plain = start_episode(crop_with([]), sampling, np.random.default_rng(0))
    assert episode.clicks == plain.clicks
    assert episode.told == [(20, 20, True)]
    for start in ({"box_start": 1}, {"prior_start": 1, "box_start": 0}):
        begun = start_episode(
            crop_with([(20, 20, True)]), SamplingConfiguration(**start), np.random.default_rng(0)
        )
        assert begun.told == [(20, 20, True)]
