"""TIFF files of every build: the picture that was put in, or one sentence; the same at every load."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.errors import ImageError
from fcfi_core.images import load, tiff

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
COMPRESSIONS = [None, "zlib", "lzw", "packbits", "zstd"]


def written(samples, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, metadata=None, **options)
    return buffer.getvalue()


def gradient(height, width, channels, dtype):
    """(H, W, C) of the whole range from 0 to 200 (halved for signed types), nothing symmetric."""
    y, x = np.indices((height, width))
    planes = [(x * 3 + y * 7 + k * 31) % 101 * 2 for k in range(channels)]
    values = np.stack(planes, axis=2)
    values[0, 0], values[-1, -1] = 0, 200
    return (values - (100 if np.dtype(dtype).kind == "i" else 0)).astype(dtype)


def expected(samples):
    """What the stretch makes of samples of more than 8 bits, by hand."""
    if samples.dtype == np.uint8:
        return samples
    low, high = float(samples.min()), float(samples.max())
    return np.rint((samples.astype(float) - low) * 255 / (high - low))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_every_build_gives_the_picture_that_was_put_in(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    channels = data.draw(st.sampled_from([1, 3]))
    samples = gradient(data.draw(st.integers(2, 70)), data.draw(st.integers(2, 70)), channels, dtype)
    options = {
        "byteorder": data.draw(st.sampled_from("<>")),
        "bigtiff": data.draw(st.booleans()),
        "compression": data.draw(st.sampled_from(COMPRESSIONS)),
        "photometric": "rgb" if channels == 3 else data.draw(st.sampled_from(["minisblack", "miniswhite"])),
    }
    if data.draw(st.booleans()):
        options["tile"] = (16, data.draw(st.sampled_from([16, 32])))
    else:
        options["rowsperstrip"] = data.draw(st.integers(1, 80))
    if options["compression"] in ("zlib", "lzw", "zstd") and data.draw(st.booleans()):
        options["predictor"] = 3 if np.dtype(dtype).kind == "f" else 2
        assume(not (dtype == "f2" and options["predictor"] == 3))
    stored = samples if channels == 3 else samples[:, :, 0]
    if channels == 3 and data.draw(st.booleans()):
        stored, options["planarconfig"] = np.moveaxis(samples, 2, 0), "separate"
    encoded = written(stored, **options)
    right = expected(samples)
    if options["photometric"] == "miniswhite":
        right = 255 - right
    image = load(encoded)
    assert image.pixels.shape == (*samples.shape[:2], 3)
    assert np.abs(image.pixels - right).max() <= 1, options
    assert (load(encoded).pixels == image.pixels).all()


@pytest.mark.parametrize("separate", [False, True])
def test_a_file_that_pillow_has_opened_is_not_left_to_it(separate):
    samples = gradient(20, 30, 3, "u2")
    stored = np.moveaxis(samples, 2, 0) if separate else samples
    options = {"planarconfig": "separate"} if separate else {}
    encoded = written(stored, photometric="rgb", **options)
    with Image.open(io.BytesIO(encoded)) as opened:
        assert (load(opened).pixels == expected(samples)).all()


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_without_codecs_a_file_is_read_truly_or_refused(data):
    dtype = data.draw(st.sampled_from(["u1", "i1", "u2", "i2", "f4"]))
    channels = data.draw(st.sampled_from([1, 3]))
    samples = gradient(20, 30, channels, dtype)
    stored, options = (samples if channels == 3 else samples[:, :, 0]), {}
    if channels == 3 and data.draw(st.booleans()):
        stored, options["planarconfig"] = np.moveaxis(samples, 2, 0), "separate"
    if data.draw(st.booleans()):
        options["tile"] = (16, 16)
    compression = data.draw(st.sampled_from(COMPRESSIONS))
    photometric = "rgb" if channels == 3 else "minisblack"
    encoded = written(stored, compression=compression, photometric=photometric, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiff, "_has_codecs", lambda: False)
        try:
            pixels = load(encoded).pixels
        except ImageError as refusal:
            assert compression in ("lzw", "zstd")
            assert "imagecodecs" in str(refusal)  # noqa: PT017
            return
    assert np.abs(pixels - expected(samples)).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_few_bits_span_from_black_to_white(bits):
    width, height = 16, 4
    values = np.arange(width * height).reshape(height, width) % (1 << bits)
    per_byte = 8 // bits
    packed = sum(
        values.reshape(-1, per_byte)[:, k].astype(np.uint8) << (8 - bits * (k + 1)) for k in range(per_byte)
    )
    encoded = built(width, height, packed.astype(np.uint8).tobytes(), bits=bits, photometric=1)
    assert (load(encoded).pixels[:, :, 0] == np.rint(values * 255 / ((1 << bits) - 1))).all()


def built(width, height, data, *, bits=8, photometric=1, compression=1, samples=1, extra=()):
    """A TIFF of one strip, with any tags."""
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, compression),
        (262, 3, 1, photometric),
        (273, 4, 1, 0),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        *extra,
    ]
    tags.sort()
    start = 8 + 2 + 12 * len(tags) + 4
    body = b""
    for code, kind, count, value in tags:
        value = start if code == 273 else value
        raw = value if isinstance(value, bytes) else struct.pack("<I", value)
        body += struct.pack("<HHI", code, kind, count) + raw
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 0) + data


def test_alpha_of_every_kind():
    colour = gradient(9, 11, 3, "u1")
    alpha = np.full((9, 11), 255, np.uint8)
    alpha[:, :4] = 0
    straight = np.dstack((colour, alpha))
    pixels = load(written(straight, photometric="rgb", extrasamples=["unassalpha"])).pixels
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, 4:] == colour[:, 4:]).all()
    half = np.dstack((colour // 2, np.full((9, 11), 128, np.uint8)))
    pixels = load(written(half, photometric="rgb", extrasamples=["assocalpha"])).pixels
    assert np.abs(pixels.astype(int) - (colour * 0.5 + 127)).max() <= 2
    near_infrared = np.dstack((colour, alpha))
    image = load(written(near_infrared, photometric="rgb", extrasamples=["unspecified"]))
    assert (image.pixels == colour).all()
    assert image.notes == ("3 of 4 samples of each pixel shown",)


def test_bands_that_are_not_said_to_be_a_colour():
    bands = gradient(9, 11, 5, "u2")
    planes = np.moveaxis(bands, 2, 0)
    encoded = written(planes, photometric="minisblack", planarconfig="separate", extrasamples=[0] * 4)
    image = load(encoded)
    assert "samples of each pixel shown" in image.notes[0]


def test_palette_and_inks():
    flat = Image.fromarray(gradient(20, 30, 3, "u1")).quantize(64)
    buffer = io.BytesIO()
    flat.save(buffer, "TIFF")
    assert (load(buffer.getvalue()).pixels == np.asarray(flat.convert("RGB"))).all()
    inks = gradient(9, 11, 4, "u1")
    right = np.asarray(Image.fromarray(inks, mode="CMYK").convert("RGB"))
    for separate in (False, True):
        stored = np.moveaxis(inks, 2, 0) if separate else inks
        options = {"planarconfig": "separate"} if separate else {}
        image = load(written(stored, photometric="separated", **options))
        assert (image.pixels == right).all()
        assert image.notes == ("CMYK shown as RGB without colour profile",)
    deep = (inks.astype(np.uint16) << 8) + 7
    assert (load(written(deep, photometric="separated")).pixels == right).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "group4", "packbits", "tiff_adobe_deflate"])
def test_what_pillow_writes(compression):
    colour = Image.fromarray(gradient(40, 56, 3, "u1"))
    picture = colour.convert("1") if compression == "group4" else colour
    buffer = io.BytesIO()
    picture.save(buffer, "TIFF", compression=compression)
    right = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")).astype(int)
    assert np.abs(load(buffer.getvalue()).pixels - right).max() <= (4 if compression == "jpeg" else 0)


# --- values ---------------------------------------------------------------------------------------


def test_pixels_without_data_do_not_count():
    heights = np.linspace(223, 287, 600, dtype=np.float32).reshape(20, 30)
    heights[3:6, 4:9] = -9999
    tagged = written(heights, photometric="minisblack", extratags=[(42113, "s", 0, "-9999", True)])
    for encoded in (tagged, written(heights, photometric="minisblack")):
        image = load(encoded)
        assert (image.pixels[3:6, 4:9] == 0).all()
        assert image.pixels[0, 0, 0] == 0
        assert image.pixels[-1, -1, 0] == 255
        assert np.abs(image.pixels[10, 15, 0] - 255 * (heights[10, 15] - 223) / 64) <= 1
        assert image.notes[0].endswith("without the pixels that have no data")


@pytest.mark.parametrize(
    ("dtype", "nodata", "text"),
    [("u2", 65535, "65535"), ("i2", -32768, "-32768"), ("f4", -3.4028235e38, "-3.4028234663852886e+38")],
)
def test_any_value_may_stand_for_no_data(dtype, nodata, text):
    values = np.linspace(1000, 2000, 600).astype(dtype).reshape(20, 30)
    right = load(values).pixels.copy()
    values[2:5, 3:9] = nodata
    right[2:5, 3:9] = 0
    pixels = load(written(values, photometric="minisblack", extratags=[(42113, "s", 0, text, True)])).pixels
    assert (pixels == right).all()


def test_a_hot_pixel_does_not_flatten_the_picture():
    values = gradient(160, 240, 1, "u2")[:, :, 0] * 10 + 800
    right = load(values).pixels
    values[7, 9] = 65535
    image = load(written(values, photometric="minisblack"))
    others = np.ones(values.shape, bool)
    others[7, 9] = False
    assert np.abs(image.pixels[others].astype(int) - right[others]).max() <= 1
    assert image.pixels[7, 9, 0] == 255
    assert "65535" in image.notes[0]


def test_a_small_bright_object_on_black_is_not_stray():
    values = np.zeros((200, 200), np.uint16)
    values[5:8, 5:8] = np.arange(9).reshape(3, 3) * 500 + 500
    assert (load(values).pixels[:, :, 0] == expected(values)).all()


# --- which picture --------------------------------------------------------------------------------


def test_the_picture_behind_a_thumbnail():
    large, small = gradient(160, 240, 3, "u1"), gradient(40, 60, 3, "u1")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(small, photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(large, photometric="rgb", subfiletype=0, metadata=None)
    image = load(buffer.getvalue())
    assert (image.pixels == large).all()
    assert "thumbnail" in image.notes[0]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(small, photometric="rgb", subfiletype=1, metadata=None)
        file.write(large, photometric="rgb", subfiletype=0, metadata=None)
    assert (load(buffer.getvalue()).pixels == large).all()


def test_levels_of_a_pyramid_are_no_further_frames():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(gradient(64, 64, 3, "u1"), photometric="rgb", metadata=None)
        file.write(gradient(32, 32, 3, "u1"), photometric="rgb", subfiletype=1, metadata=None)
    assert load(buffer.getvalue()).notes == ()


@pytest.mark.parametrize("photometric", [32803, 34892])
def test_raw_camera_pictures_are_named(photometric):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(gradient(8, 9, 3, "u1"), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(gradient(40, 60, 1, "u2")[:, :, 0], photometric="minisblack", metadata=None)
    encoded = buffer.getvalue()
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        place = file.pages[0].pages[0].tags["PhotometricInterpretation"].valueoffset
    raw = encoded[:place] + struct.pack("<H", photometric) + encoded[place + 2 :]
    with pytest.raises(ImageError, match="raw camera picture"):
        load(raw)


# --- refusals -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_file_that_is_cut_short_is_refused(data):
    options = {"compression": data.draw(st.sampled_from(COMPRESSIONS)), "photometric": "rgb"}
    if data.draw(st.booleans()):
        options["tile"] = (16, 16)
    samples = (
        np.random.default_rng(0)
        .integers(0, 256, (40, 50, 3))
        .astype(data.draw(st.sampled_from(["u1", "u2"])))
    )
    encoded = written(samples, **options)
    with pytest.raises(ImageError):
        load(encoded[: data.draw(st.integers(0, len(encoded) * 9 // 10))])


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_files_are_read_the_same_every_time_or_refused(data):
    compression = data.draw(st.sampled_from(COMPRESSIONS))
    dtype = data.draw(st.sampled_from(["u1", "u2", "f4"]))
    stored, options = gradient(12, 17, 3, dtype), {}
    if data.draw(st.booleans()):
        stored, options["planarconfig"] = np.moveaxis(stored, 2, 0), "separate"
    encoded = bytearray(written(stored, compression=compression, photometric="rgb", **options))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, min(len(encoded), 300) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = load(bytes(encoded), max_pixels=1_000_000).pixels
    except ImageError:
        return
    assert (load(bytes(encoded), max_pixels=1_000_000).pixels == pixels).all()


def test_missing_strips_are_not_made_up():
    encoded = written(gradient(40, 50, 3, "u2"), photometric="rgb", rowsperstrip=8, compression="zlib")
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        tag = file.pages[0].tags["StripOffsets"]
        place, count = tag.offset, tag.count
    fewer = encoded[: place + 4] + struct.pack("<I", count - 1) + encoded[place + 8 :]
    with pytest.raises(ImageError, match="missing"):
        load(fewer)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 60_000, "height": 60_000}, "60000 x 60000 pixels"),
        ({"samples": 60_000}, "60000 samples"),
        ({"extra": [(322, 4, 1, 65_520), (323, 4, 1, 65_520)]}, "tiles"),
    ],
)
def test_claimed_sizes_are_refused_before_anything_is_reserved(changes, told):
    given = {"width": 100, "height": 100, "compression": 8, "data": zlib.compress(bytes(100)), **changes}
    extra = given.get("extra", [])
    if extra:
        extra = [*extra, (324, 4, 1, 200), (325, 4, 1, 10)]
    encoded = built(
        given["width"],
        given["height"],
        given["data"],
        compression=given["compression"],
        samples=given.get("samples", 1),
        extra=extra,
    )
    with pytest.raises(ImageError, match=told):
        load(encoded)


def test_thousands_of_samples_of_one_bit_are_refused():
    data = bytes(240 * 160 // 8)
    for samples, told in ((36_609, "36609 samples"), (900, "cut short")):
        with pytest.raises(ImageError, match=told):
            load(built(240, 160, data, bits=1, samples=samples))


def test_a_jpeg_inside_may_not_be_larger_than_its_strip():
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(buffer, "JPEG")
    encoded = built(100, 100, buffer.getvalue(), bits=8, photometric=6, compression=7, samples=3)
    with pytest.raises(ImageError, match="larger than the picture"):
        load(encoded)


def test_complex_numbers_are_refused():
    with pytest.raises(ImageError):
        load(written(np.zeros((4, 5), np.complex64), photometric="minisblack"))
