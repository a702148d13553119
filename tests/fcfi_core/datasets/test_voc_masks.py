"""Masks in Pascal VOC's layout: one colour an object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.voc_masks import _numbered
from fcfi_core.errors import DataError

SIZE = 60, 40
LABELS = """# label:color_rgb:parts:actions
animal:192,0,0::
background:0,0,0::
thing: of many parts:84,133,66::
"""
GREEN, RED, BORDER = (0, 128, 0), (128, 0, 0), (224, 224, 192)


def paint(path, *patches):
    """Write a picture with rectangles of colours, ((x1, y1, x2, y2), colour) each."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for (x1, y1, x2, y2), colour in patches:
        pixels[y1:y2, x1:x2] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    """An export with two photos: two objects of two classes, and a border that does not count."""
    left, right, line = (5, 5, 20, 30), (30, 5, 50, 30), (20, 5, 22, 30)
    for name in ("one", "sub/two"):
        paint(tmp_path / "SegmentationObject" / f"{name}.png", (left, GREEN), (right, RED), (line, BORDER))
        paint(tmp_path / "SegmentationClass" / f"{name}.png", (left, (84, 133, 66)), (right, (192, 0, 0)))
        photo = tmp_path / "JPEGImages" / f"{name}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (90, 80, 70)).save(photo)
    (tmp_path / "labelmap.txt").write_text(LABELS, encoding="utf-8")
    return tmp_path


def objects_of(dataset, name="one"):
    opened = dataset.read(name)
    return {one.label: opened.mask(one.number) for one in opened.photo.objects if not one.crowd}, opened


def test_each_colour_is_an_object_with_its_class(root):
    dataset = open_dataset(root)
    assert dataset.image_names == ("one", "sub/two")
    found, opened = objects_of(dataset)
    assert {label: int(mask.sum()) for label, mask in found.items()} == {
        "animal": 500,
        "thing: of many parts": 375,
    }
    assert found["animal"][10, 40]
    assert not found["animal"][10, 10]
    assert opened.photo.file_name == "one.jpg"
    assert [one.crowd for one in opened.photo.objects] == [False, False, True], (
        "the border counts neither way"
    )
    assert dict(dataset.areas("one")) == {1: 500, 2: 375}, "in the layout's order of colours: red, then green"


def test_palette_pictures_mean_the_same(root):
    before, _ = objects_of(open_dataset(root))
    for folder in ("SegmentationObject", "SegmentationClass"):
        for file in (root / folder).rglob("*.png"):
            Image.open(file).quantize(256, dither=Image.Dither.NONE).save(file)
    after, _ = objects_of(open_dataset(root))
    assert after.keys() == before.keys()
    assert all((after[label] == mask).all() for label, mask in before.items())


def test_without_a_map_of_labels_objects_have_no_class(root):
    (root / "labelmap.txt").unlink()
    opened = open_dataset(root).read("one")
    assert [one.label for one in opened.photo.objects if not one.crowd] == ["object", "object"]


def test_beside_boxes_the_folder_of_masks_is_named(root):
    (root / "Annotations").mkdir()
    (root / "Annotations" / "one.xml").write_text(
        "<annotation><filename>one.jpg</filename><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    with pytest.raises(DataError, match=r"holds no mask, but boxes \(1\)"):
        open_dataset(root)
    assert open_dataset(root / "SegmentationObject").areas("one")


def test_photos_may_lie_elsewhere(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("photos")
    (root / "JPEGImages").rename(elsewhere / "mine")
    with pytest.raises(DataError, match=r"photo 'one' is not in .*--images"):
        open_dataset(root)
    assert open_dataset(root, elsewhere / "mine").areas("sub/two") == {1: 500, 2: 375}


def test_a_damaged_map_of_labels_is_one_sentence(root):
    (root / "labelmap.txt").write_text("cell:300,0,0::\n")
    with pytest.raises(DataError, match=r"labelmap.txt says 'cell:300,0,0::'; it needs lines such as"):
        open_dataset(root)


def test_a_damaged_mask_costs_its_photo_alone(root):
    (root / "SegmentationObject" / "one.png").write_bytes(b"no picture")
    dataset = open_dataset(root)
    assert dict(dataset.areas("one")) == {}
    assert dict(dataset.areas("sub/two")) == {1: 500, 2: 375}
    assert dataset.left_out == {"photos that cannot be used": 1}


@given(st.integers(0, 255))
def test_the_layouts_own_colours_are_numbered_in_their_order(number):
    """The published recipe of the colours, from their number."""
    colour, rest = [0, 0, 0], number
    for shift in range(7, -1, -1):
        for channel in range(3):
            colour[channel] |= (rest >> channel & 1) << shift
        rest >>= 3
    assert _numbered(colour) == number
