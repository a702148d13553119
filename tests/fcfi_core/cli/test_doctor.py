"""``fcfi doctor`` finds what is wrong, and hides secrets."""

from __future__ import annotations

import json
import sys

import pytest

from fcfi_core import settings
from fcfi_core.cli import main


@pytest.fixture
def doctor(checkpoint, capsys):
    def call(*words):
        code = main(["doctor", "--json", "--model", str(checkpoint), "--threads", "1", *words])
        report = json.loads(capsys.readouterr().out)
        return code, report["good"], {finding["topic"]: finding for finding in report["findings"]}

    return call


def test_a_real_click_is_tried(doctor):
    code, good, findings = doctor()
    assert (code == 0) == good
    assert "mobilenetv2" in findings["model"]["text"]
    assert "a click" in findings
    assert findings["FCFI_MODEL"]["text"].startswith("'chosen' (default)")


def test_wrong_weights_are_bad(doctor, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    code, good, findings = doctor("--model", str(tmp_path / "bad.safetensors"))
    assert code == 1
    assert not good
    assert not findings["model"]["good"]
    assert "a click" not in findings


def test_what_is_not_installed_is_neither_good_nor_bad(checkpoint, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "msgspec", None)
    assert main(["doctor", "--model", str(checkpoint), "--threads", "1"]) == 0
    *lines, conclusion = capsys.readouterr().out.splitlines()
    (served,) = [line for line in lines if "fcfi serve  " in line]
    assert served.startswith("--   fcfi serve ")
    assert "pip install 'fcfi[serve]'" in served
    assert conclusion == "What is installed works; the lines marked -- say what is not installed."


def test_a_bad_variable_is_named(doctor, monkeypatch):
    monkeypatch.setenv("FCFI_THREADS", "many")
    code, _, findings = doctor()
    assert code == 1
    assert "'many'" in findings["FCFI_THREADS"]["text"]


def test_secrets_are_hidden(doctor, monkeypatch):
    secret = settings.Variable("FCFI_SECRET", "", "A secret.", secret=True)
    monkeypatch.setattr(settings, "declared", lambda: [secret])
    monkeypatch.setenv("FCFI_SECRET", "hunter2")
    _, _, findings = doctor()
    assert "hunter2" not in json.dumps(findings)
    assert "(hidden)" in findings["FCFI_SECRET"]["text"]
