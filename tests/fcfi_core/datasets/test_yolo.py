from __future__ import annotations

import sys

import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.opening import open_annotations, open_dataset
from fcfi_core.errors import DataError

POLYGON = "1 0.125 0.25 0.375 0.25 0.375 0.5 0.125 0.5"
BOX = "0 0.25 0.5 0.25 0.5"


@pytest.fixture
def write(tmp_path, photo_at):
    """Return a function that writes a set: photos, text files, names."""

    def write(texts: dict[str, str], photos: list[str], yaml: str | None = "names: [cat, dog]\n"):
        for name in photos:
            photo_at(f"set/{name}")
        for name, text in texts.items():
            (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / name).write_text(text)
        if yaml is not None:
            (tmp_path / "set" / "data.yaml").write_text(yaml)
        return tmp_path / "set"

    return write


@pytest.mark.parametrize(
    ("texts", "photos"),
    [
        ({"labels/a.txt": POLYGON}, ["images/a.png"]),
        ({"labels/train/a.txt": POLYGON, "labels/val/a.txt": ""}, ["images/train/a.png", "images/val/a.png"]),
        ({"train/labels/a.txt": POLYGON}, ["train/images/a.png"]),
        ({"obj_train_data/a.txt": POLYGON, "train.txt": "obj_train_data/a.png"}, ["obj_train_data/a.png"]),
        ({"a.txt": POLYGON, "README.txt": "hello"}, ["a.png"]),
    ],
)
def test_polygons_are_masks_wherever_the_files_lie(write, texts, photos) -> None:
    root = write(texts, photos)
    for path in (root, root / "data.yaml"):
        dataset = open_dataset(path)
        assert dataset.name == "set"
        found = [dict(dataset.areas(name)) for name in dataset.image_names]
        assert found == [{1: 20 * 15}]
        assert [one.label for photo in dataset.photos for one in photo.objects] == ["dog"]
        assert [photo.file_name for photo in dataset.photos] == photos


def test_boxes_confidences_and_empty_lines(write, asked) -> None:
    root = write({"labels/a.txt": f"{BOX}\n\n{BOX} 0.93\n"}, ["images/a.png"])
    assert [(label, prompt.box) for label, prompt in asked(root)] == [("cat", Box(10, 15, 29, 44))] * 2


def test_key_points(write, asked) -> None:
    words = f"{BOX} 0.5 0.5 2 0 0 0 0.25 0.5 1"
    root = write({"labels/a.txt": words}, ["images/a.png"], "names: {0: cat}\nkpt_shape: [3, 3]\n")
    ((label, prompt),) = asked(root)
    assert (label, prompt.box, prompt.clicks) == ("cat", Box(10, 15, 29, 44), (Click(40, 30), Click(20, 30)))


@pytest.mark.parametrize("lists", ["classes.txt", "obj.names"])
def test_names_in_a_list(write, asked, lists) -> None:
    root = write({"labels/a.txt": BOX, lists: "cat\ndog\n"}, ["images/a.png"], yaml=None)
    assert [label for label, _ in asked(root)] == ["cat"]
    assert [label for label, _ in asked(root / "labels")] == ["cat"]


def test_unknown_classes_are_called_by_their_number(write, asked) -> None:
    root = write({"labels/a.txt": "7" + BOX[1:]}, ["images/a.png"])
    assert [label for label, _ in asked(root)] == ["7"]


def test_a_bad_line_costs_itself_alone(write) -> None:
    texts = {"labels/a.txt": f"{BOX}\n0 a b c d\n0 1 2\n0 nan 0.5 0.1 0.1\n{POLYGON}\n1 0 0 1 1 0 nan"}
    (photo,) = open_annotations(write(texts, ["images/a.png"])).photos
    problems = []
    for one in photo.objects:
        try:
            one.marks.prompt(80, 60, print)
        except Exception as error:
            problems.append((one.number, str(error)))
    assert [number for number, _ in problems] == [2, 3, 4, 6]
    dataset = open_dataset(write(texts, ["images/a.png"]))
    assert dict(dataset.areas("images/a")) == {5: 300}


@pytest.mark.parametrize(
    ("yaml", "told"),
    [("names: [", "no readable YAML"), ("a: 1\n", "holds no 'names'"), ("- 3\n", "holds no 'names'")],
)
def test_bad_yaml_is_told(write, yaml, told) -> None:
    root = write({"labels/a.txt": BOX}, [], yaml)
    with pytest.raises(DataError, match=told):
        open_annotations(root / "data.yaml")


def test_a_missing_package_is_told(write, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(DataError, match=r"pip install 'fcfi\[yolo\]'"):
        open_annotations(write({"labels/a.txt": BOX}, ["images/a.png"]) / "data.yaml")
