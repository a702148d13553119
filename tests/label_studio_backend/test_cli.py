"""``fcfi label-studio setup`` and ``fcfi doctor label-studio``, against a stand-in for Label Studio."""

from __future__ import annotations

import json

import pytest

from fcfi_core.cli import main
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config

REFUSAL = b'{"detail": "URL resolves to a reserved network address (block: 127.0.0.0/8)"}'


@pytest.fixture
def label_studio(site, monkeypatch):
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def as_json(content, status=200):
        return status, {}, json.dumps(content).encode()

    listed = (
        "/api/projects?title=Segmentation%20by%20clicks&include=id,title,label_config&page_size=100&page=1"
    )
    site.answers |= {
        listed: as_json({"results": []}),
        "/api/ml?project=7": as_json([]),
        "/api/current-user/whoami": as_json({"email": "a@b.c"}),
        "/api/version": as_json({"release": "1.23.2"}),
        "/api/projects": as_json({"id": 7}, 201),
        "/api/projects/7": as_json({"label_config": "<View/>"}),
        "/api/ml/3": as_json({"id": 3}),
        "/api/projects/7/import": as_json({"task_count": 1}, 201),
        "/api/ml": as_json({"id": 3}, 201),
        "/api/tasks?project=7": as_json({"tasks": [{"id": 5}]}),
        "/api/ml/3/interactive-annotating": as_json({"data": {"result": [{}]}}),
        "/health": as_json({"status": "UP", "model_version": "fcfi-test"}),
    }
    site.listed = listed
    site.as_json = as_json
    return site


TOKEN = "5f0c1e2d3b4a59687786950413223140aabbccdd"


def where(site):
    return ["--url", site.url, "--token", TOKEN, "--backend", site.url]


def sent(site, path):
    return [body for _, asked, _, body in site.asked if asked == path]


def test_one_picture_that_label_studio_refuses_does_not_spoil_the_others(
    label_studio, tmp_path, capsys, picture
):
    (tmp_path / "a.png").write_bytes(picture(8, 6)[0])
    for name in ("scan.TIF", "phone.heic"):
        (tmp_path / name).write_bytes(b"x")
    assert main(["label-studio", "setup", str(tmp_path), *where(label_studio)]) == 0
    (form,) = sent(label_studio, "/api/projects/7/import")
    assert form.count(b"filename=") == 1
    assert (
        "left out: 2 image(s) of other kinds than Label Studio takes (.heic, .tif)" in capsys.readouterr().out
    )


def test_setup_does_it_all(label_studio, tmp_path, capsys, picture):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(picture(8, 6)[0])
    (tmp_path / "sub" / "ü b.JPG").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    words = ["label-studio", "setup", str(tmp_path), *where(label_studio)]
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
    told = {path: headers.get("Authorization") for _, path, headers, _ in label_studio.asked}
    assert told.pop("/health").startswith("Basic ")
    assert set(told.values()) == {f"Token {TOKEN}"}
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
    assert main(["label-studio", "setup", *where(label_studio), *words]) == 2
    assert says in capsys.readouterr().err


def test_the_refusal_of_private_addresses_is_explained(label_studio, capsys):
    label_studio.answers["/api/ml"] = (403, {}, REFUSAL)
    assert main(["label-studio", "setup", *where(label_studio)]) == 2
    assert "SSRF_PROTECTION_ENABLED=false" in capsys.readouterr().err
    assert main(["doctor", "label-studio", *where(label_studio)]) == 1
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
    assert main(["label-studio", "setup", *where(label_studio)]) == 2
    assert says in capsys.readouterr().err


def doctor(label_studio):
    return ["doctor", "label-studio", *where(label_studio)]


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


