from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.training.configuration import SamplingConfiguration, SourceConfiguration
from fcfi_core.training.crops import UNKNOWN, CropSampler
from fcfi_core.training.photos import IGNORED, make_photo


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(3)
    made = []
    for index in range(4):
        ids = np.zeros((90, 140), np.uint16)
        ids[20:60, 30:80] = 1
        ids[50:85, 90:130] = 2
        ids[0:5] = IGNORED
        pixels = random.integers(0, 255, (90, 140, 3), dtype=np.uint8)
        made.append(make_photo(f"set/{index}", pixels, ids, index % 2, 512))
    return made


def sampler(photos, sampling=None, seed=0):
    sources = (SourceConfiguration("a"), SourceConfiguration("b", weight=0.5, parts=0.3))
    return CropSampler(photos, sources, sampling or SamplingConfiguration(), seed)


def test_a_crop_depends_on_seed_and_index_alone(photos):
    first, again, other = sampler(photos), sampler(photos), sampler(photos, seed=1)
    for index in (7, 3, 11):
        crop, random = first.draw(index, 64)
        same, same_random = again.draw(index, 64)
        assert np.array_equal(crop.image, same.image)
        assert np.array_equal(crop.target, same.target)
        assert random.random() == same_random.random()
    assert not np.array_equal(first.draw(5, 64)[0].image, other.draw(5, 64)[0].image)


@pytest.mark.parametrize("kind", ["object_crop", "whole_image", "click_crop", "paste", "thin", "neither"])
def test_every_kind_of_crop_holds_a_target(photos, kind):
    values = {"object_crop": 0.0, "whole_image": 0.0, "paste": 0.0, "thin": 0.0}
    if kind != "neither":
        values[kind] = 1.0
    made = sampler(photos, SamplingConfiguration(**values))
    for index in range(30):
        crop, _ = made.draw(index, 64)
        assert crop.image.shape == (64, 64, 3)
        assert crop.image.dtype == np.uint8
        assert set(np.unique(crop.target)) <= {0, 1, UNKNOWN}
        assert (crop.target == 1).any()


@pytest.mark.parametrize("kind", ["object_crop", "whole_image", "click_crop", "neither"])
def test_undistorted_crops_keep_the_shape_of_things(kind):
    """A disc of the photo is as wide as high in the crop, unless the crop's edge cuts it."""
    rows, columns = np.mgrid[:90, :140]
    ids = ((rows - 40) ** 2 + (columns - 60) ** 2 <= 15**2).astype(np.uint16)
    photos = [make_photo("set/0", np.zeros((90, 140, 3), np.uint8), ids, 0, 512)]
    values = {"object_crop": 0.0, "whole_image": 0.0, "paste": 0.0, "undistorted": 1.0}
    if kind != "neither":
        values[kind] = 1.0
    made = CropSampler(photos, (SourceConfiguration("a"),), SamplingConfiguration(**values), 0)
    uncut = 0
    for index in range(30):
        disc = made.draw(index, 128)[0].target == 1
        if disc[0].any() or disc[-1].any() or disc[:, 0].any() or disc[:, -1].any():
            continue
        uncut += 1
        height, width = disc.any(1).sum(), disc.any(0).sum()
        assert abs(height - width) <= 0.05 * max(height, width) + 1
    assert uncut >= 10


def test_drawing_leaves_the_photos_alone(photos):
    before = [(photo.pixels.copy(), photo.ids.copy()) for photo in photos]
    made = sampler(photos, SamplingConfiguration(paste=1.0))
    for index in range(20):
        made.draw(index, 64)
    for photo, (pixels, ids) in zip(photos, before, strict=True):
        assert np.array_equal(photo.pixels, pixels)
        assert np.array_equal(photo.ids, ids)


def test_a_crop_around_a_click_shows_a_part_of_the_photo_whatever_the_size_of_the_object():
    """The object fills the photo's left half; crops around a click lie inside it or on its edge."""
    ids = np.zeros((400, 600), np.uint16)
    ids[:, :300] = 1
    photos = [make_photo("set/0", np.zeros((400, 600, 3), np.uint8), ids, 0, 600)]
    nothing_else = {"object_crop": 0.0, "whole_image": 0.0, "paste": 0.0}
    made = sampler(photos, SamplingConfiguration(click_crop=1.0, **nothing_else))
    shares = np.array([(made.draw(index, 64)[0].target == 1).mean() for index in range(60)])
    assert (shares > 0.99).mean() > 0.3
    assert shares.min() > 0.3


