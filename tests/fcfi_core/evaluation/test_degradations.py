from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.evaluation.degradations import DEGRADATIONS, degraded


@pytest.fixture(scope="module")
def pixels():
    """A smooth scene with a bright disc: (90, 120, 3)."""
    rows, columns = np.mgrid[:90, :120]
    scene = np.stack((rows + 60, columns + 40, 200 - rows), axis=2).astype(np.uint8)
    cv2.circle(scene, (60, 45), 20, (240, 220, 60), -1)
    return scene


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_every_kind_changes_the_photo_but_not_its_size_and_leaves_the_input_alone(kind, pixels):
    before = pixels.copy()
    result = degraded(pixels, kind, seed=3)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert np.array_equal(pixels, before)
    assert not np.array_equal(result, pixels)
    assert np.array_equal(result, degraded(pixels, kind, seed=3))


@pytest.mark.parametrize("kind", [kind for kind in DEGRADATIONS if kind != "thermal"])
def test_the_object_stays_where_it_is(kind, pixels):
    """The disc still differs from what is around it (thermal pictures invert, so the sign may change)."""
    grey = degraded(pixels, kind).astype(float).mean(axis=2)
    assert grey[35:55, 50:70].mean() > grey[5:15, 5:30].mean() + 3


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        ("jpeg:80", "jpeg:5"),
        ("blur:1", "blur:6"),
        ("shake:3", "shake:25"),
        ("noise:5", "noise:60"),
        ("night:0.5", "night:0.02"),
        ("fog:0.2", "fog:0.8"),
    ],
)
def test_the_number_says_how_much(weak, strong, pixels):
    def change(kind):
        return np.abs(degraded(pixels, kind).astype(int) - pixels).mean()

    assert change(weak) < change(strong)


def test_grey_has_no_colour_and_night_is_dark(pixels):
    grey = degraded(pixels, "grey")
    assert (grey[..., 0] == grey[..., 2]).all()
    assert degraded(pixels, "night").mean() < 0.5 * pixels.mean()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("rain", "degradation is 'rain'; give one of jpeg, blur"),
        ("jpeg:0", "give jpeg a number from 1 to 100, for example jpeg:30"),
        ("jpeg:nan", "a number from 1 to 100"),
        ("blur:much", "a number from 0.1 to 50"),
        ("blur:", "a number from 0.1 to 50"),
        ("grey:1", "grey takes no number"),
    ],
)
def test_what_is_no_degradation(kind, told, pixels):
    with pytest.raises(SettingsError, match=told):
        degraded(pixels, kind)
