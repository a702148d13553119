from __future__ import annotations

import json
import pickle
import shutil
import tracemalloc
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from fcfi_core import images, plugins
from fcfi_core.clicks import Box, Click
from fcfi_core.datasets import opening
from fcfi_core.datasets.left_out import nothing_noted
from fcfi_core.datasets.shapes import coco_box, numbered
from fcfi_core.errors import DataError, PromptError
from fcfi_core.pipelines import sources
from fcfi_core.pipelines.prompts import ObjectPrompt, OpenedImage, narrowed
from fcfi_core.pipelines.sources import open_source
from fcfi_core.prompt import Prompt

VOC = """<annotation><filename>{name}</filename><object><name>cat</name><bndbox><xmin>11</xmin><ymin>21</ymin>
<xmax>60</xmax><ymax>70</ymax></bndbox></object></annotation>"""


@pytest.fixture
def write(photos):
    """Return a function that writes a source beside the photos."""

    def write(name: str, content: object) -> object:
        path = photos / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def asked(opened: OpenedImage) -> list[Prompt]:
    return [one.prompt(nothing_noted) for one in opened.objects]


def coco(*annotations: dict, **extra: object) -> dict:
    shown = [{"id": 7 + k, "file_name": f"{k}.png", "width": 120, "height": 90} for k in range(3)]
    categories = [{"id": 3, "name": "disk"}]
    return {"images": shown, "annotations": list(annotations), "categories": categories, **extra}


def test_csv_of_clicks(write) -> None:
    path = write(
        "clicks.csv",
        "image,x,y,positive,object,label\n1.png,5,6,1,a,cat\n0.png,1.6,2,,,\n1.png,7,8,0,a,\n1.png,9,9,1,b,dog\n",
    )
    source = open_source(path)
    assert [image.name for image in source.images] == ["1.png", "0.png"]
    assert source.categories == {1: "cat", 2: "dog", 3: "object"}
    opened = source.images[0].read()
    assert images.load(opened.picture).pixels.shape == (90, 120, 3)
    assert [(one.name, one.label) for one in opened.objects] == [("a", "cat"), ("b", "dog")]
    assert asked(opened)[0].clicks == (Click(5, 6), Click(7, 8, False))
    assert asked(source.images[1].read())[0].clicks == (Click(2, 2),)


def test_csv_of_boxes_only(write) -> None:
    path = write("boxes.csv", "image,x,y,x1,y1,x2,y2\n0.png,,,10,20,30,40\n")
    assert asked(open_source(path).images[0].read())[0].box == Box(10, 20, 30, 40)


def test_json_lines(write, photos) -> None:
    cv2.imwrite(str(photos / "prior.png"), np.pad(np.full((20, 20), 255, np.uint8), ((30, 40), (40, 60))))
    lines = [
        {"image": "0.png", "clicks": [[1, 2], [3, 4, False]], "label": "cat", "object": "left"},
        {"image": "0.png", "box": [1, 2, 30, 40], "mask": "prior.png"},
    ]
    source = open_source(write("p.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n"))
    opened = source.images[0].read()
    first, second = asked(opened)
    assert first.clicks == (Click(1, 2), Click(3, 4, False))
    assert (opened.objects[1].name, second.box) == ("2", Box(1, 2, 30, 40))
    assert second.mask is not None
    assert second.mask.sum() == 400
    assert open_source(photos / "p.jsonl").digest == source.digest


@pytest.mark.parametrize("as_folder", [True, False])
def test_voc_boxes(write, photos, as_folder) -> None:
    path = write("0.xml", VOC.format(name="0.png"))
    source = open_source(photos if as_folder else path)
    assert source.categories == {1: "cat"}
    assert asked(source.images[0].read())[0].box == Box(10, 20, 59, 69)


def test_a_cvat_export_is_not_taken_for_voc(write) -> None:
    mask = '<mask label="cat" rle="0, 22" left="8" top="10" width="22" height="1"/>'
    image = f'<image id="0" name="0.png" width="120" height="90">{mask}</image>'
    source = open_source(write("annotations.xml", f"<annotations>{image}</annotations>"))
    assert source.categories == {1: "cat"}
    (drawn,) = asked(source.images[0].read())
    assert drawn.mask is not None
    assert drawn.mask.sum() == 22


def test_voc_photos_in_the_usual_place(write, photos, tmp_path) -> None:
    notes = tmp_path / "Annotations"
    notes.mkdir()
    (notes / "1.xml").write_text(VOC.format(name="1.png"))
    with pytest.raises(DataError, match=r"1\.xml: photo '1\.png' is not in"):
        open_source(notes)
    shutil.copytree(photos, tmp_path / "JPEGImages")
    for source in (open_source(notes), open_source(tmp_path), open_source(notes, photos)):
        assert images.load(source.images[0].read().picture).digest == images.load(photos / "1.png").digest


