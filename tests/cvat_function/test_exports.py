from __future__ import annotations

import cv2
import numpy as np
import pytest

from cvat_function.exports import Shape
from fcfi_core.clicks import Box
from fcfi_core.datasets.opening import open_annotations, open_dataset
from fcfi_core.errors import DataError

XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <image id="0" name="train/a.png" width="40" height="30">
    <mask label="cat" occluded="0" rle="0, 22, 198" left="8" top="10" width="22" height="10" z_order="0"/>
    <polygon label="cat" points="8.00,10.00;30.00,10.00;30.00,20.00;8.00,20.00" z_order="0"/>
    <box label="cat" xtl="1" ytl="1" xbr="5" ybr="5" z_order="0"/>
  </image>
  <image id="1" name="train/empty.png" width="40" height="30"/>
</annotations>
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "train").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images" / "train" / "a.png"), np.zeros((30, 40, 3), np.uint8))
    (tmp_path / "annotations.xml").write_text(XML, encoding="utf-8")
    return tmp_path


def test_masks_and_polygons_become_regions(folder):
    dataset = open_dataset(folder / "annotations.xml")
    assert dataset.image_names == ("train/a.png",)
    assert dataset.areas("train/a.png") == {1: 22, 2: 220}
    mask = dataset.read("train/a.png").mask(1)
    assert mask[10, 8:30].all()
    assert mask.sum() == 22


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<annotations><image", "not a readable XML"),
        ("<annotations></annotations>", "no mask or polygon"),
        ('<annotations><image name="a.png"><mask rle="1"/></image></annotations>', "photo 'a.png' is not in"),
        ("<!doctype html><html><br></html>", "not a readable XML"),
        (
            '<annotations><image name="a.png"><box/><points/><box/></image></annotations>',
            r"but shapes of type box \(2\), shapes of type points \(1\); export .*masks or polygons",
        ),
        ("<annotations><track><mask/></track></annotations>", r"but shapes of type track \(1"),
    ],
)
def test_damaged_files_are_refused(tmp_path, text, named):
    (tmp_path / "annotations.xml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=named):
        open_dataset(tmp_path / "annotations.xml")


def test_folders_tell_photos_of_the_same_name_apart(folder):
    (folder / "images" / "test").mkdir()
    cv2.imwrite(str(folder / "images" / "test" / "a.png"), np.full((30, 40, 3), 90, np.uint8))
    assert (open_dataset(folder / "annotations.xml").read("train/a.png").pixels == 0).all()
    text = XML.replace("train/a.png", "a.png")
    (folder / "annotations.xml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"may be .*a\.png or .*a\.png"):
        open_dataset(folder / "annotations.xml")


def test_what_is_no_region_is_counted(folder):
    assert open_dataset(folder / "annotations.xml").left_out == {"shapes of type box": 1}


def test_subsets_of_a_project_are_part_of_names_and_paths(tmp_path):
    images = []
    for value, subset in enumerate(("Train", "Test"), start=1):
        (tmp_path / "images" / subset).mkdir(parents=True)
        cv2.imwrite(
            str(tmp_path / "images" / subset / "0001.png"), np.full((30, 40, 3), 50 * value, np.uint8)
        )
        polygon = '<polygon label="cat" points="8,10;30,10;30,20" z_order="0"/>'
        images.append(f'<image name="0001.png" subset="{subset}" width="40" height="30">{polygon}</image>')
    path = tmp_path / "annotations.xml"
    path.write_text(f"<annotations>{''.join(images)}</annotations>", encoding="utf-8")
    dataset = open_dataset(path)
    assert dataset.image_names == ("Train/0001.png", "Test/0001.png")
    assert (dataset.read("Train/0001.png").pixels == 50).all()
    assert (dataset.read("Test/0001.png").pixels == 100).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'left="8"',
            'left="60"',
            "train/a.png, object 1: the mask cannot be read: its box begins at (60, 10)",
        ),
        (
            ";30.00,20.00;8.00,20.00",
            "",
            "train/a.png, object 2: the polygon cannot be read: no polygon of it",
        ),
    ],
)
def test_a_damaged_shape_costs_itself_alone(folder, old, new, message):
    (folder / "annotations.xml").write_text(XML.replace(old, new), encoding="utf-8")
    dataset = open_dataset(folder / "annotations.xml")
    assert len(dataset.areas("train/a.png")) == 1
    assert message in str(dataset.left_out)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ('<mask rle="1"/>', "the mask lacks 'left'"),
        (
            '<mask rle="1000000000000" left="0" top="0" width="1000000" height="1000000"/>',
            "1000000 x 1000000",
        ),
        ('<mask rle="1,x" left="0" top="0" width="2" height="1"/>', "should be whole numbers"),
        ('<mask rle="1,2" left="0" top="0" width="2" height="1"/>', "runs"),
        ('<polygon points="1,2,3;4"/>', "should be x,y;x,y"),
        ('<polygon points="1,nan;2,2;3,3"/>', "no number"),
        ("<polygon/>", "lacks 'points'"),
        ('<box xtl="1" ytl="1" xbr="inf" ybr="1"/>', "finite number"),
        ('<points points="1"/>', "should be x,y;x,y"),
    ],
)
def test_damaged_marks_are_one_sentence(folder, shape, problem):
    (folder / "annotations.xml").write_text(XML.replace("<box", f"{shape}<box"), encoding="utf-8")
    (photo, *_) = open_annotations(folder / "annotations.xml").photos
    with pytest.raises(DataError, match=problem):
        photo.objects[2].marks.prompt(40, 30, print)


def test_turned_rectangles_and_ellipses_are_boxes_around_them():
    turned = Shape("box", {"xtl": "10", "ytl": "10", "xbr": "20", "ybr": "30", "rotation": "90"})
    assert turned.prompt(40, 40, print).box == Box(5, 15, 24, 24)
    ellipse = Shape("ellipse", {"cx": "20", "cy": "20", "rx": "10", "ry": "5", "rotation": "90"})
    assert ellipse.prompt(40, 40, print).box == Box(15, 10, 24, 29)
