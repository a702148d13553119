"""A photo, and what the objects of a source ask for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.opening import open_annotations


@pytest.fixture
def photo_at(tmp_path):
    """Return a function that writes a photo of 80 x 60 pixels at a path below the test's folder."""

    def write(path: str) -> Path:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        done, encoded = cv2.imencode(".png", np.full((60, 80, 3), 90, np.uint8))
        assert done
        (tmp_path / path).write_bytes(encoded.tobytes())
        return tmp_path / path

    return write


@pytest.fixture
def asked():
    """Return a function that gives ``[(label, prompt)]`` of all objects, and notes what is left out."""

    def read(path: Path, left_out: LeftOut | None = None) -> list:
        dataset = open_annotations(path)
        return [
            (one.label, one.marks.prompt(*photo.measured(), (left_out or LeftOut()).at(photo.name)))
            for photo in dataset.photos
            for one in photo.objects
        ]

    return read
