from __future__ import annotations

import contextlib
import io
import struct
import sys
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fcfi_core.errors import ImageError
from fcfi_core.images import LoadedImage, load

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


def header_only_png(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 99) + b"IDAT"


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def stored_for(upright, orientation):
    """The picture as a camera stores it, so that ``orientation`` makes it upright."""
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    return np.ascontiguousarray(undo[orientation](upright))


# --- sources and formats -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_source(kind, tmp_path):
    data = encoded(picture(), kind)
    path = tmp_path / "no-extension"
    path.write_bytes(data)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)]
    loaded = [load(source) for source in sources]
    for image in loaded:
        assert (image.pixels == expected).all()
        assert image.pixels.dtype == np.uint8
        assert image.pixels.flags.c_contiguous
        assert not image.pixels.flags.writeable
        assert (image.width, image.height) == (56, 40)
        assert image.notes == ()
    assert len({image.digest for image in loaded}) == 1
    with Image.open(path) as opened:
        assert (load(opened).pixels == expected).all()
    with path.open("rb") as file:
        assert (load(file).pixels == expected).all()


def test_arrays():
    pixels = picture()
    image = load(pixels)
    assert (image.pixels == pixels).all()
    assert image.digest == load(pixels.copy()).digest == load(Image.fromarray(pixels)).digest
    assert image.digest != load(pixels.reshape(20, 112, 3)).digest
    assert load(image) is image
    pixels[0, 0] = 99
    assert image.pixels[0, 0, 0] == 0


@pytest.mark.parametrize("view", [np.s_[::2, ::-1], np.s_[:, :, ::-1], np.s_[5:6, 7:8]])
def test_array_views(view):
    pixels = picture()[view]
    assert (load(pixels).pixels == pixels).all()
    assert load(pixels).pixels.flags.c_contiguous