def test_coco_keeps_its_numbers(write) -> None:
    polygon = [10, 10, 30, 10, 30, 30, 10, 30]
    path = write(
        "instances.json",
        coco(
            {"id": 50, "image_id": 8, "category_id": 3, "bbox": [10, 10, 20, 20]},
            {"id": 51, "image_id": 8, "category_id": 3, "segmentation": [polygon], "bbox": [10, 10, 20, 20]},
            {"id": 52, "image_id": 8, "category_id": 3, "keypoints": [5, 6, 2, 0, 0, 0, 7, 8, 1]},
            {"id": 53, "image_id": 8, "category_id": 3, "clicks": [[5, 6, True], [7, 8, False]]},
            {"id": 54, "image_id": 8, "category_id": 3, "segmentation": [polygon], "iscrowd": 1},
        ),
    )
    source = open_source(path)
    assert [(image.id, image.name) for image in source.images] == [(7, "0.png"), (8, "1.png"), (9, "2.png")]
    assert source.categories == {3: "disk"}
    assert source.left_out == {"crowd regions": 1}
    opened = source.images[1].read()
    assert [one.id for one in opened.objects] == [50, 51, 52, 53]
    boxed, drawn, keyed, clicked = asked(opened)
    assert boxed.box == Box(10, 10, 29, 29)
    assert drawn.mask is not None
    assert drawn.mask.sum() == 400
    assert keyed.clicks == (Click(5, 6), Click(7, 8))
    assert clicked.clicks == (Click(5, 6), Click(7, 8, False))


def test_masks_of_cvat_start_from_themselves_though_marked_as_crowds(write) -> None:
    code = {"size": [90, 120], "counts": [0, 90, 90 * 119]}
    crowd = {"id": 50, "image_id": 7, "category_id": 3, "segmentation": code, "iscrowd": 1}
    path = write("instances.json", coco(crowd, {**crowd, "id": 51, "attributes": {"occluded": False}}))
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    opened = open_source(path).images[0].read()
    assert [one.id for one in opened.objects] == [51]
    (drawn,) = asked(opened)
    assert drawn.mask is not None
    assert drawn.mask.sum() == 90


def test_coco_without_categories(write) -> None:
    annotation = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 9, 9]}
    source = open_source(write("c.json", coco(annotation, categories=[])))
    assert source.categories == {1: "object"}
    assert source.images[0].read().objects[0].label == "object"


def test_folder_of_masks(photos, tmp_path) -> None:
    root = tmp_path / "set"
    (root / "masks").mkdir(parents=True)
    shutil.copytree(photos, root / "images")
    ids = np.zeros((90, 120), np.uint8)
    ids[30:50, 60:80] = 4
    cv2.imwrite(str(root / "masks" / "1.png"), ids)
    source = open_source(root)
    assert source.images[0].name == "1.png"
    opened = source.images[0].read()
    assert [one.name for one in opened.objects] == ["4"]
    (only,) = asked(opened)
    assert only.mask is not None
    assert only.mask.sum() == 400
    digest = source.digest
    cv2.imwrite(str(root / "masks" / "2.png"), ids)
    assert open_source(root).digest != digest


def test_one_kind_of_prompt_only() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[2:5, 3:7] = True
    one = ObjectPrompt("1", clicks=(Click(1, 1),), box=Box(0, 0, 5, 5), prior_mask=lambda: mask)
    prompt = one.prompt(nothing_noted)
    assert narrowed(prompt, "auto") is prompt
    assert narrowed(prompt, "clicks").box is None
    assert narrowed(prompt, "box").clicks == ()
    assert narrowed(prompt, "mask").box is None
    assert narrowed(Prompt(mask=mask), "box").box == Box(3, 2, 6, 4)
    for use in ("clicks", "box", "mask"):
        with pytest.raises(PromptError, match=f"no {use}"):
            narrowed(Prompt(), use)


