"""``fcfi pack`` and ``fcfi train --pack``, ``--licences``, from the command line."""

from __future__ import annotations

import json
import shutil

import pytest

from fcfi_core.checkpoints.files import read_checkpoint
from fcfi_core.cli import main


@pytest.fixture
def configuration(make_folder, tmp_path):
    free, other = make_folder("free", (1, 2)), make_folder("other", (1, 1))
    path = tmp_path / "run.toml"
    path.write_text(
        f"""
        out = "out"
        steps = 1
        threads = 1
        development_share = 0
        arguments = {{ width = 16, decoder_width = 16, middle_channels = 8 }}
        phases = [{{ share = 1, size = 64, batch = 2 }}]
        sources = [{{ path = "{free}", licence = "CC0-1.0" }}, {{ path = "{other}" }}]
        """
    )
    return path


def test_a_pack_is_all_that_training_needs(configuration, tmp_path, capsys):
    pack = tmp_path / "sets.zip"
    assert main(["pack", str(configuration), "--out", str(pack)]) == 0
    told = capsys.readouterr().out
    assert "4 photos of at most 512 pixels" in told
    assert f"fcfi train {configuration} --pack {pack}" in told
    for name in ("free", "other"):
        shutil.rmtree(tmp_path / name)
    assert main(["train", str(configuration), "--pack", str(pack), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 1


def test_only_permissive_sources_are_trained_on(configuration, tmp_path, capsys):
    assert main(["train", str(configuration), "--licences", "permissive"]) == 0
    assert "left out, as their licence is not permissive or not stated: other" in capsys.readouterr().out
    card = read_checkpoint(tmp_path / "out" / "latest.safetensors").header["model_card"]
    assert card["sources"] == ["free"]
    assert card["licences"] == {"free": "CC0-1.0"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "sets.zip", "--at-most", "0"], "--at-most is 0; give more than 0 MiB"),
        (["--out", "sets.zip", "--at-most", "nan"], "--at-most is nan; give more than 0 MiB"),
        (["--out", "gone/sets.zip"], "its folder does not exist"),
        (["--out", "sets.zip", "--quality", "101"], "quality is 101"),
        (["--out", "sets.zip", "--at-most", "0.001"], "do not fit 0.000999 MiB even at 256 pixels"),
    ],
)
def test_what_cannot_be_packed_is_one_sentence(words, told, configuration, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["pack", str(configuration), *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--pack", "sets.zip"], ["--licences", "permissive"]])
def test_what_belongs_to_a_configuration(words, capsys):
    assert main(["train", "--from", "default", "--data", "e.json", "--out", "t", *words]) == 2
    assert f"{words[0]} belongs to a configuration" in capsys.readouterr().err
