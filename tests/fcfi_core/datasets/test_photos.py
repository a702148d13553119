"""The one rule of finding photos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcfi_core.datasets.photos import Photos
from fcfi_core.errors import DataError


@pytest.fixture
def write(tmp_path):
    """Return a function that writes photos, each of another grey."""

    def write(*photos: str) -> None:
        for value, photo in enumerate(photos, start=1):
            (tmp_path / photo).parent.mkdir(parents=True, exist_ok=True)
            done, encoded = cv2.imencode(".png", np.full((6, 8, 3), 20 * value, np.uint8))
            assert done
            (tmp_path / photo).write_bytes(encoded.tobytes())

    return write


@pytest.mark.parametrize(
    ("names", "photos"),
    [
        (["a.png"], ["images/default/a.png"]),
        (["cam0/a.png", "cam1/a.png"], ["images/default/cam0/a.png", "images/default/cam1/a.png"]),
        (["a.png"], ["images/default/a.png", "images/train/a.png"]),
        (["a.png"], ["default/a.png", "train/a.png"]),
        (["a.png"], ["JPEGImages/a.png"]),
        (["../../media/upload/3/1ee3d80f-a.png"], ["images/a.png"]),
        (["1ee3d80f-a.png"], ["images/1ee3d80f-a.png", "images/a.png"]),
        (["images\\a.png"], ["images/a.png"]),
        (["C:\\data\\photos\\a.png"], ["images/a.png"]),
        (["sub\\a.png"], ["images/b/sub/a.png", "images/c/a.png"]),
        (["1ee3d80f-K%C3%A4se.png"], ["images/Käse.png"]),
        (["Ka\u0308se.png"], ["images/K\u00e4se.png"]),
        (["my_cow_2.png"], ["images/my cow (2).png"]),
        (["A.PNG"], ["images/a.png"]),
        (["Sub/a.png"], ["images/sub/A.png", "images/other/A.png"]),
        (["a"], ["images/a.png"]),
        (["a.b"], ["images/a.b.tif"]),
        (["frame_000001"], ["images/default/frame_000001.GIF"]),
        (["s3://bucket/deep/a%20b.png"], ["images/a b.png"]),
        (["https://example.org/x/a.png?signature=1#top"], ["images/a.png"]),
        (["far/a.png"], ["a.png"]),
        (["far/a.png"], ["images/a.png", "masks/a.png"]),
        (["a.jfif"], ["images/a.jfif"]),
    ],
)
def test_photos_are_found(write, tmp_path, names, photos) -> None:
    write(*photos)
    (tmp_path / "annotations").mkdir()
    finder = Photos.of(tmp_path / "annotations" / "instances_default.json", subset="default")
    expected = [tmp_path / photo for photo in photos][: len(names)]
    assert finder.find_all([[name] for name in names]) == expected
    assert [finder.find(name) for name in names] == expected


@pytest.mark.parametrize(
    "name", ["", "/", "..", "b.png", "a" * 5000 + ".png", "a\0.png", "a.jpg", "//[/a.gif"]
)
def test_what_is_not_there_is_told(write, tmp_path, name) -> None:
    write("images/a.png", "images/._b.png", "images/__MACOSX/b.png", ".trash/b.png")
    with pytest.raises(DataError, match=r"is not in .*images.*name the folder of the photos"):
        Photos.of(tmp_path / "a.json").find(name)


def test_a_folder_above_the_photos_is_enough(write, tmp_path) -> None:
    write("far/images/default/a.png")
    (tmp_path / "annotations").mkdir()
    with pytest.raises(DataError, match=r"photo 'a\.png' is not in"):
        Photos.of(tmp_path / "annotations" / "a.json").find("a.png")
    finder = Photos.of(tmp_path / "annotations" / "a.json", tmp_path / "far")
    assert finder.find("a.png") == tmp_path / "far" / "images" / "default" / "a.png"


@pytest.mark.parametrize(
    ("names", "refused"), [(["cam0/a.png", "cam1/a.png"], [0, 1]), (["cam1/a.png", "images/a.png"], [0])]
)
def test_one_photo_is_not_given_to_two_images(write, tmp_path, names, refused) -> None:
    write("images/a.png")
    found = Photos.of(tmp_path / "a.json").find_all([[name] for name in names])
    assert [index for index, path in enumerate(found) if isinstance(path, DataError)] == refused
    assert "would both be" in str(found[0])


def test_a_photo_may_be_named_twice(write, tmp_path) -> None:
    write("images/far/a.png")
    found = Photos.of(tmp_path / "a.json").find_all([["a.png"], ["a.png"]])
    assert found == [tmp_path / "images" / "far" / "a.png"] * 2


def test_different_photos_that_fit_equally_well_are_refused_and_copies_are_one(write, tmp_path) -> None:
    write("images/b/a.png", "images/c/a.png")
    with pytest.raises(DataError, match=r"may be .*b/a\.png or .*c/a\.png"):
        Photos.of(tmp_path / "a.json").find("a.png")
    (tmp_path / "images/c/a.png").write_bytes((tmp_path / "images/b/a.png").read_bytes())
    assert Photos.of(tmp_path / "a.json").find("a.png") == tmp_path / "images/b/a.png"


def test_the_other_references_are_tried_in_turn(write, tmp_path) -> None:
    write("images/b.png")
    assert Photos.of(tmp_path / "a.json").find("a.png", "b.png") == tmp_path / "images/b.png"
