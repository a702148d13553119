"""A few small photos on disk."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcfi_core.predictor import Predictor


@pytest.fixture
def photos(tmp_path, photo):
    """A folder of three photos of 120 x 90 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.roll(photo, 10 * index, axis=1)[..., ::-1])
    return folder


@pytest.fixture
def predictor(tiny_model):
    """A predictor of the tiny network."""
    return Predictor(tiny_model)
