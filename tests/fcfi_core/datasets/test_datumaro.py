from __future__ import annotations

import json

import numpy as np
import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.masks import coco

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]


def marks(kind, group=0, label=0, **fields):
    return {
        "id": 0,
        "type": kind,
        "attributes": {},
        "group": group,
        "label_id": label,
        "z_order": 0,
        **fields,
    }


@pytest.fixture
def write(tmp_path, photo_at):
    """Return a function that writes a file of one photo."""

    def write(*annotations, **item):
        photo_at("images/default/cam/a.png")
        labels = [{"name": "cat", "parent": "", "attributes": []}, {"name": "dog"}]
        item = {
            "id": "cam/a",
            "annotations": list(annotations),
            "image": {"path": "cam/a.png", "size": [60, 80]},
            **item,
        }
        content = {"info": {}, "categories": {"label": {"labels": labels}}, "items": [item, {"odd": 1}]}
        path = tmp_path / "annotations" / "default.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return write


def test_polygons_and_masks(write) -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[:3, :4] = True
    path = write(marks("polygon", points=SQUARE), marks("mask", label=1, rle=coco.encode(mask)))
    dataset = open_dataset(path)
    assert dict(dataset.areas("cam/a")) == {1: 400, 2: 12}
    assert dataset.categories == {1: "cat", 2: "dog"}
    (photo,) = dataset.photos
    assert [(one.label, one.category) for one in photo.objects] == [("cat", 1), ("dog", 2)]
    assert photo.file_name == "cam/a.png"
    assert dataset.left_out == {"items without an id": 1}


def test_boxes_points_and_groups(write, asked) -> None:
    path = write(
        marks("bbox", bbox=[10, 10, 20, 20]),
        marks("points", group=3, points=[5.5, 6.5, 1.5, 1.5], visibility=[2, 0]),
        marks("polygon", group=3, points=SQUARE),
        marks("caption", caption="a cat"),
    )
    (_, boxed), (_, grouped) = asked(path)
    assert boxed.box == Box(10, 10, 29, 29)
    assert grouped.clicks == (Click(5, 6),)
    assert grouped.mask.sum() == 400
    assert open_dataset(path).left_out == {
        "items without an id": 1,
        "annotations of type caption": 1,
        "annotations of type bbox": 1,
    }


def test_items_without_a_picture_are_found_by_their_id(write) -> None:
    assert dict(open_dataset(write(marks("polygon", points=SQUARE), image=None)).areas("cam/a")) == {1: 400}


@pytest.mark.parametrize(
    "damaged",
    [
        marks("polygon", points=[1, 2]),
        marks("polygon"),
        marks("mask", rle=3),
        marks("mask", rle={"size": [10**6, 10**6], "counts": "0"}),
        marks("bbox", bbox=[1, 2, float("nan"), 3]),
        marks("points", points=[1, 2, 3]),
    ],
)
def test_a_damaged_annotation_costs_itself_alone(write, asked, damaged) -> None:
    assert dict(open_dataset(write(damaged, marks("polygon", points=SQUARE))).areas("cam/a")) == {2: 400}
    grouped = write({**damaged, "group": 1}, marks("polygon", group=1, points=SQUARE))
    assert [prompt.mask.sum() for _, prompt in asked(grouped)] == [400]
