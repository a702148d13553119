"""A result answers in the image's pixels, lazily, and its confidence means something."""

from __future__ import annotations

import io
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from fcfi_core import masks
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import SettingsError
from fcfi_core.geometry import Frame
from fcfi_core.images import load
from fcfi_core.masks import coco, cvat, label_studio
from fcfi_core.regions import Region
from fcfi_core.results import Result

VIEWS = arrays(np.float32, (6, 8), elements=st.floats(0, 1, width=32))


def result(view, height=48, width=64, **more):
    frame = Frame.of(Region.whole(height, width), (height, width), target=max(view.shape))
    return Result(frame, np.asarray(view, np.float32), 0.49, (Click(3, 4),), **more)


@given(VIEWS)
@settings(deadline=None)
def test_confidence_is_bounded_and_zero_for_nothing(view):
    found = result(view).confidence
    assert 0 <= found <= 1
    assert (found == 0) == (not (view > 0.49).any())


@given(VIEWS, st.integers(0, 47), st.floats(0.01, 1))
@settings(deadline=None)
def test_confidence_rises_with_certainty(view, pixel, step):
    surer = view.copy()
    row, column = divmod(pixel, 8)
    target = 1.0 if view[row, column] > 0.49 else 0.0
    surer[row, column] += np.float32(step) * np.float32(target - view[row, column])
    assert result(surer).confidence >= result(view).confidence - 1e-6


def test_confidence_is_the_expected_overlap():
    view = np.zeros((6, 8))
    view[:2] = 0.75
    view[2] = 0.25
    assert result(view).confidence == pytest.approx(16 * 0.75 / (16 + 8 * 0.25))


def test_mask_probability_box_and_one_pixel_agree():
    view = np.zeros((6, 8))
    view[2:4, 3:6] = 0.9
    found = result(view)
    assert np.array_equal(found.mask, found.probability > 0.49)
    assert found.box == masks.box_of(found.mask)
    assert found.area == found.mask.sum()
    assert found.probability_at(Click(30, 20)) == pytest.approx(found.probability[20, 30], abs=1e-6)
    assert result(np.zeros((6, 8))).box is None


def test_arrays_are_read_only():
    found = result(np.ones((6, 8)))
    for array in (found.mask, found.probability):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


def test_codes_decode_to_the_mask():
    view = np.zeros((6, 8))
    view[2:4, 3:6] = 0.9
    found = result(view)
    assert np.array_equal(coco.decode(found.rle("coco")), found.mask)
    assert np.array_equal(label_studio.decode(found.rle("label_studio"), 64, 48), found.mask)
    assert np.array_equal(cvat.decode(found.rle("cvat"), 64, 48), found.mask)
    with pytest.raises(SettingsError, match="'png'"):
        found.rle("png")


def test_polygons_stay_in_their_budget():
    view = np.zeros((6, 8))
    view[1:5, 1:6] = 0.9
    view[2, 3] = 0
    polygons = result(view).polygons(max_points=30)
    assert polygons.point_count <= 30
    assert polygons.lost_iou < 0.1


def test_cleaning_spares_the_clicked_part_and_leaves_the_original():
    view = np.zeros((48, 64))
    view[4, 3] = view[40, 60] = 0.9
    view[20:30, 20:40] = 0.9
    found = result(view)
    cleaned = found.cleaned(min_area=5, max_hole=0)
    assert cleaned.mask[4, 3]
    assert not cleaned.mask[40, 60]
    assert found.mask[40, 60]
    assert cleaned.confidence == found.confidence
    assert cleaned.box == Box(3, 4, 39, 29)


# --- pictures -------------------------------------------------------------------------------------


@pytest.fixture
def disc():
    """A red disc on green, blurred as lenses do, and the answer to a click on it."""
    rows, columns = np.mgrid[:120, :160]
    share = np.clip(30.5 - np.hypot(rows - 60, columns - 80) / 1.0, 0, 2)[..., None] / 2
    pixels = np.rint(share * (220, 30, 20) + (1 - share) * (20, 160, 40)).astype(np.uint8)
    distance = np.hypot(rows - 60, columns - 80) - 29.5
    view = (1 / (1 + np.exp(distance))).astype(np.float32)
    frame = Frame.of(Region.whole(120, 160), (120, 160), target=None)
    return Result(frame, view, 0.49, (Click(80, 60),), image=load(pixels))


def test_a_cutout_has_soft_edges_and_the_colours_of_the_object(disc):
    cut = np.asarray(disc.cutout())
    assert cut.shape == (120, 160, 4)
    alpha = cut[..., 3]
    assert alpha[60, 80] == 255
    assert alpha[5, 5] == 0
    assert ((alpha > 20) & (alpha < 235)).any()
    assert np.array_equal(alpha >= 128, disc.mask)
    edge = (alpha > 20) & (alpha < 235)
    greenness = cut[edge][:, 1].astype(int)
    assert greenness.max() < 90  # in the photo the same pixels go up to 160
    assert disc.image.pixels[edge][:, 1].max() > 120


