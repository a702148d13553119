"""Damaged and hostile annotation files: one sentence each, never a traceback, never much memory."""

from __future__ import annotations

import contextlib
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.opening import open_annotations, open_dataset
from fcfi_core.datasets.samples import choose
from fcfi_core.errors import DataError, FcfiError

VOC = "<annotation><filename>a.png</filename><object><name>{}</name><bndbox><xmin>11</xmin><ymin>11</ymin>\
<xmax>30</xmax><ymax>30</ymax></bndbox></object></annotation>"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", "[" * 200_000, "nested too deeply"),
        ("a.json", '{"images":' + "[" * 200_000, "nested too deeply"),
        ("a.json", '{"images": [', "is damaged"),
        ("a.json", '{"images": [' + "9" * 5000, "is damaged"),
        ("a.json", "", "is empty"),
        ("a.json", "id,label", "cannot be read as JSON, XML or a table"),
        ("a.jsonl", "[" * 200_000, "line 1"),
        ("a.csv", "image,x,y\na.png,1," + "2" * 200_000, "field larger than field limit"),
        ("a.csv", 'image,x,y\na.png,"1,2', "is missing|lacks|no number"),
        ("a.csv", "image,x,y\na.png,\0,2", "no number|NUL"),
        ("a.xml", "<annotations>" * 100_000, "not a readable XML"),
        ("a.xml", "<annotation><a>&b;</a></annotation>", "not a readable XML"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "b">]><annotation/>', "document type"),
        ("a.xml", '<?xml version="1.0" encoding="klingon"?><annotation/>', "encoding that it declares"),
        ("a.xml", '<?xml version="1.0" encoding="hex"?><annotation/>', "encoding that it declares"),
        ("a.xml", "<other/>", "XML of no known form: it holds <other>"),
        ("a.npz", "x", "is a NumPy archive, which is not read; export COCO"),
        ("a.tar", "x", "is an archive; unpack it"),
        ("a.png", "x", "is a picture"),
        ("a.txt", "x", "is a text file"),
        ("a.json", '{"_via_img_metadata": {}}', "a project of the VGG image annotator, .*export COCO"),
        ("a.json", '{"a.png1": {"filename": "a.png", "regions": []}}', "JSON of the VGG image annotator"),
        ("a.json", '[{"image": "a.png", "annotations": []}]', "CreateML"),
        ("a.json", '{"images": 3, "annotations": [{"segments_info": []}]}', "COCO panoptic"),
        ("a.json", '{"shapes": []}', "no known form: it holds the keys 'shapes'"),
        ("a.json", '[{"a": 1, "b": 2}]', "1 entries, the first with the keys 'a', 'b'"),
        ("a.json", "[]", "holds no task|a single value or nothing"),
    ],
)
def test_one_sentence(tmp_path, photo_at, name, content, told) -> None:
    photo_at("b.png")
    (tmp_path / name).write_text(content)
    for open_it in (open_annotations, open_dataset):
        with pytest.raises(DataError, match=told) as caught:
            open_it(tmp_path / name)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "gb2312", "big5", "shift_jis", "iso-8859-1"]
)
@pytest.mark.parametrize("declared", [True, False])
def test_xml_in_any_encoding(tmp_path, photo_at, asked, encoding, declared) -> None:
    label = "Käse" if encoding == "iso-8859-1" else "\u5713" if encoding == "big5" else "\u5186"
    if encoding == "gb2312":
        label = "\u5706\u5706\u5f62"
    photo_at("a.png")
    head = f'<?xml version="1.0" encoding="{encoding}"?>' if declared else ""
    (tmp_path / "a.xml").write_bytes((head + VOC.format(label)).encode(encoding))
    if not declared and not encoding.startswith("utf"):
        with pytest.raises(DataError, match="UTF-8"):
            open_annotations(tmp_path / "a.xml")
        return
    assert [name for name, _ in asked(tmp_path / "a.xml")] == [label]


