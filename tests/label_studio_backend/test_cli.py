"""``fcfi label-studio setup`` and ``fcfi doctor label-studio``, against a stand-in for Label Studio."""

from __future__ import annotations

import json

import pytest

from fcfi_core.cli import main
from label_studio_backend.labelling_config import LabellingConfig

REFUSAL = b'{"detail": "URL resolves to a reserved network address (block: 127.0.0.0/8)"}'


@pytest.fixture
def label_studio(site, monkeypatch):
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def as_json(content, status=200):
        return status, {}, json.dumps(content).encode()

    site.answers |= {
        "/api/current-user/whoami": as_json({"email": "a@b.c"}),
        "/api/version": as_json({"release": "1.23.2"}),
        "/api/projects": as_json({"id": 7}, 201),
        "/api/projects/7": as_json({"label_config": "<View/>"}),
        "/api/projects/7/import": as_json({"task_count": 1}, 201),
        "/api/ml": as_json({"id": 3}, 201),
        "/api/tasks?project=7": as_json({"tasks": [{"id": 5}]}),
        "/api/ml/3/interactive-annotating": as_json({"data": {"result": [{}]}}),
        "/health": as_json({"status": "UP"}),
    }
    return site


def sent(site, path):
    return [body for _, asked, _, body in site.asked if asked == path]


def test_setup_does_it_all(label_studio, tmp_path, capsys, picture):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(picture(8, 6)[0])
    (tmp_path / "sub" / "ü b.JPG").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    words = ["label-studio", "setup", str(tmp_path), "--url", label_studio.url, "--token", "t"]
    assert main([*words, "--labels", "cell, nucleus", "--background", "no", "--basic-auth", "u:p"]) == 0
    project = json.loads(sent(label_studio, "/api/projects")[0])
    config = LabellingConfig.parse(project["label_config"])
    assert config.is_negative("no", "image") is False, "only the server knows the word"
    config = LabellingConfig.parse(project["label_config"], "no")
    assert config.is_negative("no", "image")
    assert config.carriers("image")[0].labels == ("cell", "nucleus")
    (form,) = sent(label_studio, "/api/projects/7/import")
    assert form.count(b"filename=") == 2
    assert picture(8, 6)[0] in form
    connection = json.loads(sent(label_studio, "/api/ml")[0])
    assert (connection["is_interactive"], connection["auth_method"]) == (True, "BASIC_AUTH")
    assert label_studio.authorisations() == ["Token t"] * len(label_studio.asked)
    assert "/projects/7/data" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no-such-folder"], "not a folder"),
        (["."], "holds no images"),
        (["--url", "label-studio"], "LABEL_STUDIO_URL"),
    ],
)
def test_setup_says_what_is_wrong(label_studio, tmp_path, capsys, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    assert main(["label-studio", "setup", "--url", label_studio.url, *words]) == 2
    assert says in capsys.readouterr().err


def test_the_refusal_of_private_addresses_is_explained(label_studio, capsys):
    label_studio.answers["/api/ml"] = (403, {}, REFUSAL)
    address = ["--url", label_studio.url, "--token", "t"]
    assert main(["label-studio", "setup", *address]) == 2
    assert "SSRF_PROTECTION_ENABLED=false" in capsys.readouterr().err
    assert main(["doctor", "label-studio", *address, "--backend", label_studio.url]) == 1
    assert "ML_BLOCK_LOCAL_IP=false" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            b'{"detail": "Validation error", "validation_errors": {"url": ["<a href=x>no</a> reach", "b"]}}',
            "no reach b",
        ),
        (b'{"detail": "Not found.", "validation_errors": null}', "404: Not found."),
        (b"<html>gone</html>", "404: gone"),
        (b"[1]", "404: [1]"),
    ],
)
def test_refusals_are_told_in_label_studio_s_words(label_studio, capsys, body, says):
    label_studio.answers["/api/projects"] = (404, {}, body)
    assert main(["label-studio", "setup", "--url", label_studio.url, "--token", "t"]) == 2
    assert says in capsys.readouterr().err


def doctor(label_studio):
    where = ["--url", label_studio.url, "--backend", label_studio.url]
    return ["doctor", "label-studio", *where, "--token", "t"]


def test_the_doctor_finds_nothing_wrong_and_cleans_up(label_studio, capsys, tmp_path):
    config = tmp_path / "config.xml"
    config.write_text(
        '<View><Image name="i" value="$i"/><BrushLabels name="m" toName="i"><Label value="a"/></BrushLabels>'
        '<KeyPointLabels name="k" toName="i" smart="true"><Label value="a"/></KeyPointLabels></View>'
    )
    assert main([*doctor(label_studio), "--config", str(config), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["good"]
    assert any("1 region(s)" in finding["text"] for finding in report["findings"])
    assert label_studio.asked[-1][:2] == ("DELETE", "/api/projects/7")


@pytest.mark.parametrize(
    ("path", "answer", "says"),
    [
        ("/api/current-user/whoami", (401, {}, b""), "legacy token"),
        ("/api/version", (200, {}, b"<html>"), "is it Label Studio's address"),
        ("/health", (401, {}, b""), "--basic-auth"),
        ("/api/ml/3/interactive-annotating", (200, {}, b'{"errors": ["500"]}'), "did not answer a click"),
    ],
)
def test_the_doctor_names_the_failing_step(label_studio, capsys, path, answer, says):
    label_studio.answers[path] = answer
    assert main(doctor(label_studio)) == 1
    assert says in capsys.readouterr().out


def test_the_doctor_mends_a_project_s_config(label_studio, capsys):
    words = ["doctor", "label-studio", "--url", label_studio.url, "--backend", label_studio.url]
    assert main([*words, "--project", "7", "--no-click"]) == 1
    assert "<KeyPoint name=" in capsys.readouterr().out


def test_serve_refuses_bad_settings(capsys, monkeypatch):
    monkeypatch.setenv("FCFI_OUTPUT", "circle")
    assert main(["serve"]) == 2
    assert "FCFI_OUTPUT" in capsys.readouterr().err
