"""JPEG files that lack their end are shown as browsers show them, and it is said what is missing."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.errors import ImageError
from fcfi_core.images import load

HEIGHT, WIDTH = 240, 320


def photo():
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def encoded(picture=None, **options):
    buffer = io.BytesIO()
    (picture or photo()).save(buffer, "JPEG", **options)
    return buffer.getvalue()


WHOLE = encoded()
MIDDLE = (len(WHOLE) + 623) // 2


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_only_the_end_marker_is_missing(mode):
    data = encoded(photo().convert(mode))
    image = load(data[:-2])
    assert np.abs(image.pixels.astype(int) - load(data).pixels).max() <= 1
    assert image.notes == ()


@pytest.mark.parametrize("end", [b"", b"\xff\xd9", b"\xff\xd9\0\0"])
def test_half_of_the_file_is_missing(end):
    image = load(WHOLE[:MIDDLE] + end)
    (note,) = image.notes
    missing = int(re.search(r"last (\d+)% of its rows", note)[1]) / 100
    assert 0.4 < missing < 0.6
    kept = int(HEIGHT * (1 - missing)) - 16
    assert np.abs(image.pixels[:kept].astype(int) - load(WHOLE).pixels[:kept]).max() <= 1
    assert (image.pixels[-16:] == 128).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_is_whole_told_or_refused(length):
    try:
        image = load(WHOLE[:length])
    except ImageError:
        assert length < len(WHOLE) / 4
        return
    same = np.abs(image.pixels.astype(int) - load(WHOLE).pixels).max() <= 1
    assert same == (not image.notes)


def test_the_last_bytes_are_missing():
    (note,) = load(WHOLE[:-20]).notes
    assert "cut short" in note


def test_a_progressive_file_lacks_details():
    data = encoded(progressive=True)
    (note,) = load(data[: len(data) // 2]).notes
    assert "details" in note


@pytest.mark.parametrize("length", [4, 20, 300, 623])
def test_a_file_without_a_picture_is_refused(length):
    with pytest.raises(ImageError, match="cut short"):
        load(WHOLE[:length])


def test_a_grey_corner_is_no_end():
    pixels = np.asarray(photo()).copy()
    pixels[-32:, -32:] = 128
    data = encoded(Image.fromarray(pixels), quality=100, subsampling=0)
    assert load(data).notes == ()


def test_what_follows_a_picture_does_not_matter():
    image = load(WHOLE + b"a film of the same moment" * 10)
    assert np.abs(image.pixels.astype(int) - load(WHOLE).pixels).max() <= 1
    assert image.notes == ()


def test_turned_and_cut_short():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(exif=exif)
    image = load(data[: len(data) * 3 // 4])
    assert image.pixels.shape == (WIDTH, HEIGHT, 3)
    assert len(image.notes) == 2
