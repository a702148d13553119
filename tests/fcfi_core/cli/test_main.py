"""The command itself: verbs, help, version, exit codes."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import fcfi_core.cli
from fcfi_core.cli import build_parser, main, verbs


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fcfi {importlib.metadata.version('fcfi')}\n"


@pytest.mark.parametrize("words", [["segmnt"], ["segment"], [], ["segment", "x.png", "--clack", "3"]])
def test_a_wrong_command_is_one_sentence(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err


def test_every_verb_has_help(capsys):
    for name in verbs():
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"fcfi {name}" in capsys.readouterr().out
    assert all(name in build_parser().format_help() for name in ("segment", "doctor", "bench"))


def test_a_verb_whose_extra_is_missing_says_so(monkeypatch, capsys):
    def missing():
        raise ModuleNotFoundError("No module named 'nuclio'", name="nuclio")

    monkeypatch.setattr(fcfi_core.cli, "verbs", lambda: {"cvat": missing})
    assert main(["cvat", "x"]) == 2
    assert "'nuclio'" in capsys.readouterr().err
    assert "not installed" in build_parser().format_help()


def test_interruption_ends_with_130(monkeypatch):
    class Verb:
        HELP = "wait"
        add_arguments = staticmethod(lambda parser: None)

        @staticmethod
        def run(arguments):
            raise KeyboardInterrupt

    monkeypatch.setattr(fcfi_core.cli, "verbs", lambda: {"wait": lambda: Verb})
    assert main(["wait"]) == 130


def test_help_does_not_wait_for_torch():
    code = "import sys, fcfi_core.cli as c; c.build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