def test_setup_asks_the_backend_before_it_makes_anything(label_studio, capsys):
    label_studio.answers["/health"] = (200, {}, b"<html>something else")
    assert main(["label-studio", "setup", *where(label_studio)]) == 2
    assert "no backend for Label Studio" in capsys.readouterr().err
    label_studio.answers["/health"] = (401, {}, b"")
    assert main(["label-studio", "setup", *where(label_studio)]) == 2
    assert "--basic-auth" in capsys.readouterr().err
    assert [asked for _, asked, _, _ in label_studio.asked] == ["/health"] * 2
    assert main(["label-studio", "setup", *where(label_studio), "--unchecked"]) == 0


def test_setup_can_be_repeated_and_goes_on(label_studio, tmp_path, capsys, picture):
    for name in ("a.png", "b c.png", "new.png"):
        (tmp_path / name).write_bytes(picture(8, 6)[0])
    config = labelling_config(["cell"]).replace("\n", "\n  ")
    known = {"id": 7, "title": "Segmentation by clicks", "label_config": config}
    others = [{**known, "id": 9, "title": "Segmentation by clicks, more"}, {**known, "id": 5}]
    label_studio.answers[label_studio.listed] = label_studio.as_json({"results": [known, *others]})
    tasks = [
        {"id": number, "data": {"image": f"/data/upload/7/0123abcd-{name}"}}
        for number, name in enumerate(("a.png", "b_c.png"))
    ]
    listed = "/api/tasks?project=7&fields=task_only&page_size=100&page=1"
    label_studio.answers[listed] = label_studio.as_json({"tasks": tasks})
    model = {"id": 3, "url": label_studio.url, "is_interactive": False}
    label_studio.answers["/api/ml?project=7"] = label_studio.as_json([model])
    words = ["label-studio", "setup", str(tmp_path), *where(label_studio), "--labels", "cell"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "project 7: Segmentation by clicks (is there already)" in said
    assert "2 image(s) are there already" in said
    (form,) = sent(label_studio, "/api/projects/7/import")
    assert b"new.png" in form
    assert form.count(b"filename=") == 1
    assert json.loads(sent(label_studio, "/api/ml/3")[0])["is_interactive"] is True
    assert sent(label_studio, "/api/projects") == sent(label_studio, "/api/ml") == []
    assert main([*words[:-1], "other"]) == 2
    assert "another labelling config" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([], "no model is connected"),
        ([{"url": "URL", "is_interactive": False, "state": "CO"}], "switch on Interactive preannotations"),
        (
            [{"url": "URL", "is_interactive": True, "state": "ER", "error_message": "x\nConnection refused"}],
            "is not connected: Connection refused Label Studio cannot reach",
        ),
        ([{"url": "http://other:1", "is_interactive": False}], "asks http://other:1"),
    ],
)
def test_the_doctor_looks_at_the_connection_of_a_project(label_studio, capsys, models, says):
    label_studio.answers["/api/projects/7"] = label_studio.as_json({"label_config": labelling_config(["a"])})
    models = [{**model, "url": model["url"].replace("URL", label_studio.url)} for model in models]
    label_studio.answers["/api/ml?project=7"] = label_studio.as_json(models)
    assert main([*doctor(label_studio), "--project", "7", "--no-click"]) == 1
    assert says in capsys.readouterr().out


def test_the_doctor_is_content_with_a_project_that_works(label_studio, capsys):
    label_studio.answers["/api/projects/7"] = label_studio.as_json({"label_config": labelling_config(["a"])})
    model = {"url": label_studio.url, "is_interactive": True, "state": "CO"}
    label_studio.answers["/api/ml?project=7"] = label_studio.as_json([model])
    assert main([*doctor(label_studio), "--project", "7", "--no-click"]) == 0
    assert "is asked at every click" in capsys.readouterr().out


def test_the_doctor_mends_a_project_s_config(label_studio, capsys):
    assert main([*doctor(label_studio), "--project", "7", "--no-click"]) == 1
    assert "<KeyPoint name=" in capsys.readouterr().out


def test_serve_refuses_bad_settings(capsys, monkeypatch):
    monkeypatch.setenv("FCFI_OUTPUT", "circle")
    assert main(["serve"]) == 2
    assert "FCFI_OUTPUT" in capsys.readouterr().err
