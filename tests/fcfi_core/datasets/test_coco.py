from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as oracle

from fcfi_core.datasets.coco import CocoDataset, decode_segmentation
from fcfi_core.datasets.coco_file import CocoFile
from fcfi_core.datasets.folder import choose
from fcfi_core.errors import DataError


def test_polygons_run_lengths_and_crowds(make_coco) -> None:
    dataset = CocoDataset(make_coco())
    assert dataset.name == "instances"
    assert dataset.image_names == ("photo0", "photo1")
    assert dataset.areas("photo0") == {1: 400, 2: 1200}
    square, stripe, parts = choose(dataset)
    assert square.truth[10:30, 10:30].all()
    assert stripe.truth[:, 40:60].all()
    assert parts.truth[10:30, 10:30].all()
    assert parts.truth[12, 58]
    assert parts.object_id == 2, "the crowd is number 1"
    assert parts.ignore is not None
    assert parts.ignore[:, 0].all()
    assert parts.ignore.sum() == 60


def test_what_lies_under_a_crowd_does_not_count(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    left_half = {"size": [60, 80], "counts": [0, 60 * 40, 60 * 40]}
    crowd = {"id": 5, "image_id": 10, "category_id": 1, "segmentation": left_half, "iscrowd": 1}
    wide = [35, 10, 45, 10, 45, 20, 35, 20]
    partly = {"id": 6, "image_id": 10, "category_id": 1, "segmentation": [wide], "iscrowd": 0}
    path.write_text(json.dumps({**content, "annotations": [*content["annotations"], crowd, partly]}))
    dataset = CocoDataset(path)
    assert dataset.areas("photo0") == {2: 1200, 4: 50}, "1 is entirely covered, 4 half of it"
    assert [one.object_id for one in choose(dataset) if one.image_name == "photo0"] == [2, 4]


def test_photos_are_found_beside_the_file_or_where_told(make_coco, tmp_path) -> None:
    path = make_coco()
    moved = tmp_path / "elsewhere" / "instances.json"
    moved.parent.mkdir()
    path.rename(moved)
    with pytest.raises(DataError, match=r"photo0\.jpg"):
        CocoDataset(moved).read("photo0")
    photos = tmp_path / "photos" / "images"
    assert CocoDataset(moved, photos).read("photo0").pixels.shape == (60, 80, 3)
    assert CocoFile(moved, photos).categories == {1: "box", 2: "stripe"}


def test_wrong_files_are_named(make_coco, tmp_path) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    for broken, message in (
        ({"annotations": [{"image_id": 99}]}, "KeyError 99"),
        ({"images": [{"id": 1}]}, "file_name"),
        ({"images": 3}, "no list 'images'"),
        ({"annotations": []}, "no segmentation"),
    ):
        path.write_text(json.dumps({**content, **broken}))
        with pytest.raises(DataError, match=message):
            CocoDataset(path)


def test_what_is_no_object_is_counted(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    box = {"id": 5, "image_id": 10, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": []}
    path.write_text(json.dumps({**content, "annotations": [*content["annotations"], box]}))
    assert CocoDataset(path).left_out == {"crowd regions": 1, "annotations without a segmentation": 1}
    path.write_text(json.dumps({**content, "annotations": [box, content["annotations"][2]]}))
    with pytest.raises(DataError, match=r"object, but annotations without .* \(1\), crowd regions \(1\)"):
        CocoDataset(path)


def test_errors_of_an_annotation_name_it_and_its_image(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"image 'photo0\.jpg', annotation 1: a COCO polygon"):
        CocoDataset(path).areas("photo0")


def test_two_entries_of_one_photo_are_refused(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = "photo0.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"several images are photo0\.jpg"):
        CocoDataset(path)


def test_masks_of_cvat_are_objects(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["annotations"][2]["attributes"] = {"occluded": False}
    path.write_text(json.dumps(content))
    dataset = CocoDataset(path)
    assert dataset.areas("photo1") == {1: 60, 2: 455}
    assert dataset.read("photo1").ignore is None
    assert dataset.left_out == {}


def test_photo_of_another_size_is_refused(make_coco) -> None:
    path = make_coco()
    cv2.imwrite(str(path.parent / "images" / "photo0.jpg"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(DataError, match="20 x 20 pixels upright"):
        CocoDataset(path).read("photo0")


@pytest.mark.parametrize("wrong", [[[1, 2, 3, 4]], [["a"]], 5, [[1, 2, 3, 4, 5, float("nan")]]])
def test_wrong_segmentations_are_refused(wrong) -> None:
    with pytest.raises(DataError, match="COCO"):
        decode_segmentation(wrong, 10, 10)


def test_run_lengths_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match="its image"):
        decode_segmentation({"size": [3, 3], "counts": [9]}, 10, 10)


@settings(deadline=None, max_examples=25)
@given(arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_run_lengths_equal_the_reference(mask: np.ndarray) -> None:
    encoded = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert (decode_segmentation(encoded, *mask.shape) == mask).all()
