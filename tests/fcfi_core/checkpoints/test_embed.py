"""Trained weights become the default: file, header and catalogue agree."""

from __future__ import annotations

import json
import shutil

import pytest

from fcfi_core.checkpoints import embed as module
from fcfi_core.checkpoints import read_checkpoint, resolve
from fcfi_core.checkpoints.catalogue import FOLDER, sha256
from fcfi_core.errors import WeightsError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the catalogue, in the place of the real one."""
    shutil.copy(FOLDER / "catalogue.json", tmp_path)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


def test_file_header_and_catalogue_agree(folder):
    weights = resolve("default")
    before = json.loads((folder / "catalogue.json").read_text())
    target = module.embed(weights, "2030.1.1")
    assert target == folder / "default.safetensors"
    made, given = read_checkpoint(target), read_checkpoint(weights)
    assert (made.variant, made.protocol) == (given.variant, given.protocol)
    assert made.header["model_card"]["version"] == "2030.1.1"
    assert {name: tensor.shape for name, tensor in made.state.items()} == {
        name: tensor.shape for name, tensor in given.state.items()
    }
    first, *others = json.loads((folder / "catalogue.json").read_text())
    assert (first["name"], first["file"], first["sha256"]) == ("default", target.name, sha256(target))
    assert others == [entry for entry in before if entry["name"] != "default"]


def test_weights_that_are_too_large_change_nothing(folder, monkeypatch):
    before = (folder / "catalogue.json").read_text()
    monkeypatch.setattr(module, "LARGEST_MEGABYTES", 1.0)
    with pytest.raises(WeightsError, match=r"the default may take 1\.0"):
        module.embed(resolve("default"), "2030.1.1")
    assert [file.name for file in folder.iterdir()] == ["catalogue.json"]
    assert (folder / "catalogue.json").read_text() == before
