from __future__ import annotations

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory):
    """A data set of sixteen little photos: bright discs and bars on dark noise."""
    root = tmp_path_factory.mktemp("photos")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    random = np.random.default_rng(0)
    for index in range(16):
        pixels = random.integers(0, 80, (72, 96, 3), dtype=np.uint8)
        ids = np.zeros((72, 96), np.uint8)
        centre = (int(random.integers(20, 76)), int(random.integers(20, 52)))
        cv2.circle(ids, centre, 13, 1, -1)
        cv2.rectangle(ids, (2, 2), (20, 12), 2, -1)
        pixels[ids == 1] = (220, 180, 40)
        pixels[ids == 2] = (40, 200, 220)
        cv2.imwrite(str(root / "images" / f"{index:02}.png"), pixels[..., ::-1])
        cv2.imwrite(str(root / "masks" / f"{index:02}.png"), ids)
    return root
