"""Files as people have them: what each of them holds.

The photos hold a disc of radius 45 around (80, 80) and a bar 155..205 x 20..100.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.opening import open_annotations, open_dataset
from fcfi_core.errors import DataError, FcfiError

CASES = Path(__file__).parent / "cases"
DISC, BAR = 5760, 4000
"""Pixels of the polygons: the disc's has eight corners."""
EXACT_DISC = 6349


def areas(name: str, images: str | None = "photos") -> list[dict[int, int]]:
    dataset = open_dataset(CASES / name, None if images is None else CASES / images)
    return [dict(dataset.areas(photo)) for photo in dataset.image_names]


def prompts(name: str, images: str | None = "photos") -> list[tuple[str, object, object]]:
    """Return (label, box or area or clicks, kinds left out) of each object; the message of what fails."""
    dataset = open_annotations(CASES / name, None if images is None else CASES / images)
    found: list[tuple[str, object, object]] = []
    for photo in dataset.photos:
        width, height = photo.measured()
        for one in photo.objects:
            left_out = LeftOut()
            try:
                asked = one.marks.prompt(width, height, left_out.at(""))
            except FcfiError as error:
                found.append((one.label, str(error), {}))
                continue
            area = None if asked.mask is None else int(asked.mask.sum())
            found.append((one.label, area or asked.box or asked.clicks, dict(left_out)))
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coco/01.json", [{1: DISC, 2: BAR}, {1: DISC}]),  # a category that is not listed
        ("coco/03.json", [{1: DISC, 2: BAR}, {1: DISC}]),  # a ring of two points beside a good one
        ("coco/11.json", [{1: EXACT_DISC, 2: BAR}, {1: EXACT_DISC}]),  # run-length codes with iscrowd 1
        ("coco/12.json", [{1: EXACT_DISC, 2: EXACT_DISC}, {1: EXACT_DISC}]),
        ("coco/14.json", [{1: EXACT_DISC, 2: BAR}, {1: DISC}]),  # without its last run
        ("coco/18.json", [{1: DISC, 2: BAR}, {1: DISC}]),  # ids as text
        ("coco/27.json", [{2: BAR}, {1: DISC}]),  # a box of NaN
        ("coco/32.json", [{1: DISC, 2: BAR}, {1: DISC}]),  # no size
        ("coco/36.json", [{1: DISC, 2: BAR}, {1: DISC}]),  # two categories of one name
        ("cvat/00.xml", [{1: EXACT_DISC, 2: BAR}]),
        ("cvat/01.xml", [{1: 6330, 2: BAR}]),  # a mask that begins one pixel left of the photo
        ("cvat/04.xml", [{2: BAR}]),  # a polygon of two points
        ("cvat/11.xml", [{1: EXACT_DISC}]),  # a path with a backslash
        ("ls_brush.json", [{1: EXACT_DISC, 2: 3871}]),
    ],
)
def test_masks(name, expected) -> None:
    assert areas(name) == expected


def test_masks_beside_their_photos() -> None:
    assert areas("svision/annotations.json", None) == [{1: 5104, 2: 3381, 3: 3871}]
    assert areas("cvat/gif_name.xml", "gif_photos") == [{1: BAR}]


def test_labels_are_kept() -> None:
    for name, labels in (
        ("coco/01.json", ["object", "object", "object"]),
        ("coco/36.json", ["disc", "disc", "disc"]),
        ("cvat/00.xml", ["disc", "bar"]),
        ("ls_brush.json", ["disc", "bar"]),
        ("voc/v04.xml", ["圆"]),
    ):
        assert [label for label, *_ in prompts(name)] == labels
    dataset = open_annotations(CASES / "coco/36.json", CASES / "photos")
    assert [one.category for photo in dataset.photos for one in photo.objects] == [1, 2, 1]
    assert open_annotations(CASES / "coco/01.json", CASES / "photos").categories == {
        0: "disc",
        1: "object",
        2: "object",
    }


def test_boxes_and_clicks() -> None:
    disc = Box(35, 35, 124, 124)
    assert prompts("voc/v02.xml") == prompts("voc/v03.xml") == [("disc", disc, {})]
    assert prompts("yolo", None) == prompts("yolo/data.yaml", None) == [("disc", disc, {})]
    assert prompts("csv/c01.csv") == [("object", (Click(80, 80),), {})]
    assert prompts("cvat/07.xml") == [
        ("b", Box(1, 1, 8, 8), {}),
        ("b", Box(0, 0, 9, 9), {}),
        ("e", Box(2, 3, 7, 6), {}),
        ("p", (Click(1, 1),), {}),
    ]


def test_only_what_is_damaged_fails() -> None:
    (good, bad) = prompts("voc/v08.xml")
    assert good[1] == Box(35, 35, 124, 124)
    assert "holds no box" in bad[1]
    (good, bad) = prompts("voc/vocdir")
    assert good[1] == Box(35, 35, 124, 124)
    assert "xmin ''" in bad[1]
    first, *others = prompts("coco/27.json")
    assert "no number" in first[1]
    assert [one[1] for one in others] == [BAR, DISC]
    assert prompts("coco/03.json")[0] == ("disc", DISC, {"rings of fewer than three points": 1})


def test_a_photo_of_another_size_is_refused() -> None:
    (photo,) = open_annotations(CASES / "a.json", CASES / "bigphotos").photos
    for read in (photo.load, photo.measured):
        with pytest.raises(DataError, match=r"has 480 x 320 pixels upright, .* says 240 x 160"):
            read()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("csv/c11.csv", "line 2: a click needs both x and y, here y is missing"),
        ("csv/c01.csv", r"no mask, but boxes or clicks \(1\); `fcfi annotate` makes masks"),
        ("cvat/07.xml", r"no mask or polygon on an image, but shapes of type box \(2\)"),
        ("voc/v02.xml", r"no mask, but boxes \(1\)"),
        ("yolo", r"no polygon, but boxes \(1\)"),
    ],
)
def test_what_holds_no_mask_is_told(name, told) -> None:
    with pytest.raises(DataError, match=told):
        open_dataset(CASES / name, None if name == "yolo" else CASES / "photos")
