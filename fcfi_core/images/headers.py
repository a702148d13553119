"""What a file says of itself in its first bytes: its kind, and for some kinds its size.

Some decoders reserve memory for the whole picture before they tell its size (34 bytes of WebP take 2.5 GB),
so the size is read here first.
"""

from __future__ import annotations

import struct

Encoded = bytes | bytearray | memoryview

FIRST_BYTES = 64
"""So many bytes are enough for :func:`kind_of`."""

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"FUJIFILMCCD-RAW", "a raw camera picture"),
    (b"IIRO", "a raw camera picture"),
    (b"IIU\0", "a raw camera picture"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"%PDF", "a PDF document"),
    (b"<svg", "a drawing (SVG)"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"PK\x03\x04", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS (fetch the file: git lfs pull)"),
)
"""What people have instead of a picture, told so that they know what to convert."""

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def kind_of(start: bytes) -> str | None:
    """Return "JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF" or "HEIC"; None for all else.

    Args:
        start: the first :data:`FIRST_BYTES` bytes, or all there are.
    """
    for signature, kind in _KINDS:
        if start.startswith(signature):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    brands = _brands(start)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIC_BRANDS else None


def other_kind(start: bytes) -> str | None:
    """Return what a file is that is no picture of a readable kind, if that is known."""
    if b"crx " in _brands(start):
        return "a raw camera picture"
    if start[4:8] == b"ftyp":
        return "a video"
    return next((kind for signature, kind in _OTHERS if start.startswith(signature)), None)


def _brands(start: bytes) -> set[bytes]:
    """Return the brands of an ISO media file (HEIC, AVIF, video), none for another."""
    if start[4:8] != b"ftyp":
        return set()
    (length,) = struct.unpack_from(">I", start)
    return {start[place : place + 4] for place in (8, *range(16, min(length, len(start)) - 3, 4))}


def claimed_size(kind: str, encoded: Encoded) -> tuple[int, int] | None:
    """Return ``(width, height)`` of a file whose decoder would reserve memory first; None for other kinds."""
    if kind == "WebP":
        return webp_size(encoded) or (0, 0)
    if kind == "GIF" and len(encoded) >= 10:
        width, height = struct.unpack_from("<HH", encoded, 6)
        return (width, height) if width and height else None  # else the first frame tells
    return None


def webp_size(encoded: Encoded) -> tuple[int, int] | None:
    """Return ``(width, height)`` of a WebP file; None if its header cannot be read.

    >>> webp_size(b"RIFF....WEBPVP8X" + bytes(8) + bytes([9, 0, 0, 4, 0, 0]))
    (10, 5)
    """
    head = bytes(encoded[:30])
    if len(head) < 25 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if head[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def jpeg_size(encoded: Encoded) -> tuple[int, int] | None:
    """Return ``(width, height)`` of a JPEG file; None if it ends before its frame header."""
    place = 2
    while place + 9 <= len(encoded):
        if encoded[place] != 0xFF:
            return None
        marker = encoded[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", encoded, place + 5)
            return width, height
        (length,) = struct.unpack_from(">H", encoded, place + 2)
        place += 2 + length
    return None