def test_a_cutout_in_front_of_another_ground_has_no_rim(disc):
    cut = np.asarray(disc.cutout()).astype(float)
    share = cut[..., 3:] / 255
    on_white = share * cut[..., :3] + (1 - share) * 255
    plain = np.where(disc.mask[..., None], disc.image.pixels, 255).astype(float)
    ring = masks.crop(disc.mask, Box(0, 0, 159, 119)) != np.roll(disc.mask, 1, axis=1)
    # Green beyond the mean of red and blue, which neither the disc nor white has.
    green = on_white[..., 1] - on_white[..., [0, 2]].mean(axis=-1)
    assert green[ring].max() < (plain[..., 1] - plain[..., [0, 2]].mean(axis=-1))[ring].max()


def test_what_was_cleaned_away_is_not_in_the_cutout(disc):
    finished = disc.inside(Box(60, 40, 79, 80))
    alpha = np.asarray(finished.cutout())[..., 3]
    assert not alpha[:, 84:].any()
    assert (alpha[50:70, 65:77] == 255).all()


def test_a_cropped_cutout_is_a_part_of_the_whole_one(disc):
    whole, part = np.asarray(disc.cutout()), np.asarray(disc.cutout(crop=True))
    box = masks.box_of(whole[..., 3] > 0)
    assert part.shape[0] < 80 > part.shape[1]
    assert np.array_equal(part[part[..., 3] > 0], whole[whole[..., 3] > 0])
    assert part.shape[1] >= box.width


def test_an_overlay_paints_the_mask_alone(disc):
    shown = np.asarray(disc.overlay(colour=(0, 0, 255)))
    assert np.array_equal(shown[~disc.mask], disc.image.pixels[~disc.mask])
    assert (shown[disc.mask][:, 2] > disc.image.pixels[disc.mask][:, 2]).all()


@pytest.mark.parametrize(("what", "suffix"), [("mask", "png"), ("overlay", "jpg"), ("cutout", "webp")])
def test_pictures_are_saved(disc, tmp_path, what, suffix):
    path = tmp_path / f"disc.{suffix}"
    disc.save(path, what)
    with Image.open(path) as file:
        assert file.size == (160, 120)
        assert file.mode == {"mask": "L", "overlay": "RGB", "cutout": "RGBA"}[what]


@pytest.mark.parametrize(("what", "name"), [("mask", "m.jpg"), ("cutout", "c.jpg"), ("cutout", "c.bmp")])
def test_a_picture_is_not_saved_as_what_it_is_not(disc, tmp_path, what, name):
    with pytest.raises(SettingsError, match=name):
        disc.save(tmp_path / name, what)
    with pytest.raises(SettingsError, match="'thing'"):
        disc.save(tmp_path / "m.png", "thing")


def test_a_result_that_lost_its_photo_can_be_given_it(disc):
    travelled = pickle.loads(pickle.dumps(disc))
    assert np.array_equal(travelled.mask, disc.mask)
    with pytest.raises(SettingsError, match="lost its photo"):
        travelled.cutout()
    assert np.array_equal(np.asarray(travelled.cutout(disc.image)), np.asarray(disc.cutout()))
    with pytest.raises(SettingsError, match="9 x 9"):
        travelled.overlay(load(np.zeros((9, 9), np.uint8)))


def test_nothing_cannot_be_cut_out():
    with pytest.raises(SettingsError, match="empty"):
        result(np.zeros((6, 8)), image=load(np.zeros((48, 64), np.uint8))).cutout()


def test_notebooks_show_a_picture(disc):
    for one in (disc, result(np.ones((6, 8)))):
        shown = Image.open(io.BytesIO(one._repr_png_()))
        assert shown.format == "PNG"
        assert max(shown.size) <= 800


def test_a_result_is_told_in_one_line(disc):
    assert repr(disc) == f"Result(160 x 120, clicks=1, confidence={disc.confidence:.2f})"
    assert repr(disc.image) == "LoadedImage(160 x 120)"
    assert len(repr(disc.polygons())) < 120


def test_depth_is_the_distance_to_the_edge():
    """Against the exact distance transform of the mask at full size, to a pixel of the frame."""
    view = np.zeros((40, 60), np.float32)
    view[10:25, 20:45] = 1
    frame = Frame.of(Region(20, 99, 10, 129), (150, 200), target=60)
    result = Result(frame, view, 0.5, ())
    padded = np.pad(result.mask.astype(np.uint8), 1, mode="edge")
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    for x, y in ((0, 0), (80, 55), (52, 42), (60, 60), (199, 149), (130, 40)):
        assert result.depth_at(Click(x, y)) == pytest.approx(inside[y, x] - outside[y, x], abs=2)


def test_depth_without_an_edge_is_infinite():
    frame = Frame.of(Region.whole(30, 40), (30, 40), target=40)
    for value in (0.0, 1.0):
        result = Result(frame, np.full((30, 40), value, np.float32), 0.5, ())
        assert result.depth_at(Click(3, 4)) == (np.inf if value else -np.inf)
