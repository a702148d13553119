"""JPEG files, whole or cut short.

Browsers show what there is of a JPEG file that lacks its end, and annotators click on it; so it is read
here too, and a note says what is missing. libjpeg fills up the rest in grey without telling anybody. What it
made up is recognised by decoding again with noise in the place of the missing bytes: where the two pictures
differ the file had nothing to say.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile, JpegImagePlugin

Encoded = bytes | bytearray | memoryview

_END = b"\xff\xd9"
_GREY = 128
_NOISE = np.random.default_rng(0).integers(0, 255, 1 << 14, dtype=np.uint8).tobytes()  # no marker: no 255
_LOOKED_AT = 16
"""Rows at the bottom that are all grey where a file was cut: those of its last blocks."""


def decode(encoded: Encoded, image: ImageFile.ImageFile) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the (H, W, 3) pixels as stored, and a note if the file is cut short.

    Args:
        encoded: the file's bytes.
        image: the same, opened by Pillow and not loaded yet: grey or RGB.

    Raises:
        ValueError: if there is no picture in the file.
        Exception: of other classes, if it is damaged otherwise.
    """
    if _is_ended(encoded):
        pixels = _by_opencv(encoded, image)
        if pixels is None:
            raise ValueError("another picture than the header describes")
        return pixels, _missing(bytes(encoded), image) if _ends_grey(pixels) else []
    # Something may follow the picture (a film, in the files of some telephones), which Pillow skips.
    try:
        image.load()
        return np.asarray(image.convert("RGB")), []
    except OSError:
        completed = bytes(encoded) + _END
        return _by_pillow(completed), _missing(completed, image)


def _missing(encoded: bytes, image: ImageFile.ImageFile) -> list[str]:
    """Return the note about what is missing, if anything is.

    Args:
        encoded: the file's bytes, with the end-of-image marker.
        image: the same, opened by Pillow.
    """
    before, _, after = encoded.rpartition(_END)
    rows = np.flatnonzero(
        (_by_pillow(encoded) != _by_pillow(before + _NOISE + _END + after)).any(axis=(1, 2))
    )
    if not rows.size:
        return []
    if image.info.get("progressive"):
        return ["the file is cut short: details of the picture are missing"]
    if rows[0] == 0:
        raise ValueError("no picture in the file")
    share = 1 - rows[0] / image.height
    return [f"the file is cut short: the last {max(share, 0.01):.0%} of its rows are missing"]


def _is_ended(encoded: Encoded) -> bool:
    # The end-of-image marker cannot occur within compressed data.
    return bytes(encoded[-64:]).rstrip(b"\0\r\n ").endswith(_END)


def _by_opencv(encoded: Encoded, image: ImageFile.ImageFile) -> NDArray[np.uint8] | None:
    """Return what OpenCV decodes, None if that is not the picture that the header describes."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    if pixels is None or pixels.shape != (image.height, image.width, 3):
        return None
    return pixels.astype(np.uint8, copy=False)


def _by_pillow(encoded: bytes) -> NDArray[np.uint8]:
    """Return the same picture decoded by Pillow, which keeps libjpeg's complaints to itself."""
    with JpegImagePlugin.JpegImageFile(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def _ends_grey(pixels: NDArray[np.uint8]) -> bool:
    corner = pixels[-_LOOKED_AT:, -_LOOKED_AT:]
    return bool((corner == _GREY).all())
