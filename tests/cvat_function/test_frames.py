"""Decoded frames: remembered, bounded, and never anyone else's."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cvat_function.frames import Frames
from cvat_function.settings import Settings
from fcfi_core.errors import ImageError


@pytest.fixture
def files(encoded):
    return [base64.b64decode(encoded(Image.new("RGB", (40, 30), (shade, 0, 0)))) for shade in (10, 20, 30)]


def test_the_same_file_is_decoded_once(files):
    frames = Frames(Settings())
    assert frames.load(files[0]) is frames.load(files[0])
    assert frames.load(files[1]).pixels[0, 0, 0] == 20


def test_the_cap_holds(files):
    frames = Frames(replace(Settings(), frame_bytes=2 * 40 * 30 * 3))
    for file in files:
        frames.load(file)
    assert frames.memo.statistics()["entries"] == 2
    assert np.array_equal(frames.load(files[0]).pixels, Settings().load_frame(files[0]).pixels)


def test_what_cannot_be_read_is_not_kept():
    frames = Frames(Settings())
    with pytest.raises(ImageError):
        frames.load(b"no image")
    assert frames.memo.statistics()["entries"] == 0
