"""A JSON export in the formats that training needs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools.coco import COCO

from fcfi_core.cli import main
from fcfi_core.masks import Polygon, from_polygons
from fcfi_core.masks import label_studio as code
from label_studio_backend import bitmask, conversion

WIDTH, HEIGHT = 20, 12


def disk(x, y, radius):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


RING = disk(6, 6, 5) & ~disk(6, 6, 2)
SMALL = disk(10, 6, 3)


def region(ident, kind, value, name="mask", **more):
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": ident, "type": kind, "from_name": name, "to_name": "image", "value": value, **size, **more}


def named(ident, *words, **more):
    return [region(ident, "labels", {"labels": [word]}, name="label", **more) for word in words]


def task(number, name, *results, **more):
    annotation = {"id": number, "was_cancelled": False, "updated_at": "2026", "result": list(results)}
    data = {"image": f"/data/upload/1/{name}"}
    return {"id": number, "data": data, "annotations": [annotation], "predictions": [], **more}


@pytest.fixture
def export(tmp_path):
    def write(*tasks):
        path = tmp_path / "export.json"
        path.write_text(json.dumps(tasks), encoding="utf-8")
        return path

    return write


@pytest.fixture
def two(export):
    """Two pictures: a ring by a plain brush under a disk by a bitmask, and a polygon with its own class."""
    brush = region("a", "brush", {"format": "rle", "rle": code.encode(RING)})
    covered = region(
        "b", "bitmasklabels", {"imageDataURL": bitmask.to_data_url(SMALL), "bitmasklabels": ["hole & co"]}
    )
    points = {"points": [[10, 25], [60, 25], [60, 75]], "closed": True, "polygonlabels": ["cell"]}
    first = task(1, "0123abcd-one.jpg", brush, *named("a", "cell", "background"), covered)
    second = task(2, "89abcdef-two.png", region("c", "polygonlabels", points), *named("c", "cell"))
    return export(first, second)


def convert(path, to, folder):
    return main(["label-studio", "export", str(path), "--to", to, "--out", str(folder)])


def test_coco_is_exact_and_read_by_the_reference(two, tmp_path, capsys):
    assert convert(two, "coco", tmp_path / "out") == 0
    assert "3 object(s) on 2 picture(s)" in capsys.readouterr().out
    read = COCO(str(tmp_path / "out" / "instances.json"))
    assert [image["file_name"] for image in read.loadImgs(read.getImgIds())] == ["one.jpg", "two.png"]
    assert {one["id"]: one["name"] for one in read.loadCats(read.getCatIds())} == {1: "cell", 2: "hole & co"}
    found = read.loadAnns(read.getAnnIds(imgIds=[1]))
    assert (read.annToMask(found[0]).astype(bool) == RING).all()
    assert (read.annToMask(found[1]).astype(bool) == SMALL).all()
    assert [one["category_id"] for one in found] == [1, 2]
    assert found[0]["area"] == RING.sum()
    assert found[0]["bbox"] == [1, 1, 11, 11]


def test_yolo_lines_draw_the_masks_again(two, tmp_path):
    assert convert(two, "yolo", tmp_path / "out") == 0
    names = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())["names"]
    assert names == {0: "cell", 1: "hole & co"}
    lines = [line.split() for line in (tmp_path / "out" / "labels" / "one.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["0", "1"]
    ring = np.array(lines[0][1:], float).reshape(-1, 2) * (WIDTH, HEIGHT)
    drawn = from_polygons([Polygon(ring)], WIDTH, HEIGHT)
    assert (drawn & RING).sum() / (drawn | RING).sum() > 0.9
    assert (tmp_path / "out" / "labels" / "two.txt").exists()


def test_panoptic_numbers_are_the_segments(two, tmp_path):
    assert convert(two, "panoptic", tmp_path / "out") == 0
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    entry = content["annotations"][0]
    picture = np.array(Image.open(tmp_path / "out" / "panoptic" / entry["file_name"]), np.uint32)
    ids = picture[..., 0] + 256 * picture[..., 1] + 65536 * picture[..., 2]
    assert [segment["category_id"] for segment in entry["segments_info"]] == [1, 2]
    assert [segment["area"] for segment in entry["segments_info"]] == [(ids == 1).sum(), (ids == 2).sum()]
    assert ((ids == 2) == SMALL).all()
    assert ((ids == 1) == (RING & ~SMALL)).all()


def test_png_holds_class_numbers(two, tmp_path):
    assert convert(two, "png", tmp_path / "out") == 0
    assert (tmp_path / "out" / "classes.txt").read_text() == "1 cell\n2 hole & co\n"
    values = np.array(Image.open(tmp_path / "out" / "masks" / "one.png"))
    assert (values == np.where(SMALL, 2, np.where(RING, 1, 0))).all()


def test_what_cannot_be_used_is_left_out_and_counted(export, tmp_path, capsys):
    good = region("a", "rectangle", {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0})
    damaged = region("b", "brush", {"format": "rle", "rle": [1, 2, 3]})
    dot = region("k", "keypointlabels", {"x": 1, "y": 1, "width": 1, "keypointlabels": ["cell"]})
    two_pictures = task(2, "b.png", good, {**good, "to_name": "other", "id": "z"})
    nothing = {**task(3, "c.png"), "annotations": []}
    path = export(task(1, "a.png", good, damaged, dot), two_pictures, nothing, task(4, "d.png", good))
    assert convert(path, "coco", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "2 object(s) on 2 picture(s)" in said
    for part in (
        "damaged regions (1)",
        "several pictures (1)",
        "without a submitted annotation (1)",
        "regions of type keypointlabels (1)",
    ):
        assert part in said
    content = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "object"}]
    assert content["annotations"][0]["bbox"] == [0, 0, 10, 6]


@pytest.mark.parametrize(
    "bad", [None, 7, {"odd": 1}, {"id": 3, "data": None, "annotations": [{"result": [7]}]}]
)
def test_what_is_no_task_no_annotation_or_no_region_costs_itself_alone(export, bad):
    box = region("a", "rectangle", {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0})
    dot = region("k", "keypointlabels", {"x": 1, "y": 1, "keypointlabels": ["cell"]}, is_positive="perhaps")
    good = task(1, "a.png", box, None, dot)
    good["annotations"].insert(0, bad and 7)
    annotated = conversion.read(export(good, bad))
    (picture,) = annotated.pictures
    assert len(picture.objects) == 1
    assert annotated.left_out["tasks that are not as Label Studio exports them"] == 1
    assert annotated.left_out["entries that are no regions"] == 1
    assert annotated.left_out["annotations that are none"] == 1


def test_pictures_of_one_name_stay_apart(export):
    box = region("a", "rectangle", {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0})
    names = ("0123abcd-a.png", "89abcdef-a.jpg", "89abcdef-a.jpg", "b.png")
    path = export(*(task(number, name, box) for number, name in enumerate(names)))
    found = [picture.name for picture in conversion.read(path).pictures]
    assert found == ["0123abcd-a.png", "89abcdef-a.jpg", "89abcdef-a-2.jpg", "b.png"]


@pytest.mark.parametrize("content", ["[]", "{}", "no", '[{"id": 1, "data": {}, "annotations": []}]'])
def test_a_file_without_regions_is_refused_in_one_sentence(tmp_path, capsys, content):
    (tmp_path / "export.json").write_text(content)
    assert convert(tmp_path / "export.json", "coco", tmp_path / "out") == 2
    assert "export" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_export_itself_is_never_overwritten(two, tmp_path, capsys):
    path = tmp_path / "instances.json"
    path.write_bytes(two.read_bytes())
    assert convert(path, "coco", tmp_path) == 2
    assert path.read_bytes() == two.read_bytes()
