"""Any picture a user has -> upright RGB, 8 bits, as the annotator sees it.

:func:`load` is the only way an image enters. It reads JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF and HEIC (of an
animation or a multi-page file the first frame), turns the picture upright by its EXIF orientation
and resolves what networks do not know: palettes, grey, transparency (shown on white, as browsers
do), CMYK (without colour profile), and samples of 16 or more bits (stretched from their smallest to
their largest value). Whatever was done is told in :attr:`LoadedImage.notes`.

Files come from strangers, so the order is fixed: signature, header, size limit, and only then
pixels. Pillow's format plugins are called directly rather than through ``Image.open``: only these
formats can ever be tried, and the size is judged by our limit instead of Pillow's process-wide
one. Every failure is one :class:`~fcfi_core.errors.ImageError`.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from fcfi_core.allowance import reserved
from fcfi_core.axes import Map
from fcfi_core.errors import FcfiError, ImageError
from fcfi_core.geometry import Frame
from fcfi_core.images import tiff
from fcfi_core.images.decoding import decode, from_pillow, has_deep_colour, turned, upright
from fcfi_core.images.headers import FIRST_BYTES, claimed_size, kind_of, other_kind
from fcfi_core.images.samples import to_rgb

Returned = TypeVar("Returned")

DEFAULT_MAX_PIXELS = 200_000_000

READABLE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif",
    ".heic", ".heif",
)  # fmt: skip
"""Suffixes that files of the readable kinds have, lower case; what is read is told by the content."""

_FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF or HEIC"

_EAGER = {"WebP": 26, "AVIF": 20, "HEIC": 20}
"""Kinds whose decoders take memory for the whole picture when they open it: bytes per pixel, as measured."""

_OPENERS: dict[str, Callable[..., ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An upright picture and its origin.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, 0-255, C-contiguous, read-only.
        notes: what was done to get there, one sentence each, empty for a plain upright RGB picture.
        digest: 32 hexadecimal digits naming the content: of the encoded bytes where there are any,
            else of the pixels. Equal digests mean equal pixels; equal pixels may have two digests.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    digest: str

    def __repr__(self) -> str:
        notes = f", notes={list(self.notes)}" if self.notes else ""
        return f"LoadedImage({self.width} x {self.height}{notes})"

    @property
    def width(self) -> int:
        """Number of pixel columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Number of pixel rows."""
        return int(self.pixels.shape[0])

    @cached_property
    def quarter(self) -> NDArray[np.uint8]:
        """(H // 4, W // 4, 3) uint8, read-only: each pixel the mean of 4 x 4; made when asked for."""
        height, width = self.height // 4, self.width // 4
        whole = self.pixels[: 4 * height, : 4 * width]
        quarter = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        quarter.flags.writeable = False
        return quarter

    def seen(self, frame: Frame) -> Map:
        """Return what ``frame`` shows of the picture, (frame.height, frame.width, 3) float32, 0..1.

        A coarse frame is served from :attr:`quarter`, which is reduced once for all of them. The newest view
        is kept: the network and the edges ask for the same, click after click.
        """
        if frame.align_corners:
            return frame.apply(self.pixels)
        known, view = self.__dict__.get("_newest", (None, None))
        if known != frame:
            view = frame.shown_reduced(self.quarter) if frame.is_coarse else frame.shown(self.pixels)
            self.__dict__["_newest"] = frame, view
        return np.asarray(view, np.float32) / np.float32(255)


Source = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | Image.Image
    | NDArray[np.generic]
    | LoadedImage
)


