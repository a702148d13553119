from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.opening import open_annotations, open_dataset
from fcfi_core.errors import DataError

SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]


def shape(points, kind="polygon", label="cat", **fields):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **fields}


def picture(height: int, width: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ones((height, width), np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def write(tmp_path, photo_at):
    """Return a function that writes a file of shapes beside its photo."""

    def write(*shapes, name="a", **fields):
        photo_at(f"{name}.png")
        content = {
            "version": "5.5.0",
            "shapes": list(shapes),
            "imagePath": f"..\\photos\\{name}.png",
            "imageData": None,
            "imageWidth": 80,
            "imageHeight": 60,
            **fields,
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_polygons_circles_and_masks_are_masks(write) -> None:
    mask = shape([[70, 50], [89, 69]], "mask", mask=picture(20, 20))
    path = write(shape(SQUARE), shape([[40, 30], [50, 30]], "circle"), mask)
    dataset = open_dataset(path)
    areas = dict(dataset.areas("a"))
    assert areas[1] == 400
    assert areas[2] == pytest.approx(np.pi * 100, rel=0.02)
    assert areas[3] == 100
    assert [photo.file_name for photo in dataset.photos] == ["a.png"]


def test_rectangles_and_points(write, asked) -> None:
    path = write(
        shape([[30, 30], [10, 10]], "rectangle"),
        shape([[5.5, 6.5]], "point", "dog"),
        shape([[7.5, 8.5]], "point", "dog"),
    )
    (first, boxed), (second, dotted) = asked(path)
    assert (first, boxed.box) == ("cat", Box(10, 10, 29, 29))
    assert (second, dotted.clicks) == ("dog", (Click(5, 6), Click(7, 8)))
    with pytest.raises(DataError, match=r"no polygon, circle or mask, but shapes of type point \(1\)"):
        open_dataset(path)


def test_groups_are_one_object(write, asked) -> None:
    other = [[x + 30, y] for x, y in SQUARE]
    path = write(shape(SQUARE, group_id=1), shape(other, group_id=1), shape(SQUARE, group_id=2))
    assert [prompt.mask.sum() for _, prompt in asked(path)] == [800, 400]


def test_a_folder_of_files(write, tmp_path) -> None:
    write(shape(SQUARE), name="a")
    write(shape(SQUARE), shape(SQUARE, "line"), name="b")
    (tmp_path / "._a.json").write_bytes(b"\0")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    dataset = open_dataset(tmp_path)
    assert dataset.image_names == ("a", "b")
    assert dataset.left_out == {"files that cannot be read": 1, "shapes of type line": 1}


@pytest.mark.parametrize(
    "damaged",
    [
        shape([[1, 1]]),
        shape("x"),
        shape([[1, float("nan")], [2, 2], [3, 3]]),
        shape([[1, 1]], "circle"),
        shape([[1, 1], [2, 2]], "mask", mask="?"),
        shape([[1, 1], [2, 2]], "mask", mask=picture(1, 90)),
        shape([[1, 1], [2, 2]], "mask"),
        shape(None, "rectangle"),
    ],
)
def test_a_damaged_shape_costs_itself_alone(write, asked, damaged) -> None:
    path = write(damaged, shape(SQUARE), 7)
    dataset = open_dataset(path)
    assert dict(dataset.areas("a")) == {2: 400}
    assert "shapes that are none" in dataset.left_out
    (photo,) = open_annotations(path).photos
    with pytest.raises(DataError):
        photo.objects[0].marks.prompt(80, 60, print)
    left_out = LeftOut()
    ((_, prompt),) = asked(write({**damaged, "group_id": 1}, shape(SQUARE, group_id=1)), left_out)
    assert prompt.mask.sum() == 400


def test_another_size_is_refused(write) -> None:
    dataset = open_dataset(write(shape(SQUARE), imageWidth=60, imageHeight=80))
    assert dict(dataset.areas("a")) == {}
    assert "says 60 x 80" in str(dataset.left_out)
