"""How large a picture is, told by its header alone."""

from __future__ import annotations

import os
from typing import BinaryIO

from fcfi_core.errors import ImageError
from fcfi_core.images import loading
from fcfi_core.images.headers import FIRST_BYTES

_ORIENTATION_TAG = 0x0112
_TURNED = (5, 6, 7, 8)
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
        turned = loading._guarded(image.getexif, name=name).get(_ORIENTATION_TAG) in _TURNED
        width, height = image.size
        return (height, width) if turned else (width, height)
