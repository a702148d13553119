from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFile

from fcfi_core import images
from fcfi_core.errors import ImageError
from fcfi_core.images import loading
from fcfi_core.images.sizes import size_of


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif"])
def test_the_size_is_that_of_the_loaded_picture(tmp_path, suffix, orientation) -> None:
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path, exif=exif)
    loaded = images.load(path)
    assert size_of(path) == (loaded.width, loaded.height)


def test_only_the_header_is_read(tmp_path, monkeypatch) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(loading, "decode", lambda *arguments: pytest.fail("decoded"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    assert size_of(tmp_path / "a.png") == (30, 20)


def test_what_cannot_be_read_is_told(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "b.png").write_bytes(b"text")
    for name, told in (("a.png", "cannot be decoded"), ("b.png", "not a picture"), ("c.png", "No such file")):
        with pytest.raises(ImageError, match=told):
            size_of(tmp_path / name)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "d.png")
    with pytest.raises(ImageError, match="limit"):
        size_of(tmp_path / "d.png", max_pixels=100)
