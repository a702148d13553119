"""TIFF files: which of their pictures is meant, and its samples as the tags describe them.

TIFF is a box for anything: planes apart or together, strips or tiles, a dozen codecs, samples of any type.
``tifffile`` reads the structure, and decodes what it can; the tags, not the decoder, say what the samples
mean. Pillow decodes the plain 8-bit files whose codec is missing without ``imagecodecs``, and the colour
spaces that only libtiff knows. What neither reads truly is refused: a wrong picture is worse than none.

Nothing is decoded before all sizes that the file claims have been looked at: of the picture, of a tile, of
a JPEG or WebP inside, of all samples together.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from fcfi_core.allowance import reserved
from fcfi_core.errors import ImageError
from fcfi_core.images.headers import jpeg_size, webp_size
from fcfi_core.images.samples import to_rgb

Encoded = bytes | bytearray | memoryview

logging.getLogger("tifffile").addHandler(logging.NullHandler())

_ORIENTATION = 274
_SUBFILE_TYPE = 254
_REDUCED = 1
_MOST_PAGES = 64
"""Pages looked through for the picture that a thumbnail at the beginning stands for."""

_GREY_WHITE, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_RAW = (32803, 34892)  # a colour filter's mosaic, and what a camera made linear of it
_ALPHA, _PREMULTIPLIED = 2, 1

_NONE, _LZW, _JPEG, _WEBP = 1, 5, 7, 50001
_DEFLATE = (8, 32946)
_PACKBITS, _ZSTD = 32773, 50000
_PLAIN = (_NONE, *_DEFLATE, _PACKBITS)
_WITH_LIBRARY = (_LZW, _JPEG, _WEBP, _ZSTD)
_BY_PILLOW = (_NONE, 2, 3, 4, _LZW, 6, _JPEG, *_DEFLATE, _PACKBITS)

_MOST_SAMPLES = 1024
"""Bands of a pixel; instruments that see more do not write pictures."""
_LARGEST_TILE = 1 << 22
_BYTES_PER_PIXEL = 8
"""So much may the samples of a picture of the largest size take: colour of 16 bits, or one number of 64."""


@dataclass(frozen=True)
class Decoded:
    """What a TIFF file holds.

    Attributes:
        pixels: (H, W, 3) uint8 RGB as stored, not turned yet.
        notes: what was done to get there.
        orientation: 1 to 8, as EXIF counts.
        several: whether further pictures follow.
    """

    pixels: NDArray[np.uint8]
    notes: list[str]
    orientation: int
    several: bool


def decode(
    encoded: Encoded, name: str, require_size: Callable[[int, int], None], limit: int, ignore_alpha: bool
) -> Decoded:
    """Return the picture of a TIFF file.

    Args:
        encoded: the file's bytes.
        name: by which messages call it.
        require_size: raises ImageError if a picture of ``(width, height)`` is too large.
        limit: most pixels.
        ignore_alpha: drop the alpha channel instead of composing on white.

    Raises:
        ImageError: naming what cannot be read truly.
        Exception: of any class, if the file is damaged.
    """
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        page, notes, several = _picture_of(file)
        require_size(page.imagewidth, page.imagelength)
        _require_known(page, name, limit, len(encoded))
        raw, area = page.nbytes, page.imagewidth * page.imagelength
        room = min(4 * raw, 2.5 * raw + 12 * area) + 12 * area  # as measured
        with reserved(room, f"{name} of {page.imagewidth} x {page.imagelength} pixels", ImageError):
            samples = _samples(page, encoded, name, limit)
            if samples is None:
                pixels, found = _by_pillow(page, encoded, name, ignore_alpha)
            else:
                pixels, found = _meaning(page, samples, name, ignore_alpha)
        if pixels.shape != (page.imagelength, page.imagewidth, 3):
            raise ImageError(f"{name} does not hold the picture that its header describes; save it again.")
        orientation = page.tags.valueof(_ORIENTATION, 1)
        known = isinstance(orientation, int) and 1 <= orientation <= 8
        return Decoded(pixels, notes + found, orientation if known else 1, several)


def _picture_of(file: tifffile.TiffFile) -> tuple[tifffile.TiffPage, list[str], bool]:
    """Return the page to show, the notes about the choice, and whether further pictures follow."""
    first = file.pages.first
    if not _is_reduced(first):
        with suppress(Exception):  # the second page may be damaged, the first is not
            return first, [], not _is_reduced(_page(file.pages[1]))
        return first, [], False
    behind = [page for page in islice(_behind(file, first), _MOST_PAGES) if not _is_reduced(page)]
    if not behind:
        return first, [], False
    best = max(behind, key=lambda page: page.imagewidth * page.imagelength)
    return best, ["a thumbnail comes first in the file; the picture behind it is shown"], False


def _behind(file: tifffile.TiffFile, first: tifffile.TiffPage) -> Iterator[tifffile.TiffPage]:
    """Yield the pages below the first one, and those that follow."""
    for number in range(len(first.subifds or ())):
        with suppress(Exception):
            yield _page(first.pages[number])  # type: ignore[index]
    for number in range(1, _MOST_PAGES):
        try:
            yield _page(file.pages[number])
        except Exception:
            return


def _page(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    return page.aspage()


def _is_reduced(page: tifffile.TiffPage) -> bool:
    kind = page.tags.valueof(_SUBFILE_TYPE, 0)
    return isinstance(kind, int) and bool(kind & _REDUCED)


def _require_known(page: tifffile.TiffPage, name: str, limit: int, length: int) -> None:
    """Raise ImageError for what is no picture yet, and for sizes that are out of proportion."""
    if page.photometric in _RAW:
        raise ImageError(
            f"{name} is a raw camera picture; develop it to JPEG, PNG or a TIFF of colours first."
        )
    if page.imagedepth != 1:
        raise ImageError(f"{name} is a volume of {page.imagedepth} layers; save one layer as a picture.")
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    size = page.imagewidth * page.imagelength * page.samplesperpixel * -(-bits // 8)
    if size > limit * _BYTES_PER_PIXEL or page.samplesperpixel > _MOST_SAMPLES:
        raise ImageError(
            f"{name} holds {page.samplesperpixel} samples of {bits} bits for each of its "
            f"{page.imagewidth} x {page.imagelength} pixels, which is too much; save it with fewer."
        )
    stored = page.imagewidth * page.imagelength * page.samplesperpixel * bits // 8
    if page.compression == _NONE and stored > length:
        raise ImageError(f"{name} is cut short: parts of its picture are missing; save it again.")
    if page.is_tiled:
        tile = page.tilewidth * page.tilelength * page.tiledepth
        if tile > max(_LARGEST_TILE, 4 * page.imagewidth * page.imagelength):
            raise ImageError(f"{name} has tiles far larger than the picture; save it again as JPEG or PNG.")


def _samples(page: tifffile.TiffPage, encoded: Encoded, name: str, limit: int) -> NDArray[Any] | None:
    """Return the samples, (H, W, S) of any number type; None where only Pillow may know how."""
    if page.photometric not in (_GREY_WHITE, _GREY, _RGB, _PALETTE, _CMYK) and not (
        page.photometric == _YCBCR and page.compression == _JPEG
    ):
        return None
    if page.compression not in (*_PLAIN, *_WITH_LIBRARY):
        return None
    if not _has_codecs() and not (page.compression in _PLAIN and page.predictor in (1, 2)):
        return None
    if page.compression in (_JPEG, _WEBP):
        _require_embedded(page, encoded, name)
    if page.dtype is None or page.dtype.kind not in "buif":
        raise ImageError(
            f"{name} has samples of {page.bitspersample} bits in a form that is not read; save it as PNG."
        )
    _require_segments(page, encoded, name)
    # Our own memory, so that what no segment fills is black and never what another picture left there.
    samples = page.asarray(maxworkers=1, squeeze=False, out=np.zeros(page.shaped, page.dtype))
    planes, depth, height, width, together = samples.shape
    if depth != 1 or planes * together != page.samplesperpixel:
        raise ImageError(f"{name} does not hold the samples that its header describes; save it again.")
    return samples[:, 0].transpose(1, 2, 0, 3).reshape(height, width, planes * together)


def _require_segments(page: tifffile.TiffPage, encoded: Encoded, name: str) -> None:
    """Raise ImageError unless all strips or tiles are there, within the file."""
    count = int(np.prod(page.chunked))
    offsets, lengths = page.dataoffsets, page.databytecounts
    whole = page.is_contiguous or (len(offsets) >= count and len(lengths) >= count)
    sound = whole and all(
        offset >= 0 and length >= 0 and offset + length <= len(encoded)
        for offset, length in zip(offsets, lengths, strict=False)
    )
    if not sound:
        raise ImageError(f"{name} is cut short: parts of its picture are missing; save it again.")


def _require_embedded(page: tifffile.TiffPage, encoded: Encoded, name: str) -> None:
    """Raise ImageError if a JPEG or WebP inside the file says that it is larger than its strip or tile."""
    size_of = jpeg_size if page.compression == _JPEG else webp_size
    width, height = page.imagewidth, page.imagelength
    if page.is_tiled:
        width, height = page.tilewidth, page.tilelength
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        found = size_of(encoded[offset : offset + length]) if length else (0, 0)
        # Chroma is stored in blocks of up to 32 pixels, and a writer may fill the last one.
        if found is None or found[0] > width + 32 or found[1] > height + 32:
            raise ImageError(f"{name} holds parts that are larger than the picture; save it again.")


def _has_codecs() -> bool:
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return True


# --- what samples mean ---------------------------------------------------------------------------


def _meaning(
    page: tifffile.TiffPage, samples: NDArray[Any], name: str, ignore_alpha: bool
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the samples as (H, W, 3) uint8 RGB, and the notes."""
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * 255
    elif page.photometric != _PALETTE:
        samples = _full_range(samples, page.bitspersample)
    kind = page.photometric
    if kind == _PALETTE:
        return _from_palette(page, samples, name), []
    if kind == _CMYK:
        return _from_cmyk(samples, name)
    count = 1 if kind in (_GREY, _GREY_WHITE) else 3
    if count == 1 and samples.shape[2] >= 3 and not page.extrasamples:
        count = 3  # writers of numbers rarely say that three of them are a colour
    if samples.shape[2] < count:
        raise ImageError(f"{name} has {samples.shape[2]} samples for a colour; save it again as PNG.")
    colour, notes = samples[:, :, :count], []
    if samples.shape[2] > count:
        alpha, premultiplied = _alpha(page, samples, count)
        if alpha is not None:
            colour = np.dstack((_straight(colour, alpha) if premultiplied else colour, alpha))
        if samples.shape[2] > colour.shape[2]:
            notes = [f"{count} of {samples.shape[2]} samples of each pixel shown"]
    nodata = page.tags.valueof(42113)
    pixels, found = to_rgb(colour, ignore_alpha, nodata=_number(nodata))
    if kind == _GREY_WHITE:
        pixels = 255 - pixels
    return pixels, notes + found


