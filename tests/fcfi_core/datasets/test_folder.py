from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from fcfi_core.allowance import PROCESS
from fcfi_core.datasets import folder as module
from fcfi_core.datasets.folder import Folder, read_ids
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import choose
from fcfi_core.errors import DataError, SettingsError


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_every_object_of_every_photo(make_folder, depth) -> None:
    folder = Folder(make_folder(counts=(1, 3), depth=depth))
    samples = list(choose(folder))
    assert [sample.name for sample in samples] == [
        "disks/photo0#1",
        *(f"disks/photo1#{k}" for k in (1, 2, 3)),
    ]
    assert all(sample.pixels.shape == (60, 80, 3) and sample.truth.dtype == np.bool_ for sample in samples)
    assert samples[0].ignore is None
    assert samples[1].pixels is samples[3].pixels, "a photo is read once for all its objects"


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_largest_number_of_the_depth_is_ignored(make_folder, depth) -> None:
    sample = next(iter(choose(Folder(make_folder(ignore=True, depth=depth)))))
    assert sample.ignore is not None
    assert sample.ignore[:5].all()
    assert not sample.ignore[5:].any()


def test_255_is_an_object_in_16_bits(make_folder) -> None:
    root = make_folder(counts=(1,), depth=np.uint16)
    ids = np.full((60, 80), 255, np.uint16)
    cv2.imwrite(str(root / "masks" / "photo0.png"), ids)
    assert Folder(root).areas("photo0") == {255: 4800}


def test_seeded_choice_is_a_stable_subset(make_folder) -> None:
    folder = Folder(make_folder(counts=(4, 4, 4)))
    everything = choose(folder).objects
    chosen = choose(folder, count=5, seed=1).objects
    assert len(chosen) == 5
    assert [one for one in everything if one in chosen] == list(chosen)
    assert choose(folder, count=5, seed=1).objects == chosen
    assert choose(folder, count=5, seed=2).objects != chosen
    assert choose(folder, count=99).objects == everything


def test_small_objects_can_be_left_out(make_folder) -> None:
    folder = Folder(make_folder(counts=(3,)))
    areas = folder.areas("photo0")
    assert sorted(areas) == [1, 2, 3]
    kept = choose(folder, min_area=sorted(areas.values())[1]).objects
    assert len(kept) == 2
    with pytest.raises(DataError, match="no object of at least 100000 pixels"):
        choose(folder, min_area=100_000)