def test_coco_boxes_lie_on_pixel_edges() -> None:
    assert coco_box([10, 20, 1, 1]) == Box(10, 20, 10, 20)
    assert coco_box([0.4, 0.4, 0.2, 0.2]) == Box(0, 0, 0, 0)
    with pytest.raises(PromptError, match="width"):
        coco_box([1, 2, 3])
    assert numbered([]) == {}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "image,x\n", "'y'"),
        ("a.csv", "image,x,y,x\na.png,1,2,3\n", "the column 'x' 2 times"),
        ("a.csv", "image,x,y\n", "no prompt"),
        ("a.csv", "image,x,y\n0.png,here,3\n", "line 2"),
        ("a.csv", "image,x,y,positive\n0.png,3,3,maybe\n", "maybe"),
        ("a.csv", "image,x,y,x1\n0.png,3,3,4\n", "line 2"),
        ("a.jsonl", "{\n", "line 1"),
        ("a.jsonl", '{"clicks": []}\n', "lacks 'image'"),
        ("a.jsonl", '{"image": "0.png", "clicks": [3]}\n', "line 1"),
        ("a.jsonl", '{"image": "0.png", "object": 1}\n{"image": "0.png", "object": 1}\n', "comes twice"),
        ("a.xml", "<annotation>", "no readable|not a readable XML"),
        ("a.xml", "<!DOCTYPE a><annotation/>", "document type"),
        ("a.xml", "<annotation><object/></annotation>", "photo 'a' is not in"),
        ("a.json", {"images": [{"id": 1}]}, "file_name"),
        ("a.json", "[]", "no list 'images'|cannot be read|holds no task"),
    ],
)
def test_wrong_sources_are_named(write, name, content, told) -> None:
    with pytest.raises(DataError, match=told):
        open_source(write(name, content))


def test_missing_and_unreadable_sources(photos, tmp_path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_source(tmp_path / "nothing.csv")
    (photos / "b.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="UTF-8"):
        open_source(photos / "b.csv")
    (photos / "b.csv").unlink()
    with pytest.raises(DataError, match="no data set"):
        open_source(photos)


def test_readers_of_the_earlier_groups_are_asked(write, photos, monkeypatch) -> None:
    class Old:
        name, image_names = "old", ("one",)

        def areas(self, name):
            return {3: 4}

        def read(self, name):
            mask = np.zeros((90, 120), np.bool_)
            mask[:2, :2] = True
            return SimpleNamespace(
                pixels=np.zeros((90, 120, 3), np.uint8), ignore=None, mask=lambda number: mask
            )

    path = write("a.old", "something")
    announced = {"datasets": [lambda path, images: Old() if path.suffix == ".old" else None]}
    monkeypatch.setattr(plugins, "loaded", lambda kind: announced.get(kind, []))
    source = open_source(path)
    assert [image.name for image in source.images] == ["one"]
    assert [prompt.mask.sum() for prompt in asked(source.images[0].read())] == [4]
    assert dict(opening.open_dataset(path).areas("one")) == {3: 4}

    prompts = sources.PromptSource("p", "d", (), {})
    announced["prompts"] = [lambda path, images: prompts]
    assert open_source(path) is prompts


def test_a_unit_of_work_is_small_and_stands_alone(write) -> None:
    polygon = [10.5, 10, 30, 10, 30, 30, 10, 30]
    annotations = [{"id": n, "image_id": 7, "category_id": 3, "segmentation": [polygon]} for n in range(20)]
    elsewhere = [{**one, "id": 100 + number, "image_id": 8} for number, one in enumerate(annotations * 500)]
    unit = open_source(write("many.json", coco(*annotations, *elsewhere))).images[0]
    packed = pickle.dumps(unit)
    assert len(packed) < 10_000
    opened = pickle.loads(packed).read()
    assert [prompt.mask.sum() for prompt in asked(opened) if prompt.mask is not None] == [400] * 20


def test_an_object_takes_little_memory(write) -> None:
    ring = [12.5, 10.25, 30.5, 10.25, 30.5, 30.75, 12.5, 30.75]
    count = 3000
    annotations = [
        {
            "id": n,
            "image_id": 7,
            "category_id": 3,
            "segmentation": [[x + n / 7 for x in ring]],
            "bbox": [12, 10, 19, 21],
        }
        for n in range(count)
    ]
    path = write("many.json", coco(*annotations))
    tracemalloc.start()
    try:
        source = open_source(path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(source.images[0].read().objects) == count
    assert held / count < 600


def test_a_mask_of_a_folder_travels_without_the_others(photos, tmp_path) -> None:
    root = tmp_path / "set"
    (root / "masks").mkdir(parents=True)
    shutil.copytree(photos, root / "images")
    for index in range(3):
        cv2.imwrite(str(root / "masks" / f"{index}.png"), np.full((90, 120), index + 1, np.uint8))
    source = open_source(root)
    for unit in source.images:
        unit.read()
    packed = pickle.dumps(source.images[1])
    assert len(packed) < 10_000
    (one,) = pickle.loads(packed).read().objects
    assert (one.name, one.prompt(nothing_noted).mask.sum()) == ("2", 90 * 120)