def test_a_small_file_claims_no_memory(tmp_path, photo_at) -> None:
    photo_at("a.png")
    rle = '{"size": [60000, 60000], "counts": [0, 3600000000]}'
    huge = "[[0, 0, 60000, 0, 60000, 60000, 0, 60000]]"
    annotations = ",".join(
        f'{{"id": {number}, "image_id": 1, "category_id": 1, "segmentation": {one}}}'
        for number, one in enumerate((rle, huge), start=1)
    )
    for size in ('"width": 60000, "height": 60000,', ""):
        (tmp_path / "a.json").write_text(
            f'{{"images": [{{"id": 1, {size} "file_name": "a.png"}}], "annotations": [{annotations}]}}'
        )
        tracemalloc.start()
        try:
            list(choose(open_dataset(tmp_path / "a.json")))
        except DataError:
            assert size
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path, photo_at, data) -> None:
    photo_at("a.png")
    name, content = data.draw(st.sampled_from(SOUND))
    damaged = bytearray(content.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        piece = data.draw(
            st.sampled_from([b"", b"0", b"-1", b"NaN", b'"', b"[", b"}", b"<", b"\0", b"\xff", b"1e99"])
        )
        damaged[at : at + data.draw(st.integers(0, 3))] = piece
    (tmp_path / name).write_bytes(bytes(damaged))
    try:
        dataset = open_annotations(tmp_path / name)
    except DataError:
        return
    for photo in dataset.photos:
        for one in photo.objects:
            with contextlib.suppress(FcfiError):
                one.marks.prompt(80, 60, LeftOut().at(""))
    for image_name in dataset.image_names:
        dataset.areas(image_name)


RING = [1, 1, 9, 1, 9, 9]
CORNERS = [[1, 1], [9, 1], [9, 9]]
REGION = {"to_name": "image", "original_width": 80, "original_height": 60}
SOUND = (
    (
        "a.json",
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 60}],
                "categories": [{"id": 1, "name": "cat"}],
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [RING], "bbox": [1, 1, 8, 8]},
                    {"id": 2, "image_id": 1, "category_id": 1, "keypoints": [1, 1, 2]},
                    {
                        "id": 3,
                        "image_id": 1,
                        "iscrowd": 0,
                        "segmentation": {"size": [60, 80], "counts": [0, 60, 4740]},
                        "clicks": [[1, 2, True]],
                    },
                ],
            }
        ),
    ),
    (
        "a.json",
        json.dumps(
            {
                "shapes": [
                    {"label": "cat", "points": CORNERS, "shape_type": "polygon", "group_id": 1},
                    {"label": "dog", "points": CORNERS[:2], "shape_type": "circle"},
                ],
                "imagePath": "a.png",
                "imageHeight": 60,
                "imageWidth": 80,
            }
        ),
    ),
    (
        "a.json",
        json.dumps(
            {
                "categories": {"label": {"labels": [{"name": "cat"}]}},
                "items": [
                    {
                        "id": "a",
                        "annotations": [
                            {"type": "polygon", "points": RING, "label_id": 0, "group": 0},
                            {"type": "bbox", "bbox": [1, 1, 2, 2], "label_id": 0, "group": 1},
                        ],
                        "image": {"path": "a.png", "size": [60, 80]},
                    }
                ],
            }
        ),
    ),
    (
        "a.json",
        json.dumps(
            [
                {
                    "id": 1,
                    "data": {"image": "/data/upload/1/0a1b2c3d-a.png"},
                    "annotations": [
                        {
                            "id": 1,
                            "result": [
                                {
                                    "id": "r",
                                    "type": "polygonlabels",
                                    "value": {"points": CORNERS, "polygonlabels": ["cat"]},
                                    **REGION,
                                },
                                {
                                    "id": "b",
                                    "type": "brushlabels",
                                    "value": {"rle": [0, 0, 75, 0, 57, 27, 255, 0], "brushlabels": ["cat"]},
                                    **REGION,
                                },
                            ],
                        }
                    ],
                }
            ]
        ),
    ),
    (
        "a.xml",
        '<annotations><image id="0" name="a.png" width="80" height="60">'
        '<mask label="cat" rle="0, 4" left="1" top="1" width="2" height="2"/>'
        '<polygon label="cat" points="1,1;9,1;9,9"/>'
        '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5" rotation="20"/>'
        '<points label="p" points="1,1;2,2"/></image></annotations>',
    ),
    ("a.xml", VOC.format("cat")),
    ("a.csv", "image,x,y,positive,object,label,x1,y1,x2,y2\na.png,5,6,1,a,cat,1,2,3,4\na.png,7,8,0,a,,,,,\n"),
    ("a.jsonl", '{"image": "a.png", "clicks": [[1, 2, true]], "box": [1, 2, 3, 4], "label": "cat"}\n'),
)
