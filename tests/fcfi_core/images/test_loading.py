"""Every source and format becomes the picture that the annotator sees, or is refused in a sentence."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fcfi_core.errors import ImageError
from fcfi_core.images import LoadedImage, load
from tests.fcfi_core.images.pictures import EXACT, FORMATS, deep, encoded, picture, png16, tiff


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


def test_a_pointer_of_git_lfs_is_named():
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n"
    with pytest.raises(ImageError, match="git lfs pull"):
        load(pointer)
