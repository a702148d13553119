"""Palettes, grey, transparency, CMYK and samples of many bits become RGB of 8."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.errors import ImageError
from fcfi_core.images import load
from tests.fcfi_core.images.pictures import EXACT, deep, encoded, picture, png16, tiff


def test_palette():
    flat = Image.fromarray(picture()).quantize(64)
    assert (load(encoded(flat, "PNG")).pixels == np.asarray(flat.convert("RGB"))).all()


def test_palette_with_transparency():
    flat = Image.fromarray(picture()).quantize(64)
    index = np.asarray(flat)[3, 4]
    image = load(encoded(flat, "PNG", transparency=int(index)))
    hidden = np.asarray(flat) == index
    assert (image.pixels[hidden] == 255).all()
    assert (image.pixels[~hidden] == np.asarray(flat.convert("RGB"))[~hidden]).all()
    assert image.notes == ("transparent parts shown on white",)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_shown_on_white(kind):
    alpha = picture()[:, :, 2]
    image = load(encoded(np.dstack((picture(), alpha)), kind, **({"exact": True} | EXACT[kind])))
    share = alpha[:, :, None] / 255
    expected = np.rint(picture() * share + 255 * (1 - share))
    assert (image.pixels == expected).all()


def test_alpha_can_be_ignored():
    data = encoded(np.dstack((picture(), picture()[:, :, 2])), "PNG")
    image = load(data, ignore_alpha=True)
    assert (image.pixels == picture()).all()
    assert image.notes == ()
    assert image.digest != load(data).digest


def test_grey_with_alpha():
    grey, alpha = picture()[:, :, 0], picture()[:, :, 1]
    image = load(encoded(Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha))), "PNG"))
    share = alpha / 255
    assert (image.pixels[:, :, 1] == np.rint(grey * share + 255 * (1 - share))).all()


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey(mode):
    image = Image.fromarray(picture()).convert(mode)
    expected = np.asarray(image.convert("RGB"))
    assert (load(encoded(image, "PNG")).pixels == expected).all()
    assert (load(image).pixels == expected).all()


def test_grey_jpeg():
    pixels = load(encoded(picture()[:, :, 0], "JPEG", quality=100)).pixels
    assert np.abs(pixels.astype(int) - picture()[:, :, :1]).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind):
    image = Image.fromarray(picture()).convert("CMYK")
    loaded = load(encoded(image, kind))
    assert np.abs(loaded.pixels.astype(int) - picture()).mean() < 4
    assert loaded.notes == ("CMYK shown as RGB without colour profile",)


def stretched(samples):
    low, high = samples.min().astype(float), samples.max().astype(float)
    return np.rint((samples - low) * 255 / (high - low))


@pytest.mark.parametrize("make", [png16, tiff])
def test_16_bit_colour(make):
    image = load(make(deep(3)))
    assert (image.pixels == stretched(deep(3))).all()
    assert image.notes == (f"16-bit values {deep(3).min()}..{deep(3).max()} stretched to 0..255",)


@pytest.mark.parametrize("data", [png16(deep(1)), encoded(deep(1)[:, :, 0], "TIFF")])
def test_16_bit_grey(data):
    image = load(data)
    assert (image.pixels == stretched(deep(1))).all()
    assert image.notes == (f"16-bit values {deep(1).min()}..{deep(1).max()} stretched to 0..255",)
    assert (load(deep(1)[:, :, 0]).pixels == image.pixels).all()


@pytest.mark.parametrize("byte_order", "<>")
def test_16_bit_grey_in_either_byte_order(byte_order):
    data = tiff(deep(1), byte_order=byte_order)
    assert (load(data).pixels == stretched(deep(1))).all()
    assert (load(Image.open(io.BytesIO(data))).pixels == stretched(deep(1))).all()


@pytest.mark.parametrize("make", [png16, tiff])
def test_16_bit_with_alpha(make):
    samples = deep(4)
    samples[:, :, 3] = np.where(np.arange(23) < 9, 0, 65535)
    image = load(make(samples))
    assert (image.pixels[:, :9] == 255).all()
    assert (image.pixels[:, 9:] == stretched(samples[:, :, :3])[:, 9:]).all()
    assert len(image.notes) == 2


def test_16_bit_grey_with_alpha():
    samples = deep(2)
    samples[:, :, 1] = 65535
    assert (load(png16(samples)).pixels == stretched(samples[:, :, :1])).all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bit_tiff(dtype):
    samples = (picture()[:, :, 2].astype(np.int32) - 40) * 100_000
    image = load(encoded(Image.fromarray(samples.astype(dtype)), "TIFF"))
    assert np.abs(image.pixels[:, :, 0] - stretched(samples)).max() <= 1
    assert image.notes[0].startswith("32-bit ")
    assert image.notes[0].endswith("stretched to 0..255")


def test_32_bit_unsigned_tiff():
    samples = np.array([[0, 1 << 31, (1 << 32) - 1]], np.uint32)
    ok, data = cv2.imencode(".tiff", samples.astype(np.int64).astype(np.uint32).view(np.int32))
    assert ok
    unsigned = bytes(data).replace(struct.pack("<HHIH", 339, 3, 1, 2), struct.pack("<HHIH", 339, 3, 1, 1))
    assert load(unsigned).pixels[0, :, 0].tolist() == [0, 128, 255]


def test_values_that_are_no_numbers():
    samples = np.array([[0, 1, np.nan, np.inf, -np.inf]], np.float32)
    assert load(samples).pixels[0, :, 0].tolist() == [0, 255, 0, 255, 0]


def test_one_single_value():
    assert not load(np.full((2, 2), 700, np.uint16)).pixels.any()


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([np.int8, np.uint16, np.int16, np.int32, np.uint32, np.uint64, np.float16, np.float64]),
    st.lists(st.integers(-100, 100), min_size=2, max_size=6, unique=True),
)
def test_any_number_type(dtype, values):
    samples = np.array([values], np.int64)
    if np.dtype(dtype).kind == "u":
        samples += 100
    pixels = load(samples.astype(dtype)).pixels[0, :, 0]
    assert np.abs(pixels - stretched(samples)[0]).max() <= 1
    assert (pixels.min(), pixels.max()) == (0, 255)


def bmp_of_version_4(pixels, alpha):
    """A bitmap of 32 bits whose header names a mask for alpha."""
    height, width = pixels.shape[:2]
    body = np.dstack((pixels[::-1, :, ::-1], np.full((height, width), alpha, np.uint8))).tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(body), 0, 0, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header)) + header + body


def test_a_bitmap_without_any_opacity_is_opaque():
    for alpha in (0, 255):
        image = load(bmp_of_version_4(picture(), alpha))
        assert (image.pixels == picture()).all()
        assert image.notes == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_picture_without_any_value_is_refused(value):
    with pytest.raises(ImageError, match="no value at all"):
        load(np.full((4, 5), value, np.float32))
