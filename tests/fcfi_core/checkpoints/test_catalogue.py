"""The catalogue tells the truth about the files that are here, and a local file always wins."""

from __future__ import annotations

import argparse
import json

import pytest

from fcfi_core.checkpoints import CATALOGUE, CatalogueEntry, catalogue, read_checkpoint, resolve
from fcfi_core.cli import models as command
from fcfi_core.errors import WeightsError
from fcfi_core.networks.registry import VARIANTS

SHIPPED = [entry for entry in CATALOGUE.values() if entry.file is not None]
FOREIGN = [entry for entry in CATALOGUE.values() if entry.file is None]


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_entries_are_complete(entry):
    assert entry.variant in VARIANTS
    assert entry.licence
    assert entry.source
    assert entry.training_data
    assert (entry.file is None) == (entry.sha256 is None)


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_shipped_files_are_as_the_catalogue_says(entry):
    path = resolve(entry.name)
    assert path == entry.path
    assert entry.megabytes == pytest.approx(path.stat().st_size / 2**20, abs=0.01)
    assert read_checkpoint(path).variant == entry.variant


@pytest.mark.parametrize("entry", FOREIGN, ids=lambda entry: entry.name)
def test_files_of_others_are_explained(entry):
    with pytest.raises(WeightsError, match=f"{entry.source}.*fcfi convert"):
        resolve(entry.name)


def test_an_existing_path_wins(tmp_path, monkeypatch):
    (tmp_path / "official-hrnet18s").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    assert resolve("official-hrnet18s").read_bytes() == b"mine"


def test_an_official_file_is_sent_to_convert(tmp_path):
    path = tmp_path / "last_checkpoint.pth"
    path.write_bytes(b"")
    with pytest.raises(
        WeightsError, match=r"fcfi convert .*last_checkpoint\.pth last_checkpoint\.safetensors"
    ):
        resolve(path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(WeightsError, match=r"'nonsense'.*official-hrnet18s"):
        resolve("nonsense")


def test_a_changed_or_missing_shipped_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    entry = CatalogueEntry("toy", "hrnet18", "toy.safetensors", "0" * 64, 1.0, "CC0", "us", "none")
    with pytest.raises(WeightsError, match=r"missing.*install"):
        entry.verify()
    (tmp_path / "toy.safetensors").write_bytes(b"changed")
    with pytest.raises(WeightsError, match=f"sha256 .*{'0' * 64}"):
        entry.verify()


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_models_lists_everything(capsys, arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(arguments)) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in CATALOGUE)
    if arguments:
        assert [model["name"] for model in json.loads(told)["models"]] == list(CATALOGUE)
