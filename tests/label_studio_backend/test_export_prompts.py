from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import DataError
from fcfi_core.masks import label_studio
from label_studio_backend.export_prompts import read_prompts

SIZE = {"original_width": 40, "original_height": 30, "to_name": "image"}


def rectangle(**changes):
    value = {"x": 25, "y": 50, "width": 50, "height": 20, "rotation": 0, "rectanglelabels": ["cat"]}
    return {**SIZE, "id": "r", "type": "rectanglelabels", "value": value, **changes}


def dot(ident, x, y, positive=True):
    value = {"x": x, "y": y, "width": 1, "keypointlabels": ["dog"]}
    return {**SIZE, "id": ident, "type": "keypointlabels", "is_positive": positive, "value": value}


def brush():
    rle = label_studio.encode(np.ones((30, 40), bool))
    value = {"format": "rle", "rle": rle, "brushlabels": ["cat"]}
    return {**SIZE, "id": "b", "type": "brushlabels", "value": value}


@pytest.fixture
def export(tmp_path):
    """Return a function that writes an export of one task with these results."""
    cv2.imwrite(str(tmp_path / "cat.png"), np.zeros((30, 40, 3), np.uint8))

    def write(*results, **annotation):
        path = tmp_path / "export.json"
        annotations = [{"result": list(results), **annotation}]
        path.write_text(
            json.dumps([{"id": 7, "data": {"image": "/data/cat.png"}, "annotations": annotations}])
        )
        return path

    return write


def test_rectangles_and_dots_become_objects(export, tmp_path) -> None:
    source = read_prompts(export(rectangle(), brush(), dot("1", 50, 50), dot("2", 10, 10, False)), None)
    assert source is not None
    assert source.categories == {1: "cat", 2: "dog"}
    (image,) = source.images
    assert (image.id, image.name) == (7, "cat.png")
    opened = image.read()
    assert opened.picture == tmp_path / "cat.png"
    boxed, dotted = opened.objects
    assert boxed.box == Box(10, 15, 29, 20)
    assert dotted.clicks == (Click(20, 15), Click(4, 3, False))


def test_polygons_are_masks_to_start_from(export) -> None:
    value = {"points": [[25, 0], [75, 0], [75, 100], [25, 100]], "polygonlabels": ["cat"]}
    source = read_prompts(export({**SIZE, "id": "p", "type": "polygonlabels", "value": value}), None)
    assert source is not None
    (drawn,) = source.images[0].read().objects
    assert drawn.prior_mask is not None
    assert drawn.prior_mask().sum() == 20 * 30


def test_what_holds_no_prompt_is_left_to_others(export, tmp_path) -> None:
    assert read_prompts(export(brush()), None) is None
    assert read_prompts(export(rectangle(), was_cancelled=True), None) is None
    other = tmp_path / "coco.json"
    other.write_text('{"images": []}')
    assert read_prompts(other, None) is None
    assert read_prompts(tmp_path / "a.csv", None) is None


def test_size_must_be_known(export) -> None:
    with pytest.raises(DataError, match="task 7: a region lacks original_width"):
        read_prompts(export(rectangle(original_width=None)), None)


def test_uploads_are_called_what_the_folder_calls_them(export) -> None:
    path = export(rectangle())
    path.write_text(path.read_text().replace("/data/cat.png", "/data/upload/3/0a1b2c3d-cat.png"))
    source = read_prompts(path, None)
    assert source is not None
    assert source.images[0].name == "cat.png"
    (path.parent / "cat.png").unlink()
    source = read_prompts(path, None)
    assert source is not None
    assert source.images[0].name == "0a1b2c3d-cat.png"
    with pytest.raises(DataError, match="0a1b2c3d-cat"):
        source.images[0].read()
