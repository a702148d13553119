"""What the decoders make of whole, cut, damaged and pretended files."""

from __future__ import annotations

import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.errors import ImageError
from fcfi_core.images import load
from tests.fcfi_core.images.pictures import FORMATS, deep, encoded, picture, png16, tiff


def header_only_png(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 99) + b"IDAT"


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_fast_jpeg_equals_pillow(subsampling, options):
    data = encoded(picture(333, 217), "JPEG", subsampling=subsampling, **options)
    fast, careful = load(data).pixels, load(data + b"trailer").pixels
    assert np.abs(fast.astype(int) - careful).max() <= 1


def test_pixel_limit_comes_before_decoding():
    with pytest.raises(ImageError, match=r"30000 x 30000 pixels \(900\.0 megapixels\); the limit is 200 "):
        load(header_only_png(30_000, 30_000))
    data = encoded(picture(), "PNG")
    load(data, max_pixels=40 * 56)
    for source in (data, picture(), Image.fromarray(picture()), load(picture())):
        with pytest.raises(ImageError, match="56 x 40"):
            load(source, max_pixels=40 * 56 - 1)


def test_pillows_own_limit_does_not_count(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("JPEG", "PNG", "BMP", "GIF"):
        load(encoded(picture(), kind))


@pytest.mark.parametrize("kind", sorted({*FORMATS, "AVIF"} - {"JPEG"}))
def test_truncated(kind):
    data = encoded(picture(), kind)
    for length in (4, 20, len(data) // 4, len(data) // 2, len(data) * 3 // 4):
        with pytest.raises(ImageError):
            load(data[:length])


@pytest.mark.parametrize("data", [png16(deep(3)), tiff(deep(3))])
def test_truncated_deep_colour(data):
    with pytest.raises(ImageError, match="cut short"):
        load(data[: len(data) * 3 // 4])


def test_pretended_chunk_lengths_of_a_png_cost_nothing():
    data = png16(deep(3))
    lie = struct.pack(">I", 0x7FFF_FFFF) + b"tEXt"
    assert (load(data + lie).pixels == load(data).pixels).all()
    with pytest.raises(ImageError):
        load(data[:-12] + lie)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_files_load_or_are_refused(kind, data):
    original = encoded(picture(9, 11), kind)
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        assert load(bytes(damaged), max_pixels=1_000_000).pixels.ndim == 3


def test_no_traceback_of_a_decoder():
    with pytest.raises(ImageError) as refusal:
        load(encoded(picture(), "PNG")[:100])
    assert refusal.value.__suppress_context__
