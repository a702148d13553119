"""Small data sets on disk and segmenters whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fcfi_core.evaluation.datasets import Sample


def _disks(count: int, height: int = 60, width: int = 80) -> np.ndarray:
    ids = np.zeros((height, width), np.uint16)
    for number in range(1, count + 1):
        cv2.circle(ids, (width * number // (count + 1), height // 2), 8 + number, number, -1)
    return ids


@pytest.fixture
def make_folder(tmp_path):
    """Return a function that writes a data set of photos with some disks each."""

    def make(
        name: str = "disks", counts: tuple[int, ...] = (1, 2), *, ignore: bool = False, depth=np.uint8
    ) -> Path:
        root = tmp_path / name
        (root / "images").mkdir(parents=True)
        (root / "masks").mkdir()
        random = np.random.default_rng(0)
        for index, count in enumerate(counts):
            ids = _disks(count).astype(depth)
            pixels = random.integers(0, 60, (*ids.shape, 3), dtype=np.uint8)
            pixels[ids > 0] += 150
            if ignore:
                ids[:5] = np.iinfo(depth).max
            cv2.imwrite(str(root / "images" / f"photo{index}.jpg"), pixels)
            cv2.imwrite(str(root / "masks" / f"photo{index}.png"), ids)
        return root

    return make


@pytest.fixture
def make_coco(make_folder):
    """Return a function that writes a COCO file beside a folder of photos with two boxes each."""

    def make(**extra: object) -> Path:
        root = make_folder("photos")
        square = [10, 10, 30, 10, 30, 30, 10, 30]
        images = [{"id": 10 + k, "file_name": f"photo{k}.jpg", "width": 80, "height": 60} for k in range(2)]
        annotations = [
            {
                "id": 1,
                "image_id": 10,
                "category_id": 1,
                "segmentation": [square],
                "bbox": [10, 10, 20, 20],
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 10,
                "category_id": 2,
                "segmentation": {"size": [60, 80], "counts": [60 * 40, 60 * 20, 60 * 20]},
                "iscrowd": 0,
            },
            {
                "id": 3,
                "image_id": 11,
                "category_id": 1,
                "segmentation": {"size": [60, 80], "counts": [0, 60, 60 * 79]},
                "iscrowd": 1,
            },
            {"id": 4, "image_id": 11, "category_id": 1, "segmentation": [square, [50, 10, 60, 10, 60, 20]]},
        ]
        categories = [{"id": 1, "name": "box"}, {"id": 2, "name": "stripe"}]
        content = {"images": images, "annotations": annotations, "categories": categories, **extra}
        path = root / "instances.json"
        path.write_text(json.dumps(content))
        return path

    return make


@pytest.fixture
def sample():
    """One disk, truth known."""
    ids = _disks(1)
    return Sample("set", "photo", 1, np.zeros((*ids.shape, 3), np.uint8), ids == 1)


@pytest.fixture
def patient():
    """Return a segmenter function that is right from the n-th click on, and empty before."""

    def make(truth: np.ndarray, clicks_needed: int):
        def segment(pixels: np.ndarray, clicks: tuple) -> np.ndarray:
            return truth.copy() if len(clicks) >= clicks_needed else np.zeros_like(truth)

        return segment

    return make
