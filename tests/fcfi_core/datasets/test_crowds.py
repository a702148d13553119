from __future__ import annotations

import pytest

from fcfi_core.datasets.crowds import Crowds

CODE = {"size": [6, 8], "counts": [0, 12, 36]}
RING = [[0, 0, 1, 0, 1, 1]]
DATUMARO = {
    "licenses": [{"name": "", "id": 0, "url": ""}],
    "info": dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), ""),
}
SUPERVISION = {
    "info": {},
    "licenses": [{"id": 1, "url": "https://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"}],
    "categories": [{"id": 1, "name": "cat", "supercategory": "common-objects"}],
}
OBJECT = {"segmentation": RING, "iscrowd": 0}


def marked(**fields: object) -> dict[str, object]:
    return {"segmentation": CODE, "iscrowd": 1, **fields}


@pytest.mark.parametrize(
    ("annotation", "content", "crowd"),
    [
        (marked(), {}, True),
        (marked(), {"info": {"description": "COCO 2017 Dataset"}}, True),
        (marked(iscrowd=0), {}, False),
        (marked(iscrowd="0"), {}, False),
        ({"segmentation": RING, "iscrowd": "0"}, {}, False),
        ({"segmentation": RING, "iscrowd": "False"}, {}, False),
        ({"segmentation": RING, "iscrowd": None}, {}, False),
        ({"segmentation": RING, "iscrowd": "1"}, {}, True),
        (marked(segmentation=RING, attributes={"occluded": False}), {}, True),
        (marked(attributes={"occluded": False}), {}, False),
        (marked(attributes={"colour": "red"}), {}, True),
        (marked(attributes=None), {}, True),
        (marked(), DATUMARO, False),
        (marked(), {**DATUMARO, "categories": [{"id": 1, "name": "cat", "supercategory": ""}]}, False),
        (marked(), {**DATUMARO, "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}]}, True),
        (marked(), SUPERVISION, False),
    ],
)
def test_one_among_many_is_a_crowd_unless_the_writer_marks_every_code(annotation, content, crowd) -> None:
    assert (annotation in Crowds(content, [annotation, *[OBJECT] * 99])) is crowd


@pytest.mark.parametrize(
    ("others", "content", "crowd"),
    [
        ([marked()], {}, False),
        ([OBJECT, OBJECT], {}, False),
        ([OBJECT] * 9, {}, True),
        ([marked(iscrowd=0)], {}, True),
        ([marked(attributes={"occluded": False})], {}, True),
        ([marked()], {"info": {"url": "http://cocodataset.org"}}, True),
    ],
)
def test_codes_are_objects_where_nothing_speaks_of_crowds(others, content, crowd) -> None:
    one = marked()
    assert (one in Crowds(content, [one, *others])) is crowd