def load(
    source: Source,
    *,
    max_pixels: int | None = None,
    ignore_alpha: bool = False,
    digest: str = "",
    name: str = "",
) -> LoadedImage:
    """Return the picture in ``source``, upright, as RGB of 8 bits.

    Safe to call from several threads (a Pillow image that has not read its file yet is not: such an
    image may only be given to one of them).

    Args:
        source: path, encoded bytes, binary file object (read from its position to its end), Pillow
            image, or array: (H, W), (H, W, 1..4) grey, grey + alpha, RGB or RGBA; uint8 is taken
            as it is, every other number type is stretched. A LoadedImage is returned unchanged.
        max_pixels: most pixels accepted, None for 200 million; checked before decoding.
        ignore_alpha: show transparent parts in the colours they hide instead of on white, as browsers
            show them.
        digest: of encoded bytes, where :func:`digest_of` was asked already; they are not hashed again.
        name: how messages call encoded bytes; "": the image.

    Raises:
        ImageError: if the source is missing, empty, damaged, of another format or too large.

    >>> load(np.zeros((2, 3), np.uint8)).pixels.shape
    (2, 3, 3)
    """
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    if isinstance(source, LoadedImage):
        _require_size(source.width, source.height, limit, "the image")
        return source
    if isinstance(source, np.ndarray):
        pixels, notes = _from_array(source, limit, ignore_alpha)
        digest = _digest(pixels)
    elif isinstance(source, Image.Image):
        _require_size(source.width, source.height, limit, "the image")
        if (file := _unread_tiff(source)) is not None:
            pixels, notes = _from_encoded(file, "the image", limit, ignore_alpha)
        else:
            pixels, notes = _guarded(from_pillow, source, ignore_alpha, name="the image")
        digest = _digest(pixels)
    else:
        encoded, own_name = _read(source)
        pixels, notes = _from_encoded(encoded, name or own_name, limit, ignore_alpha)
        digest = digest or digest_of(encoded, ignore_alpha=ignore_alpha)
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    return LoadedImage(pixels, tuple(notes), digest)


def _unread_tiff(image: Image.Image) -> bytes | None:
    """Return the file behind a TIFF that Pillow has opened and not read yet; Pillow misreads some."""
    file = getattr(image, "fp", None)
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or file is None or image.tell() != 0:
        return None
    with suppress(Exception):
        place = file.tell()
        file.seek(0)
        encoded: bytes = file.read()
        file.seek(place)
        return encoded
    return None


def digest_of(encoded: bytes | bytearray | memoryview, *, ignore_alpha: bool = False) -> str:
    """Return the digest that the picture in ``encoded`` will have, without decoding it."""
    person = b"encoded opaque" if ignore_alpha else b"encoded"
    return hashlib.blake2b(encoded, digest_size=16, person=person).hexdigest()


def _digest(pixels: NDArray[np.uint8]) -> str:
    """Return the digest of decoded pixels; the shape counts, so that a reshaped picture differs."""
    state = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16, person=b"pixels")
    state.update(repr(pixels.shape).encode())
    return state.hexdigest()


def _require_size(width: int, height: int, limit: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name} has {width} x {height} pixels; give one with at least 1 x 1.")
    if width * height > limit:
        raise ImageError(
            f"{name} has {width} x {height} pixels ({width * height / 1e6:.1f} megapixels); the limit "
            f"is {limit / 1e6:g} megapixels: make it smaller or raise the limit."
        )


# --- reading -------------------------------------------------------------------------------------


def _read(source: object) -> tuple[bytes | bytearray | memoryview, str]:
    """Return the encoded bytes and the name by which messages call them."""
    if isinstance(source, bytes | bytearray | memoryview):
        return source, "the image"
    if isinstance(source, str | os.PathLike):
        name = f"image {os.fspath(source)!r}"
        try:
            with open(source, "rb") as file:
                start = file.read(FIRST_BYTES)
                _kind(start, name)  # refuse a large file of another kind before reading it whole
                return start + file.read(), name
        except FileNotFoundError:
            raise ImageError(f"{name} does not exist; check the path.") from None
        except IsADirectoryError:
            raise ImageError(f"{name} is a folder; give one image file.") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ImageError(f"{name} cannot be read: {reason}.") from None
    if callable(read := getattr(source, "read", None)):
        encoded = read()
        if isinstance(encoded, bytes | bytearray | memoryview):
            return encoded, "the image"
        raise ImageError("the image file was opened as text; open it with mode 'rb'.")
    raise ImageError(
        f"an image cannot be read from {type(source).__name__}; give a path, bytes, a binary file, "
        "a Pillow image or an array."
    )


