from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from fcfi_core.datasets.coco_file import CocoFile
from fcfi_core.errors import DataError

CODE = {"size": [6, 8], "counts": [0, 12, 36]}
DATUMARO = {
    "licenses": [{"name": "", "id": 0, "url": ""}],
    "info": dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), ""),
}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes photos, each of another grey, and a COCO file of some names."""

    def write(photos, names=(), path="annotations/instances_default.json", **content) -> CocoFile:
        for value, photo in enumerate(photos, start=1):
            (tmp_path / photo).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / photo), np.full((6, 8, 3), 20 * value, np.uint8))
        images = [{"id": k, "file_name": name, "width": 8, "height": 6} for k, name in enumerate(names)]
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps({"images": images, **content}), encoding="utf-8")
        return CocoFile(tmp_path / path)

    return write


@pytest.mark.parametrize(
    ("names", "photos"),
    [
        (["a.png"], ["images/default/a.png"]),
        (["cam0/a.png", "cam1/a.png"], ["images/default/cam0/a.png", "images/default/cam1/a.png"]),
        (["a.png"], ["images/default/a.png", "images/train/a.png"]),
        (["a.png"], ["default/a.png", "train/a.png"]),
        (["../../media/upload/3/1ee3d80f-a.png"], ["images/a.png"]),
        (["1ee3d80f-a.png"], ["images/1ee3d80f-a.png", "images/a.png"]),
        (["images\\a.png"], ["images/a.png"]),
        (["1ee3d80f-K%C3%A4se.png"], ["images/Käse.png"]),
        (["far/a.png"], ["a.png"]),
        (["far/a.png"], ["images/a.png", "masks/a.png"]),
    ],
)
def test_photos_are_found(write, tmp_path, names, photos) -> None:
    file = write(photos, names)
    assert [file.photo(image) for image in file.images] == [tmp_path / photo for photo in photos][
        : len(names)
    ]


def test_a_folder_above_the_photos_is_enough(write, tmp_path) -> None:
    file = write(["far/images/default/a.png"], ["a.png"])
    with pytest.raises(DataError, match=r"photo a\.png of .* is not in"):
        file.photo(file.images[0])
    file = CocoFile(file.path, tmp_path / "far")
    assert file.photo(file.images[0]) == tmp_path / "far" / "images" / "default" / "a.png"


@pytest.mark.parametrize("names", [["cam0/a.png", "cam1/a.png"], ["cam1/a.png", "images/a.png"]])
def test_one_photo_is_not_given_to_two_images(write, names) -> None:
    file = write(["images/a.png"], names)
    with pytest.raises(DataError, match="would both be"):
        file.photo(file.images[names.index("cam1/a.png")])


def test_a_photo_may_be_named_twice(write, tmp_path) -> None:
    file = write(["images/default/a.png"], ["a.png", "a.png"])
    assert {file.photo(image) for image in file.images} == {tmp_path / "images" / "default" / "a.png"}


def test_images_have_ids_of_their_own(write) -> None:
    image = {"id": 1, "file_name": "a.png", "width": 8, "height": 6}
    with pytest.raises(DataError, match="same id"):
        write([], images=[image, {**image, "file_name": "b.png"}])


@pytest.mark.parametrize(
    ("annotation", "content", "crowd"),
    [
        ({"segmentation": CODE}, {}, True),
        ({"segmentation": CODE}, {"info": {"description": "COCO 2017 Dataset"}}, True),
        ({"segmentation": CODE, "iscrowd": 0}, {}, False),
        ({"segmentation": [[0, 0, 1, 0, 1, 1]], "attributes": {"occluded": False}}, {}, True),
        ({"segmentation": CODE, "attributes": {"occluded": False}}, {}, False),
        ({"segmentation": CODE, "attributes": {"colour": "red"}}, {}, True),
        ({"segmentation": CODE, "attributes": None}, {}, True),
        ({"segmentation": CODE}, DATUMARO, False),
        (
            {"segmentation": CODE},
            {**DATUMARO, "categories": [{"id": 1, "name": "cat", "supercategory": ""}]},
            False,
        ),
        (
            {"segmentation": CODE},
            {**DATUMARO, "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}]},
            True,
        ),
    ],
)
def test_marked_codes_are_crowds_but_for_the_masks_of_cvat(write, annotation, content, crowd) -> None:
    assert write([], **content).is_crowd({"iscrowd": 1, **annotation}) is crowd


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [{"id"', "is damaged .*; export it again"),
        ("id,label", "cannot be read as JSON .*; give a COCO instance file"),
        ("[]", "a single value or nothing"),
        ('[{"image": "a.png", "id": 1}]', "1 entries, the first with the keys 'image', 'id'; .*not JSON-MIN"),
        ('{"shapes": []}', "no list 'images', but the keys 'shapes'"),
    ],
)
def test_other_files_are_named(tmp_path, text, message) -> None:
    path = tmp_path / "some.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        CocoFile(path)


def test_a_byte_order_mark_does_not_matter(write) -> None:
    file = write([], ["a.png"])
    file.path.write_text(file.path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert CocoFile(file.path).images == file.images
