"""Frames of videos and folders, whatever they are called."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from fcfi_core.errors import DataError
from fcfi_core.pipelines.frames import frames_of
from fcfi_core.pipelines.overlay import OverlayVideo


def test_numbers_in_names_are_numbers_and_superscripts_are_none(tmp_path) -> None:
    names = ["1\u00b22.png", "2.png", "10.png", "a.png"]
    for name in names:
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    os.mkfifo(tmp_path / "3.png")
    assert list(frames_of(tmp_path, tmp_path / "out").names) == names


def test_a_name_that_opencv_cannot_take_is_one_sentence(tmp_path) -> None:
    """It ends the process for names that are no UTF-8."""
    video = tmp_path / "\udcff.mp4"
    video.write_bytes(b"no video")
    with pytest.raises(DataError, match=r"no UTF-8.*give it another"):
        frames_of(video, tmp_path)
    with pytest.raises(DataError, match=r"no UTF-8.*give it another"):
        OverlayVideo(tmp_path / "\udcff" / "overlay.webm", 10)
