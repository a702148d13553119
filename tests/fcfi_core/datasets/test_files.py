"""What counts as a file of a data set."""

from __future__ import annotations

import json
import os
import shutil
import socket

import pytest

from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.opening import open_annotations
from fcfi_core.datasets.photos import photos_below

VOC = "<annotation><filename>a.png</filename><object><name>x</name><bndbox><xmin>11</xmin><ymin>11</ymin>\
<xmax>30</xmax><ymax>30</ymax></bndbox></object></annotation>"
LABELME = json.dumps(
    {
        "imagePath": "a.png",
        "shapes": [{"label": "x", "points": [[2, 2], [20, 2], [20, 20]], "shape_type": "polygon"}],
    }
)

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def test_hidden_files_do_not_count_and_links_that_lead_nowhere_do(tmp_path) -> None:
    """What cannot be opened is for the reader to tell."""
    for name in ("b.json", "a.json", "._a.json", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.json").symlink_to("nowhere")
    (tmp_path / "e.json").symlink_to("e.json")
    (tmp_path / "f.json").mkdir()
    found = [file.name for file in files_of(tmp_path, "*.json")]
    assert found == ["a.json", "b.json", "d.json", "e.json"]


@needs_pipes
def test_what_need_not_end_does_not_count(tmp_path) -> None:
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "c.json"))
        assert files_of(tmp_path, "*.json") == []


@needs_pipes
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("Annotations/{}.xml", VOC),
        ("labelme/{}.json", LABELME),
        ("labels/{}.txt", "0 .5 .5 .2 .2"),
        ("masks/{}.png", None),
        ("SegmentationObject/{}.png", None),
    ],
)
def test_a_pipe_among_the_files_of_a_data_set_keeps_nobody_waiting(
    tmp_path, photo_at, place, content
) -> None:
    """A pipe called like a photo, too."""
    root = tmp_path / "set"
    for folder in ("images", "JPEGImages"):
        photo = photo_at(f"set/{folder}/a.png")
        os.mkfifo(root / folder / "b.png")
    good = root / place.format("a")
    good.parent.mkdir()
    os.mkfifo(root / place.format("b"))
    if content is None:
        shutil.copy(photo, good)
    else:
        good.write_text(content)
    if good.suffix == ".txt":
        (root / "data.yaml").write_text("names: [x]\n")
    opened = open_annotations(good.parent if good.suffix in (".xml", ".json") else root)
    assert len(opened.photos) == 1
    assert list(photos_below(root / "images")) == [root / "images" / "a.png"]
