from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcfi_core.errors import DataError
from fcfi_core.evaluation.readers import open_dataset

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
        ('<annotations><image name="a.png"><mask rle="1"/></image></annotations>', "width"),
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
