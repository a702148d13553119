from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as oracle

from fcfi_core.datasets.coco import CocoDataset, decode_segmentation
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import choose
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
    with pytest.raises(DataError, match=r"photo 'photo0\.jpg' is not in .*and 1 more"):
        CocoDataset(moved).require_photos()
    photos = tmp_path / "photos" / "images"
    assert CocoDataset(moved, photos).read("photo0").pixels.shape == (60, 80, 3)
    assert CocoDataset(moved, photos).categories == {1: "box", 2: "stripe"}


def test_wrong_files_are_named(make_coco, tmp_path) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    for broken, message in (
        ({"annotations": [{"image_id": 99}]}, "no segmentation .*annotations of no image in the file"),
        ({"images": [{"id": 1}]}, "file_name"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": "1", "file_name": "b"}]}, "same id"),
        ({"images": 3}, "no list 'images'"),
        ({"annotations": []}, "no segmentation"),
        ({"annotations": None}, "no segmentation"),
        ({"annotations": [3, None]}, "no segmentation"),
    ):
        path.write_text(json.dumps({**content, **broken}))
        with pytest.raises(DataError, match=message):
            CocoDataset(path).require_masks()


def test_ids_may_be_text(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    for one in content["annotations"]:
        one["image_id"], one["category_id"] = str(one["image_id"]), float(one["category_id"])
    path.write_text(json.dumps(content))
    dataset = CocoDataset(path)
    assert dataset.areas("photo0") == {1: 400, 2: 1200}
    assert [one.label for one in dataset.photos[0].objects] == ["box", "stripe"]
    assert [photo.id for photo in dataset.photos] == [10, 11]


def test_categories_without_whole_numbers_are_numbered(make_coco) -> None:
    path = make_coco(categories=[{"id": "b", "name": "box"}, {"id": 2, "name": "stripe"}, {"id": "c"}, 5])
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = "b"
    path.write_text(json.dumps(content))
    dataset = CocoDataset(path)
    assert dataset.categories == {1: "box", 2: "stripe", 3: "object", 4: "object"}
    assert [one.category for one in dataset.photos[0].objects] == [1, 2]


def test_a_bad_image_entry_costs_itself_alone(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "images": [*content["images"], {"id": 3}, "x"]}))
    dataset = CocoDataset(path)
    assert dataset.image_names == ("photo0", "photo1")
    assert dataset.unread == {"images without id or file_name": 2}


def test_a_file_is_parsed_once(make_coco, monkeypatch) -> None:
    parsed = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text, **options: parsed.append(1) or loads(text, **options))
    dataset = open_dataset(make_coco())
    assert len(list(choose(dataset))) == 3
    assert len(parsed) == 1


def test_whole_numbers_may_be_contours(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["annotations"][0]["area"] = 21 * 21
    content["annotations"][1]["segmentation"] = [40, 0, 60, 0, 60, 60, 40, 60]
    path.write_text(json.dumps(content))
    assert CocoDataset(path).areas("photo0") == {1: 441, 2: 1200}


def test_what_is_no_object_is_counted(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    box = {"id": 5, "image_id": 10, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": []}
    path.write_text(json.dumps({**content, "annotations": [*content["annotations"], box]}))
    assert CocoDataset(path).left_out == {"crowd regions": 1, "annotations without a segmentation": 1}
    path.write_text(json.dumps({**content, "annotations": [box, content["annotations"][2]]}))
    path.write_text(json.dumps({**json.loads(path.read_text()), "info": {"description": "COCO"}}))
    with pytest.raises(DataError, match=r"object, but annotations without .* \(1\), crowd regions \(1\)"):
        CocoDataset(path).require_masks()


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4]],
        [["a", 1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, 1e300]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [None],
        "text",
        7,
        {"size": [60, 80], "counts": [1, [2]]},
        {"size": [60, 80], "counts": [10**30]},
        {"size": [10**6, 10**6], "counts": [10**12]},
        {"size": 3, "counts": "1"},
        {"counts": "1"},
    ],
)
def test_a_damaged_segmentation_costs_its_object_alone(make_coco, segmentation) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = segmentation
    path.write_text(json.dumps(content))
    dataset = CocoDataset(path)
    assert dataset.areas("photo0") == {2: 1200}
    assert sum(count for kind, count in dataset.left_out.items() if kind != "crowd regions") >= 1
    assert "photo0.jpg, object 1" in str(dataset.left_out)


