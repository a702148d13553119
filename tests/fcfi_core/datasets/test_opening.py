"""What people give as a data set although it is none, and what they are told."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest

from fcfi_core.datasets.opening import open_dataset
from fcfi_core.errors import DataError


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as content:
        for name in names:
            content.writestr(name, "")
    return path


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("annotations.xml", "images/a.jpg"), r"name the annotation file in it \(annotations\.xml\)"),
        (("export/result.json",), r"\(export/result\.json\)"),
        (("annotations/instances_default.json",), r"\(annotations/instances_default\.json\)"),
        (("images/a.jpg", "masks/a.png"), r"unpack it and name the folder that holds images/ and masks/"),
    ],
)
def test_an_archive_is_to_be_unpacked(tmp_path, names, told) -> None:
    with pytest.raises(DataError, match=rf"export\.zip is an archive; .*{told}"):
        open_dataset(archive(tmp_path / "export.zip", *names))


def test_an_archive_is_told_by_its_content(tmp_path) -> None:
    with pytest.raises(DataError, match=r"is an archive; .*annotations\.xml"):
        open_dataset(archive(tmp_path / "export.json", "annotations.xml"))
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"half\.zip is a damaged archive; .*again"):
        open_dataset(tmp_path / "half.zip")


@pytest.mark.parametrize("name", ["annotations.xml", "annotations/instances_default.json", "result.json"])
def test_the_folder_of_an_export_names_its_file(tmp_path, name) -> None:
    file = tmp_path / "export" / name
    (tmp_path / "export" / "images").mkdir(parents=True)
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path / "export")
    assert str(caught.value).endswith(f"is a folder; name the annotation file in it: {file}.")


def test_a_folder_of_other_things_is_told_what_it_lacks(tmp_path) -> None:
    with pytest.raises(DataError, match=r"needs images/NAME\.jpg and masks/NAME\.png"):
        open_dataset(tmp_path)


def test_a_json_file_beside_masks_changes_nothing(make_folder) -> None:
    root = make_folder()
    (root / "other.json").write_text("")
    assert len(open_dataset(root).image_names) == 2


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_black_and_white_masks_are_explained(make_folder, depth) -> None:
    root = make_folder(counts=(1, 1), depth=depth)
    for mask in (root / "masks").iterdir():
        ids = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(mask), np.where(ids > 0, np.iinfo(depth).max, 0).astype(depth))
    told = rf"nothing but 0 and {np.iinfo(depth).max}, which means 'ignore'; number the objects 1, 2, 3"
    with pytest.raises(DataError, match=told):
        open_dataset(root)


def test_one_numbered_mask_is_enough(make_folder) -> None:
    root = make_folder(counts=(1, 1))
    cv2.imwrite(str(root / "masks" / "photo0.png"), np.full((60, 80), 255, np.uint8))
    assert not open_dataset(root).areas("photo0")


def test_photos_that_are_no_folder_are_told(make_coco, tmp_path) -> None:
    path = make_coco()
    for wrong in (tmp_path / "nowhere", path):
        with pytest.raises(DataError, match=rf"the folder of photos {wrong} does not exist; check the path"):
            open_dataset(path, wrong)
