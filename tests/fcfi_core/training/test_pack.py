from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fcfi_core.errors import DataError, SettingsError
from fcfi_core.training.configuration import PhaseConfiguration, SourceConfiguration, TrainingConfiguration
from fcfi_core.training.pack import read_pack, source_name, write_pack
from fcfi_core.training.photos import IGNORED, read_photos
from fcfi_core.training.run import prepare


@pytest.fixture
def configuration(photo_folder, tmp_path):
    """Two sources, one with ids beyond 8 bits and an ignored band."""
    many = tmp_path / "many"
    shutil.copytree(photo_folder, many)
    ids = np.zeros((72, 96), np.uint16)
    ids[5:30, 5:30], ids[40:60, 40:90], ids[65:] = 3, 900, IGNORED
    cv2.imwrite(str(many / "masks" / "00.png"), ids)
    return TrainingConfiguration(
        out=str(tmp_path / "run"),
        steps=2,
        sources=(SourceConfiguration(str(photo_folder)), SourceConfiguration(str(many))),
        arguments={"width": 16, "decoder_width": 16, "middle_channels": 8},
        phases=(PhaseConfiguration(1, 64, 2),),
        development_objects=1,
        device="cpu",
        threads=1,
    )


def packed(configuration, path, **options):
    return write_pack(configuration, path, **{"most_bytes": 10**7, **options}, report=lambda line: None)


def test_a_pack_holds_the_photos_as_training_reads_them(configuration, tmp_path):
    written = packed(configuration, tmp_path / "sets.zip", quality=100)
    assert (written.photos, written.longest_side) == (32, 512)
    assert written.bytes == (tmp_path / "sets.zip").stat().st_size
    photos = read_pack(tmp_path / "sets.zip", configuration.sources, 512)
    expected = [
        photo
        for number, source in enumerate(configuration.sources)
        for photo in read_photos(_folder(source.path), number, 512)
    ]
    assert [photo.name for photo in photos] == [photo.name for photo in expected]
    for photo, other in zip(photos, expected, strict=True):
        assert photo.source == other.source
        assert np.array_equal(photo.ids, other.ids)
        assert np.array_equal(photo.regions, other.regions)
        # Single pixels of noise do not survive compression, their means do.
        assert np.abs(_coarse(photo.pixels) - _coarse(other.pixels)).max() < 12


def _coarse(pixels):
    return cv2.resize(pixels, (12, 9), interpolation=cv2.INTER_AREA).astype(int)


def _folder(path):
    from fcfi_core.datasets.opening import open_dataset

    return open_dataset(path)


def test_photos_are_reduced_until_the_pack_fits(tmp_path):
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "large" / folder).mkdir(parents=True)
    for index in range(3):
        ids = np.zeros((300, 600), np.uint8)
        ids[50:200, 100:400] = 1
        noise = random.integers(0, 255, (300, 600, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "large" / "images" / f"{index}.png"), noise)
        cv2.imwrite(str(tmp_path / "large" / "masks" / f"{index}.png"), ids)
    configuration = TrainingConfiguration("out", 1, (SourceConfiguration(str(tmp_path / "large")),))
    whole = packed(configuration, tmp_path / "whole.zip")
    small = packed(configuration, tmp_path / "small.zip", most_bytes=whole.bytes // 2)
    assert whole.longest_side == 512
    assert small.longest_side < 400
    assert small.bytes <= whole.bytes // 2
    for photo in read_pack(tmp_path / "small.zip", configuration.sources, 512):
        assert max(photo.ids.shape) == small.longest_side
        assert photo.regions.tolist() == [1]
    with pytest.raises(SettingsError, match=r"do not fit 0\.000"):
        packed(configuration, tmp_path / "none.zip", most_bytes=500)
    assert not (tmp_path / "none.zip").exists()
    assert not list(tmp_path.glob("*.new"))


def test_training_from_a_pack_and_on_from_it_elsewhere(configuration, tmp_path):
    packed(configuration, tmp_path / "sets.zip", quality=100)
    gone = tuple(replace(source, path=f"/gone/{source.path}") for source in configuration.sources)
    elsewhere = replace(configuration, pack=str(tmp_path / "sets.zip"), sources=gone)
    run = prepare(elsewhere, lambda line: None)
    assert run.train()
    moved = shutil.copy(tmp_path / "sets.zip", tmp_path / "moved.zip")
    assert prepare(replace(elsewhere, pack=str(moved)), lambda line: None).trainer.step == 2
    development = {photo.name for photo in run.development}
    direct = {
        photo.name for photo in prepare(replace(configuration, out=str(tmp_path / "b")), len).development
    }
    assert development == direct


def test_what_a_pack_cannot_be(configuration, tmp_path):
    with pytest.raises(SettingsError, match="two sources are called"):
        packed(replace(configuration, sources=configuration.sources[:1] * 2), tmp_path / "a.zip")
    with pytest.raises(SettingsError, match="quality is 0"):
        packed(configuration, tmp_path / "a.zip", quality=0)
    packed(configuration, tmp_path / "a.zip")
    with pytest.raises(DataError, match=r"holds no source 'other', only .*, many; pack it again"):
        read_pack(tmp_path / "a.zip", (SourceConfiguration("other"),), 512)
    whole = (tmp_path / "a.zip").read_bytes()
    entry = whole.index(b"PK\x01\x02")  # of the first file in the table at the end
    later = whole[: entry + 6] + b"\xe7" + whole[entry + 7 :]
    locked = whole[: entry + 8] + b"\x01" + whole[entry + 9 :]
    for content in (b"", b"no archive", whole[:-2000], later, locked):
        (tmp_path / "b.zip").write_bytes(content)
        with pytest.raises(DataError, match=r"cannot be read .*write it again with `fcfi pack`"):
            read_pack(tmp_path / "b.zip", configuration.sources, 512)
    with pytest.raises(DataError, match="cannot be read"):
        read_pack(tmp_path / "none.zip", configuration.sources, 512)
    sources = {source_name(source): 3 for source in configuration.sources}
    many = json.dumps({"format": 1, "sources": sources})
    for index in ("[]", "{}", json.dumps({"format": 1}), many, "[" * 100_000):
        with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
            archive.writestr("index.json", index)
        with pytest.raises(DataError, match="cannot be read"):
            read_pack(tmp_path / "c.zip", configuration.sources, 512)