def test_a_bad_ring_costs_itself_alone(make_coco) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] += [[5, 5, 6, 6], [1, 1, 5, 5, float("inf"), 3]]
    path.write_text(json.dumps(content))
    dataset = CocoDataset(path)
    assert dataset.areas("photo0") == {1: 400, 2: 1200}
    assert dataset.left_out == {
        "crowd regions": 1,
        "rings of fewer than three points": 1,
        "rings with a coordinate that is no number": 1,
    }


@pytest.mark.parametrize("size", [(10**6, 10**6), (60_000, 60_000), (60, 80)])
def test_claimed_sizes_are_compared_before_anything_is_drawn(make_coco, size) -> None:
    path = make_coco()
    content = json.loads(path.read_text())
    content["images"][0] |= {"width": size[0], "height": size[1]}
    content["annotations"][0]["segmentation"] = [[0, 0, size[0], 0, size[0], size[1], 0, size[1]]]
    path.write_text(json.dumps(content))
    dataset = CocoDataset(path)
    assert dataset.areas("photo0") == {}
    assert f"says {size[0]} x {size[1]}" in str(dataset.left_out)
    assert {one.image_name for one in choose(dataset)} == {"photo1"}


def entries(*images):
    return {
        "images": [{"id": key, "file_name": name, "width": 80, "height": 60} for key, name in images],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": number, "image_id": key, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9, 0, 9]]}
            for number, (key, _) in enumerate(images)
        ],
    }


@pytest.mark.parametrize(
    ("images", "objects", "said"),
    [
        ([(1, "a.png"), (2, "a.png")], {"a": 2}, "further entries of a photo, taken with the first (1"),
        ([(1, "a.png"), (1, "a.png"), (2, "b.png")], {"a": 2, "b": 1}, "taken with the first"),
        ([(1, "a.png"), ("1", "b.png"), (2, "c.png")], {"c": 1}, "images whose id others have (1; the first"),
        ([(1, "a.png"), (2, "b.png"), (2, "a.png")], {"a": 1}, "images whose id others have"),
        ([(1, "a.png"), (2, "a.png"), (2, "b.png")], {"a": 1}, "images whose id others have"),
    ],
)
def test_entries_that_are_there_twice_cost_no_more_than_themselves(tmp_path, images, objects, said) -> None:
    for _, name in images:
        Image.new("RGB", (80, 60)).save(tmp_path / name)
    path = tmp_path / "c.json"
    path.write_text(json.dumps(entries(*images)))
    dataset = CocoDataset(path)
    assert {photo.name: len(photo.objects) for photo in dataset.photos} == objects
    assert said in str(dataset.left_out)
    assert {name: len(dataset.areas(name)) for name in dataset.image_names} == objects


def test_a_second_entry_of_another_size_is_left_out(tmp_path) -> None:
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    content = entries((1, "a.png"), (2, "a.png"))
    content["images"][1]["width"] = 160
    (tmp_path / "c.json").write_text(json.dumps(content))
    dataset = CocoDataset(tmp_path / "c.json")
    assert len(dataset.areas("a")) == 1
    assert "further entries of a photo, of another size (1; the first: a.png" in str(dataset.left_out)


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


def test_a_name_may_be_a_number(make_coco) -> None:
    path = make_coco()
    (path.parent / "images" / "photo0.jpg").rename(path.parent / "images" / "17.jpg")
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = 17
    path.write_text(json.dumps(content))
    assert CocoDataset(path).areas("17") == {1: 400, 2: 1200}