def _full_range(samples: NDArray[Any], bits: int | tuple[int, ...]) -> NDArray[Any]:
    """Return samples of fewer than 8 bits (and different ones, as 5-6-5) spread over 0 to 255."""
    depths = [bits] * samples.shape[2] if isinstance(bits, int) else list(bits)
    if samples.dtype != np.uint8 or all(depth == 8 for depth in depths):
        return samples
    highest = np.array([(1 << depth) - 1 for depth in depths])
    return np.rint(samples * (255 / highest)).astype(np.uint8)


def _alpha(page: tifffile.TiffPage, samples: NDArray[Any], count: int) -> tuple[NDArray[Any] | None, bool]:
    """Return the alpha channel, and whether colours were multiplied with it; None if there is none."""
    for number, kind in enumerate(page.extrasamples):
        if kind in (_ALPHA, _PREMULTIPLIED) and count + number < samples.shape[2]:
            return samples[:, :, count + number], kind == _PREMULTIPLIED
    if not page.extrasamples and count == 3 and page.photometric == _RGB and samples.shape[2] == 4:
        return samples[:, :, 3], False
    return None, False


def _straight(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Return colours as they were before they were multiplied with alpha."""
    full = np.iinfo(colour.dtype).max if colour.dtype.kind in "ui" else 1
    share = np.maximum(alpha.astype(np.float64), 1 if colour.dtype.kind in "ui" else 1e-6) / full
    straight = np.clip(colour / share[:, :, None], 0, full)
    return (np.rint(straight) if colour.dtype.kind in "ui" else straight).astype(colour.dtype)


def _from_palette(page: tifffile.TiffPage, samples: NDArray[Any], name: str) -> NDArray[np.uint8]:
    table = page.colormap
    if table is None or table.ndim != 2 or samples.dtype.kind != "u" or samples.max() >= table.shape[1]:
        raise ImageError(f"{name} names colours that its palette does not have; save it again as PNG.")
    colours = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
    return np.ascontiguousarray(colours[:, samples[:, :, 0]].transpose(1, 2, 0))


def _from_cmyk(samples: NDArray[Any], name: str) -> tuple[NDArray[np.uint8], list[str]]:
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)
    if samples.dtype != np.uint8 or samples.shape[2] < 4:
        raise ImageError(f"{name} is made of inks in a form that is not read; save it as RGB.")
    inks = Image.fromarray(np.ascontiguousarray(samples[:, :, :4]), mode="CMYK")
    return np.asarray(inks.convert("RGB")), ["CMYK shown as RGB without colour profile"]


def _name(code: int) -> str:
    return getattr(code, "name", str(code))


def _number(text: object) -> float | None:
    """Return the value that stands for "no data", as its tag writes it."""
    try:
        return float(str(text).strip("\0 \n"))
    except ValueError:
        return None


# --- Pillow --------------------------------------------------------------------------------------


def _by_pillow(
    page: tifffile.TiffPage, encoded: Encoded, name: str, ignore_alpha: bool
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the pixels of a plain file of 8 bits as Pillow decodes them."""
    bits = page.bitspersample
    formats = page.tags.valueof(339, 1)
    plain = bits in (1, 8) and page.planarconfig == 1 and formats in (1, (1,) * page.samplesperpixel)
    grey16 = bits == 16 and page.samplesperpixel == 1 and page.photometric == _GREY and formats == 1
    if page.compression not in _BY_PILLOW or page is not page.parent.pages.first or not (plain or grey16):
        form = f"{_name(page.compression)}, {_name(page.photometric)}, {bits} bits"
        needed = "" if _has_codecs() else " without imagecodecs (pip install 'fcfi[images]')"
        raise ImageError(f"{name} is a TIFF of a form that is not read{needed}: {form}; save it as PNG.")
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(encoded))
    if image.size != (page.imagewidth, page.imagelength):
        raise ImageError(f"{name} does not hold the picture that its header describes; save it again.")
    image.tag_v2.pop(_ORIENTATION, None)  # turned by the caller, like all others
    image.load()
    if image.mode.startswith("I;16"):
        return to_rgb(np.asarray(image))
    notes = ["CMYK shown as RGB without colour profile"] if image.mode == "CMYK" else []
    if image.has_transparency_data:
        pixels, found = to_rgb(np.asarray(image.convert("RGBA")), ignore_alpha)
        return pixels, notes + found
    return np.asarray(image.convert("RGB")), notes