def test_neighbours_join_regions_that_touch():
    """Four stripes, the last apart from the others: unions never bridge the gap."""
    ids = np.zeros((60, 120), np.uint16)
    for index, left in enumerate((0, 20, 40, 90)):
        ids[:, left : left + 20] = index + 1
    photos = [make_photo("set/0", np.zeros((60, 120, 3), np.uint8), ids, 0, 512)]
    sampling = SamplingConfiguration(
        whole_image=1.0, object_crop=0.0, paste=0.0, union=1.0, neighbours=1.0, undistorted=0.0
    )
    made = sampler(photos, sampling)
    found = set()
    for index in range(40):
        columns = (made.draw(index, 120)[0].target == 1).any(axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], columns, [False])).astype(int)))
        assert edges.size == 2, "one connected target"
        found.add(int(edges[1] - edges[0]))
    assert found == {20, 40, 60}, "the lone stripe alone, two or three of the others together"


def test_small_photos_stay_out_of_large_crops():
    white, black = (np.full((128, 128, 3), value, np.uint8) for value in (255, 0))
    ids = np.zeros((128, 128), np.uint16)
    ids[30:90, 30:90] = 1
    photos = [make_photo("small/0", white, ids, 0, 512), make_photo("large/0", black, ids, 1, 512)]
    sources = (SourceConfiguration("small", largest_crop=64), SourceConfiguration("large"))
    made = CropSampler(photos, sources, SamplingConfiguration(paste=0.0), 0)
    assert 0 < np.mean([made.draw(index, 64)[0].image.mean() > 128 for index in range(40)]) < 1
    assert all(made.draw(index, 80)[0].image.mean() < 128 for index in range(40))


def test_regions_below_the_source_s_size_are_no_targets():
    ids = np.zeros((60, 60), np.uint16)
    ids[:10, :10], ids[30:50, 30:50] = 1, 2
    photo = make_photo("set/0", np.zeros((60, 60, 3), np.uint8), ids, 0, 512, 300)
    assert photo.regions.tolist() == [2]


def test_degraded_crops_differ_in_pixels_alone(photos):
    clean = sampler(photos, SamplingConfiguration(paste=0.0))
    worse = sampler(photos, SamplingConfiguration(paste=0.0, degraded=1.0))
    for index in range(40):
        (one, _), (other, _) = clean.draw(index, 64), worse.draw(index, 64)
        assert np.array_equal(one.target, other.target)
        assert not np.array_equal(one.image, other.image)
        assert other.image.dtype == np.uint8
        assert other.image.flags.c_contiguous


@pytest.mark.parametrize(
    ("kind", "exact", "found"),
    [
        ("object_crop", (True, False), {True, False}),
        ("object_crop", (False, False), {False}),
        ("paste", (True, True), {True}),
        ("paste", (False, False), {False}),
        ("paste", (True, False), {True, False}),
        ("thin", (False, False), {True}),
    ],
)
def test_an_outline_is_exact_where_all_that_makes_it_is(photos, kind, exact, found):
    values = {"paste": 0.0, "thin": 0.0, kind: 1.0}
    sources = tuple(SourceConfiguration(name, exact=one) for name, one in zip("ab", exact, strict=True))
    drawn = CropSampler(photos, sources, SamplingConfiguration(**values), 0)
    assert {drawn.draw(index, 64)[0].exact for index in range(40)} == found


def test_that_outlines_are_exact_changes_nothing_of_the_crops(photos):
    usual = sampler(photos, SamplingConfiguration(paste=0.5))
    sources = (SourceConfiguration("a", exact=True), SourceConfiguration("b", weight=0.5, parts=0.3))
    exact = CropSampler(photos, sources, SamplingConfiguration(paste=0.5), 0)
    for index in range(12):
        one, other = usual.draw(index, 64)[0], exact.draw(index, 64)[0]
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.target, other.target)