def test_manifest_names_the_set(make_folder) -> None:
    root = make_folder()
    (root / "manifest.json").write_text(json.dumps({"name": "other"}))
    assert Folder(root).name == "other"
    (root / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        Folder(root)


def test_palette_masks_count_by_index(tmp_path) -> None:
    palette = Image.new("P", (2, 2))
    palette.putdata([0, 1, 2, 255])
    palette.putpalette([9, 9, 9] * 256)
    palette.save(tmp_path / "m.png")
    ids, ignored = read_ids(tmp_path / "m.png")
    assert ids.tolist() == [[0, 1], [2, 255]]
    assert ignored == 255


def test_what_cannot_be_used_is_named(make_folder, tmp_path) -> None:
    with pytest.raises(DataError, match="no mask found"):
        Folder(tmp_path / "nowhere")
    root = make_folder()
    (root / "images" / "photo1.jpg").unlink()
    left = Folder(root)
    assert left.image_names == ("photo0",)
    assert "photo1.png has no photo" in str(left.left_out)
    with pytest.raises(SettingsError, match="number of objects is 0"):
        choose(Folder(make_folder("b")), count=0)
    with pytest.raises(SettingsError, match="area is 0"):
        choose(Folder(make_folder("c")), min_area=0)


def test_broken_masks_are_named(make_folder) -> None:
    root = make_folder(counts=(1,))
    mask = root / "masks" / "photo0.png"
    cv2.imwrite(str(mask), np.ones((30, 30), np.uint8))
    with pytest.raises(DataError, match="30 x 30 pixels, its upright photo 80 x 60"):
        Folder(root).read("photo0")
    cv2.imwrite(str(mask), np.ones((60, 80, 3), np.uint8))
    with pytest.raises(DataError, match=r"no object .*one channel of ids"):
        choose(Folder(root))
    mask.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no object .*cannot be read"):
        choose(Folder(root))


def test_a_broken_mask_costs_its_photo_alone(make_folder) -> None:
    root = make_folder(counts=(1, 2))
    (root / "masks" / "photo0.png").write_bytes(b"no picture")
    folder = Folder(root)
    assert choose(folder).objects == (("photo1", 1), ("photo1", 2))
    assert folder.left_out == {"photos that cannot be used": 1}


def test_a_mask_is_decoded_once(make_folder, monkeypatch) -> None:
    decoded = []
    monkeypatch.setattr(module, "read_ids", lambda path: decoded.append(path.name) or read_ids(path))
    folder = Folder(make_folder(counts=(2, 3), ignore=True))
    folder.require_numbers()
    samples = list(choose(folder))
    assert len(samples) == 5
    assert all(sample.truth.any() and sample.ignore is not None for sample in samples)
    assert sorted(decoded) == ["photo0.png", "photo1.png"]


def test_folders_below_and_photos_of_any_kind(make_folder) -> None:
    root = make_folder(counts=(1, 2))
    for kind in ("images", "masks"):
        (root / kind / "cam").mkdir()
        (root / kind / ".hidden.png").write_bytes(b"")
    (root / "masks" / "photo1.png").rename(root / "masks" / "cam" / "photo1.png")
    photo = root / "images" / "photo1.jpg"
    Image.open(photo).save(root / "images" / "cam" / "PHOTO1.GIF")
    photo.unlink()
    folder = Folder(root)
    assert folder.image_names == ("cam/photo1", "photo0")
    assert [photo.file_name for photo in folder.photos] == ["cam/PHOTO1.GIF", "photo0.jpg"]
    assert len(choose(folder)) == 3


def test_masks_of_0_and_255_are_explained(make_folder) -> None:
    root = make_folder(counts=(1,))
    cv2.imwrite(str(root / "masks" / "photo0.png"), np.full((60, 80), 255, np.uint8))
    with pytest.raises(DataError, match=r"255 in 8-bit .* mean 'ignore'"):
        choose(Folder(root))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, 6.0, float("nan")])
def test_a_held_out_share_is_a_share(make_folder, share) -> None:
    with pytest.raises(SettingsError, match=rf"held-out share of the photos is {share}; .*0\.06"):
        choose(Folder(make_folder()), held_out=share)


def test_no_photo_held_out_is_told_as_that(make_folder) -> None:
    folder = Folder(make_folder())
    assert len(choose(folder, held_out=1.0)) == 3
    with pytest.raises(DataError, match=r"none of the 2 photos of disks .* 1e-06"):
        choose(folder, held_out=1e-6)


def test_held_out_photos_are_those_training_leaves_out(tmp_path):
    from fcfi_core.training.photos import read_photos, split

    folder = tmp_path / "many"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(24):
        ids = np.zeros((24, 32), np.uint8)
        ids[4:20, 4:20] = 1
        Image.fromarray(ids).save(folder / "masks" / f"{index}.png")
        Image.new("RGB", (32, 24)).save(folder / "images" / f"{index}.jpg")
    dataset = Folder(folder)
    chosen = {f"many/{name}" for name, _ in choose(dataset, held_out=0.3).objects}
    _, development = split(read_photos(dataset, 0, 512), 0.3)
    assert chosen == {photo.name for photo in development}
    assert 0 < len(chosen) < 24


def test_photos_beside_the_masks_come_before_others(make_folder, tmp_path) -> None:
    root = make_folder(counts=(1, 2))
    (tmp_path / "empty").mkdir()
    assert len(open_dataset(root, tmp_path / "empty").image_names) == 2
    (root / "images").rename(tmp_path / "elsewhere")
    assert len(open_dataset(root, tmp_path / "elsewhere").image_names) == 2


def test_decoded_masks_take_a_share_of_the_memory_for_reading(make_folder, monkeypatch) -> None:
    monkeypatch.setattr(PROCESS, "_capacity", 32 * 400)
    root = make_folder(counts=(1, 2, 1))
    dataset = Folder(root)
    assert all(photo.objects for photo in dataset.photos)
    kept = dataset.photos[0].mask.store.statistics()
    assert (kept["capacity"], kept["entries"]) == (400, 0)  # each takes some 500 bytes
    monkeypatch.setattr(PROCESS, "_capacity", float("inf"))
    assert all(photo.objects for photo in Folder(root).photos)
