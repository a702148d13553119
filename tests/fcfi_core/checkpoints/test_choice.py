from __future__ import annotations

import json
from pathlib import Path

import pytest

from fcfi_core import load_model
from fcfi_core.checkpoints import choose, chosen, resolve, write_checkpoint
from fcfi_core.checkpoints.choice import choice_file
from fcfi_core.cli import main
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.networks.registry import build

ARGUMENTS = {"width": 16, "decoder_width": 16, "middle_channels": 8}


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tuned.safetensors"
    network = build("mobilenetv2", **ARGUMENTS)
    write_checkpoint(path, network.state_dict(), {"variant": "mobilenetv2", "arguments": ARGUMENTS})
    return path


def test_there_and_back(weights, capsys):
    assert chosen() == "default"
    assert main(["models", "use", str(weights)]) == 0
    assert chosen() == str(weights)
    assert load_model("chosen", device="cpu").name == "tuned"
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen"] == str(weights)
    assert main(["models", "use", "default"]) == 0
    assert chosen() == "default"


@pytest.mark.parametrize("name", [" a.safetensors", "a\x1b[31m\nb.safetensors"])
def test_a_file_of_any_name_can_be_chosen(weights, tmp_path, capfd, name):
    odd = weights.rename(tmp_path / name)
    assert main(["models", "use", str(odd)]) == 0
    assert chosen() == str(odd)
    assert main(["models"]) == 0
    assert main(["models", "--json"]) == 0
    said = capfd.readouterr().out
    assert "\x1b" not in said
    assert "in use: " in said.replace("\n", "|")
    assert load_model("chosen", device="cpu").variant == "mobilenetv2"


def test_weights_that_do_not_load_are_not_chosen(tmp_path, capsys):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nonsense")
    assert main(["models", "use", str(bad)]) == 2
    assert chosen() == "default"


def test_a_choice_that_vanished_says_how_to_go_back(weights):
    main(["models", "use", str(weights)])
    weights.unlink()
    with pytest.raises(WeightsError, match="fcfi models use default"):
        resolve("chosen")


def test_the_word_for_the_choice_is_no_choice(weights, capsys):
    assert main(["models", "use", "chosen"]) == 2
    assert "'chosen'" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="fcfi models"):
        choose("chosen")
    assert chosen() == "default"
    main(["models", "use", str(weights)])
    assert main(["models", "use", "chosen"]) == 2
    assert chosen() == str(weights)


@pytest.mark.parametrize("content", [b"chosen\n", b"\n", b"\xff\xfe"])
def test_a_file_that_names_nothing_is_no_choice(content):
    choice_file().parent.mkdir(parents=True)
    choice_file().write_bytes(content)
    assert chosen() == "default"
    assert resolve("chosen") == resolve("default")


def test_whoever_looks_meanwhile_sees_the_old_choice_or_the_new(monkeypatch):
    choose("one")
    seen = []
    write, replace = Path.write_text, Path.replace

    def watched(action):
        def act(*given, **named):
            action(*given, **named)
            seen.append(chosen())

        return act

    monkeypatch.setattr(Path, "write_text", watched(write))
    monkeypatch.setattr(Path, "replace", watched(replace))
    choose("two")
    assert seen == ["one", "two"]
    assert [file.name for file in choice_file().parent.iterdir()] == ["model"]


def test_json_before_or_after_the_action(weights, capsys):
    for words in (["--json", "use", str(weights)], ["use", str(weights), "--json"]):
        assert main(["models", *words]) == 0
        assert json.loads(capsys.readouterr().out) == {"chosen": str(weights)}
