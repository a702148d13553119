"""What files say of themselves, and that nothing is reserved for a size before it is judged."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.errors import ImageError
from fcfi_core.images import load
from fcfi_core.images.headers import jpeg_size, kind_of, other_kind, webp_size


def encoded(kind, size=(70, 50), **options):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF"])
def test_kinds(kind):
    assert kind_of(encoded(kind)[:64]) == kind


@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}]
)
def test_the_size_of_webp(options):
    assert webp_size(encoded("WEBP", (701, 50), **options)) == (701, 50)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 3000}])
def test_the_size_of_jpeg(options):
    assert jpeg_size(encoded("JPEG", (701, 50), **options)) == (701, 50)


@given(st.binary(max_size=80))
def test_any_bytes_have_a_kind_or_none(data):
    for start in (
        data,
        b"RIFF" + data,
        b"\0\0\0\x20ftyp" + data,
        b"RIFF\0\0\0\0WEBP" + data,
        b"\xff\xd8" + data,
    ):
        kind_of(start)
        other_kind(start)
        webp_size(start)
        jpeg_size(start)


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw camera picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\1isomavc1", "video"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns=", "SVG"),
        (b"\xff\x0a\0\0", "JPEG XL"),
    ],
)
def test_what_else_people_have_is_named(start, told):
    with pytest.raises(ImageError, match=told):
        load(start)


TINY_WEBP = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0\xff\x3f\0" + bytes(4)
TINY_GIF = (
    b"GIF89a"
    + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0)
    + b"\x2c"
    + struct.pack("<HHHHB", 0, 0, 9, 9, 0)
)
TINY_BMP = b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("bomb", [TINY_WEBP, TINY_GIF, TINY_BMP], ids=["WebP", "GIF", "BMP"])
def test_claimed_sizes_reserve_nothing(bomb, tmp_path):
    """In a process of its own, which may not take 300 MB more than it has after a small picture."""
    path = tmp_path / "bomb"
    path.write_bytes(bomb)
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from fcfi_core.errors import ImageError\n"
        "from fcfi_core.images import load\n"
        "load(np.zeros((9, 9), np.uint8))\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)\n"
        "try:\n"
        "    load(sys.argv[1])\n"
        "except ImageError as refusal:\n"
        "    print(refusal)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert "megapixels" in told