def test_grey_and_alpha_arrays():
    grey = picture()[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert (load(grey).pixels == expected).all()
    assert (load(grey[:, :, None]).pixels == expected).all()
    opaque = np.dstack((picture(), np.full(grey.shape, 255, np.uint8)))
    assert (load(opaque).pixels == picture()).all()
    assert load(opaque).notes == ()
    clear = np.dstack((grey, np.zeros_like(grey)))
    assert (load(clear).pixels == 255).all()
    assert load(clear).notes == ("transparent parts shown on white",)


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_fast_jpeg_equals_pillow(subsampling, options):
    data = encoded(picture(333, 217), "JPEG", subsampling=subsampling, **options)
    fast, careful = load(data).pixels, load(data + b"trailer").pixels
    assert np.abs(fast.astype(int) - careful).max() <= 1


# --- orientation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_orientation(kind, orientation):
    stored = stored_for(picture(), orientation)
    data = encoded(stored, kind, exif=exif_of(orientation), **EXACT[kind])
    image = load(data)
    assert (image.pixels == picture()).all()
    assert image.notes == ((f"turned upright (EXIF orientation {orientation})",) if orientation > 1 else ())
    assert (load(Image.open(io.BytesIO(data))).pixels == picture()).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("trailer", [b"", b"trailer"])
def test_jpeg_orientation(orientation, trailer):
    data = encoded(stored_for(picture(), orientation), "JPEG", quality=100, exif=exif_of(orientation))
    pixels = load(data + trailer).pixels
    assert pixels.shape == picture().shape
    assert np.abs(pixels.astype(int) - picture()).mean() < 2.5
    reference = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.abs(pixels.astype(int) - reference).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("byte_order", "<>")
def test_orientation_of_deep_colour(orientation, byte_order):
    upright = picture().astype(np.uint16) * 257
    expected = load(upright).pixels
    stored = stored_for(upright, orientation)
    assert (load(tiff(stored, orientation, byte_order)).pixels == expected).all()
    exif = exif_of(orientation).tobytes().removeprefix(b"Exif\0\0")
    assert (load(png16(stored, exif)).pixels == expected).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", exif_of(0).tobytes(), exif_of(9).tobytes()])
def test_bad_exif_is_ignored(exif):
    assert load(encoded(picture(), "JPEG", exif=exif)).pixels.shape == (40, 56, 3)


# --- modes ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame(kind):
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    image = load(data)
    assert (image.pixels == load(encoded(frames[0], kind)).pixels).all()
    assert image.notes == ("frame 1 of several",)


def test_preview_pictures_in_a_jpeg_are_no_frames():
    data = encoded(picture(), "MPO", save_all=True, append_images=[Image.fromarray(picture()[::2, ::2])])
    assert load(data).notes == load(data + b"trailer").notes == ()
    assert load(data).pixels.shape == picture().shape


@pytest.mark.parametrize("kind", FORMATS)
def test_one_pixel(kind):
    image = load(encoded(np.full((1, 1, 3), 255, np.uint8), kind))
    assert image.pixels.tolist() == [[[255, 255, 255]]]


# --- more than 8 bits ----------------------------------------------------------------------------


def stretched(samples):
    low, high = samples.min().astype(float), samples.max().astype(float)
    return np.rint((samples - low) * 255 / (high - low))


def deep(channels):
    return np.random.default_rng(0).integers(300, 4000, (31, 23, channels)).astype(np.uint16)


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


# --- refusals ------------------------------------------------------------------------------------


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


def test_missing_empty_folder_and_text(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no picture")
    with pytest.raises(ImageError, match=r"image 'nowhere\.png' does not exist"):
        load("nowhere.png")
    with pytest.raises(ImageError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ImageError, match="is empty"):
        load(tmp_path / "empty")
    with pytest.raises(ImageError, match="is not a picture"):
        load(tmp_path / "text")
    with pytest.raises(ImageError, match="is not a picture"):
        load(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(ImageError, match="cannot be read"):
        load("a\0b")
    with pytest.raises(ImageError, match="is empty"):
        load(b"")
    with (tmp_path / "text").open() as file, pytest.raises(ImageError, match="mode 'rb'"):
        load(file)


def test_heic_is_read_with_its_library_and_named_without(monkeypatch):
    path = Path(__file__).parent / "files" / "disc.heic"
    image = load(path)
    assert image.pixels.shape == (160, 240, 3)
    assert image.pixels[80, 80, 0] > 150  # the red disc
    assert image.pixels[80, 80, 1] < 90
    with pytest.raises(ImageError, match="cannot be decoded"):
        load(path.read_bytes()[:2000])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"HEIC, which is not read here; install .*fcfi\[images\]"):
        load(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_upright(orientation):
    data = encoded(stored_for(picture(), orientation), "AVIF", quality=100, exif=exif_of(orientation))
    image = load(data)
    assert image.pixels.shape == picture().shape
    assert np.abs(image.pixels.astype(int) - picture()).mean() < 4


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


def test_other_formats_are_refused():
    with pytest.raises(ImageError, match="give a JPEG, PNG"):
        load(encoded(picture(), "PPM"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "NoneType"),
        (7, "int"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((4, 4, 5), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4), complex), "complex"),
        (np.zeros((4, 4), object), "object"),
    ],
)
def test_other_things_are_refused(source, reason):
    with pytest.raises(ImageError, match=reason):
        load(source)


# --- threads -------------------------------------------------------------------------------------


def test_threads_do_not_disturb_each_other():
    sources = [encoded(picture(200 + k, 300), kind) for k, kind in enumerate(FORMATS)] + [png16(deep(3))]
    expected = [load(source).pixels for source in sources]
    wrong: list[int] = []

    def work(start):
        for step in range(20):
            index = (start + step) % len(sources)
            if not (load(sources[index]).pixels == expected[index]).all():
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_loaded_image_is_fixed():
    image = load(picture())
    assert isinstance(image, LoadedImage)
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_picture_without_any_value_is_refused(value):
    with pytest.raises(ImageError, match="no value at all"):
        load(np.full((4, 5), value, np.float32))


def test_a_pointer_of_git_lfs_is_named():
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n"
    with pytest.raises(ImageError, match="git lfs pull"):
        load(pointer)
