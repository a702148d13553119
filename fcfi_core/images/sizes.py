"""How large a picture is, told by its header alone."""

from __future__ import annotations

import os
import struct
from functools import partial
from typing import BinaryIO

from PIL import Image

from fcfi_core.errors import ImageError
from fcfi_core.images import loading
from fcfi_core.images.headers import FIRST_BYTES

_ORIENTATION_TAG = 0x0112
_TURNED = (5, 6, 7, 8)
_PNG_SIGNATURE_LENGTH = 8
_MOST_EXIF = 1 << 20
_DECODED = ("TIFF", "HEIC", "AVIF")
"""Kinds whose headers tell several pictures, or turn them in ways of their own."""


def size_of(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> tuple[int, int]:
    """Return (width, height) of the upright picture in the file at ``path``.

    Of JPEG, PNG, WebP, BMP and GIF only the header is read; others are decoded.

    Args:
        max_pixels: most pixels accepted, None for 200 million.

    Raises:
        ImageError: as :func:`~fcfi_core.images.load` does.
    """
    limit = loading.DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    name = f"image {os.fspath(path)!r}"
    try:
        with open(path, "rb") as file:
            kind = loading._kind(file.read(FIRST_BYTES), name)
            if kind not in _DECODED:
                file.seek(0)
                width, height = _upright_size(kind, file, name)
                loading._require_size(width, height, limit, name)
                return width, height
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name} cannot be read: {reason}.") from None
    loaded = loading.load(path, max_pixels=max_pixels)
    return loaded.width, loaded.height


def _upright_size(kind: str, file: BinaryIO, name: str) -> tuple[int, int]:
    with loading._guarded(loading._OPENERS[kind], file, name=name) as image:
        width, height = image.size
        # Of a PNG, whose turn may stand behind the picture, Pillow would decode all.
        read = partial(_exif_of_png, file) if kind == "PNG" else image.getexif
        turned = loading._guarded(read, name=name).get(_ORIENTATION_TAG) in _TURNED
        return (height, width) if turned else (width, height)


def _exif_of_png(file: BinaryIO) -> Image.Exif:
    """Return what the ``eXIf`` chunk of a PNG file holds; nothing if there is none."""
    exif = Image.Exif()
    file.seek(_PNG_SIGNATURE_LENGTH)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            exif.load(b"Exif\0\0" + file.read(min(length, _MOST_EXIF)))
            break
        file.seek(length + 4, os.SEEK_CUR)
    return exif
