"""Pictures to read, as files of every kind."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"]


EXACT = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}


def picture(height=40, width=56):
    """(H, W, 3) uint8 in which every quarter looks different and nothing is symmetric."""
    y, x = np.indices((height, width))
    return np.stack((x * 255 // width, y * 255 // height, (x + 2 * y) % 97), axis=2).astype(np.uint8)


def encoded(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(samples, orientation=1, byte_order="<"):
    """An uncompressed TIFF of (H, W, C) uint16: Pillow cannot write 16-bit colour."""
    height, width, channels = samples.shape
    data = samples.astype(byte_order + "u2").tobytes()
    short, long = "HHIH2x", "HHII"
    count = 11 if channels == 4 else 10
    bits_at = 8 + 2 + 12 * count + 4
    tags = [
        (short, 256, 3, 1, width),
        (short, 257, 3, 1, height),
        (short, 258, 3, 1, 16) if channels == 1 else (long, 258, 3, channels, bits_at),
        (short, 259, 3, 1, 1),  # no compression
        (short, 262, 3, 1, 1 if channels == 1 else 2),  # grey or RGB
        (long, 273, 4, 1, bits_at + 2 * channels),
        (short, 274, 3, 1, orientation),
        (short, 277, 3, 1, channels),
        (short, 278, 3, 1, height),
        (long, 279, 4, 1, len(data)),
        (short, 338, 3, 1, 2),  # the fourth sample is alpha
    ]
    head = (b"II*\0" if byte_order == "<" else b"MM\0*") + struct.pack(byte_order + "IH", 8, count)
    directory = b"".join(struct.pack(byte_order + form, *values) for form, *values in tags[:count])
    bits = struct.pack(f"{byte_order}I{channels}H", 0, *[16] * channels)
    return head + directory + bits + data


def png16(samples, exif=None):
    """A PNG of (H, W, C) uint16, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))]
    chunks += [(b"eXIf", exif)] if exif else []
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def deep(channels):
    return np.random.default_rng(0).integers(300, 4000, (31, 23, channels)).astype(np.uint16)