def _kind(start: bytes, name: str) -> str:
    """Return the kind of a file that begins with ``start``, see :func:`kind_of`."""
    if not start:
        raise ImageError(f"{name} is empty (0 bytes); give a {_FORMATS} file.")
    kind = kind_of(start)
    if kind is None:
        other = other_kind(start)
        told = f"is {other}, which is not read" if other else "is not a picture that can be read"
        raise ImageError(f"{name} {told}; give a {_FORMATS} file.")
    return kind


def _from_encoded(
    encoded: bytes | bytearray | memoryview, name: str, limit: int, ignore_alpha: bool
) -> tuple[NDArray[np.uint8], list[str]]:
    kind = _kind(bytes(encoded[:FIRST_BYTES]), name)

    def require_size(width: int, height: int) -> None:
        _require_size(width, height, limit, name)

    if kind == "TIFF":
        found = _guarded(tiff.decode, encoded, name, require_size, limit, ignore_alpha, name=name)
        notes = turned(found.orientation) + found.notes + (["frame 1 of several"] if found.several else [])
        return upright(found.pixels, found.orientation), notes
    opener = _OPENERS.get(kind) or _optional_opener(kind, name)
    with ExitStack() as held:
        claimed = claimed_size(kind, encoded)
        if claimed is not None:
            require_size(*claimed)
            if kind in _EAGER:
                held.enter_context(_reserved(*claimed, _EAGER[kind], name))
        with _guarded(opener, io.BytesIO(encoded), name=name) as image:
            require_size(image.width, image.height)
            if kind not in _EAGER or claimed != image.size:
                held.enter_context(_reserved(image.width, image.height, _bytes_per_pixel(image, kind), name))
            return _guarded(decode, image, encoded, ignore_alpha, name=name)


def _bytes_per_pixel(image: ImageFile.ImageFile, kind: str) -> int:
    """Return what decoding takes at its peak, as measured for each kind and mode, the pixels included."""
    if kind in _EAGER:
        return _EAGER[kind]
    if has_deep_colour(image):
        return 44 if image.has_transparency_data else 20
    if image.has_transparency_data:
        return 18
    return {"1": 8, "L": 8, "RGB": 8 if kind == "JPEG" else 12}.get(image.mode, 16)


def _reserved(width: int, height: int, each: int, name: str) -> AbstractContextManager[None]:
    return reserved(each * width * height, f"{name} of {width} x {height} pixels", ImageError)


def _optional_opener(kind: str, name: str) -> Callable[..., ImageFile.ImageFile]:
    """Return the opener of a kind that needs a library which need not be there."""
    try:
        if kind == "AVIF":
            from PIL import AvifImagePlugin

            if features.check("avif"):
                return AvifImagePlugin.AvifImageFile
        elif kind == "HEIC":
            from pillow_heif import HeifImageFile

            opener: Callable[..., ImageFile.ImageFile] = HeifImageFile
            return opener
    except ImportError:
        pass
    raise ImageError(
        f"{name} is {kind}, which is not read here; install the library: pip install 'fcfi[images]', or save "
        "the picture as JPEG."
    )


def _guarded(function: Callable[..., Returned], *arguments: Any, name: str) -> Returned:
    """Return ``function(*arguments)``; whatever it raises becomes one ImageError."""
    try:
        return function(*arguments)
    except FcfiError:
        raise
    except Exception:  # decoders raise whatever a damaged file provokes, from KeyError to struct.error
        raise ImageError(
            f"{name} cannot be decoded: it is cut short, damaged or of a rare kind; "
            "save it again as JPEG or PNG."
        ) from None


def _from_array(samples: NDArray[Any], limit: int, ignore_alpha: bool) -> tuple[NDArray[np.uint8], list[str]]:
    """Return a copy of the array as RGB pixels, and the notes."""
    shape = samples.shape
    if samples.ndim not in (2, 3) or (samples.ndim == 3 and not 1 <= shape[2] <= 4):
        raise ImageError(f"an array of shape {shape} is not an image; give (H, W), (H, W, 3) or (H, W, 4).")
    if samples.dtype.kind not in "uif":
        raise ImageError(f"an array of {samples.dtype} is not an image; give (H, W, 3) uint8, RGB.")
    _require_size(shape[1], shape[0], limit, "the image array")
    pixels, notes = to_rgb(samples, ignore_alpha)
    return (pixels.copy() if np.may_share_memory(pixels, samples) else pixels), notes
