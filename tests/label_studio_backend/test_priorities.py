"""Scores of tasks from a table of ``fcfi rank``, against a stand-in for Label Studio."""

from __future__ import annotations

import json

import pytest

from fcfi_core.cli import main
from fcfi_core.errors import DataError
from label_studio_backend.priorities import MODEL_VERSION, read

HEAD = "rank,image,id,need,objects,least,error\n"
TOKEN = "5f0c1e2d3b4a59687786950413223140aabbccdd"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "ranking.csv"
    path.write_text(
        HEAD + "1,new photo.jpg,,0.75,9,0.1,\n2,same.jpg,22,0.5,1,0.5,\n3,other.jpg,,0.25,1,0.7,\n"
        "4,same.jpg,,0.2,1,0.8,\n5,bad.jpg,,,0,,it is cut short.\n"
    )
    return path


@pytest.fixture
def label_studio(site, monkeypatch):
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def as_json(content, status=200):
        return status, {}, json.dumps(content).encode()

    tasks = [
        {"id": 21, "data": {"image": "/data/upload/7/0a1b2c3d-new_photo.jpg"}},
        {"id": 22, "data": {"image": "https://x.y/a/same.jpg?token=1"}},
        {"id": 23, "data": {"image": "https://x.y/b/same.jpg"}},
    ]
    site.answers |= {
        "/api/current-user/whoami": as_json({"email": "a@b.c"}),
        "/api/tasks?project=7&fields=task_only&page_size=100&page=1": as_json({"tasks": tasks}),
        "/api/predictions?project=7": as_json(
            [{"id": 1, "model_version": "someone's"}, {"id": 2, "model_version": MODEL_VERSION}]
        ),
        "/api/predictions/2": (204, {}, b""),
        "/api/projects/7": as_json({"model_version": ""}),
        "/api/projects/7/import/predictions": as_json({"created": 2}, 201),
    }
    return site


def test_tasks_get_scores_and_earlier_ones_go(label_studio, table, capsys):
    words = ["--project", "7", "--url", label_studio.url, "--token", TOKEN]
    assert main(["label-studio", "priorities", str(table), *words]) == 0
    told = capsys.readouterr().out
    assert "2 task(s) of project 7 have a score" in told
    assert "1 image(s) that no task holds, 1 that several tasks hold" in told
    (body,) = [sent for method, path, _, sent in label_studio.asked if path.endswith("import/predictions")]
    assert json.loads(body) == [
        {"task": 21, "result": [], "score": 0.25, "model_version": MODEL_VERSION},
        {"task": 22, "result": [], "score": 0.5, "model_version": MODEL_VERSION},
    ]
    assert [path for method, path, *_ in label_studio.asked if method == "DELETE"] == ["/api/predictions/2"]


def test_the_version_that_a_project_sorts_by_is_ours_unless_somebody_chose(label_studio, table, capsys):
    words = ["--project", "7", "--url", label_studio.url, "--token", TOKEN]
    assert main(["label-studio", "priorities", str(table), *words]) == 0
    (body,) = [sent for method, path, _, sent in label_studio.asked if method == "PATCH"]
    assert json.loads(body) == {"model_version": MODEL_VERSION}
    label_studio.asked.clear()
    label_studio.answers["/api/projects/7"] = 200, {}, b'{"model_version": "another"}'
    assert main(["label-studio", "priorities", str(table), *words]) == 0
    assert not [path for method, path, *_ in label_studio.asked if method == "PATCH"]
    told = capsys.readouterr().out
    assert "sorts by predictions of 'another'" in told
    assert "Annotation > Prelabeling" in told, "the page of predictions has no choice"


def test_without_an_address(table, label_studio, capsys):
    assert main(["label-studio", "priorities", str(table), "--project", "7"]) == 2
    assert "--url" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["", "image,need\na.jpg,0.5\n", HEAD + "1,a.jpg,,much,1,0.5,\n", HEAD + "1,a.jpg,,nan,1,0.5,\n", HEAD],
)
def test_another_table_is_refused(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=r"no table of `fcfi rank`|no image that could be judged"):
        read(path)
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "missing.csv")


def test_a_larger_answer_than_the_operator_allows_is_refused(label_studio, table, capsys, monkeypatch):
    monkeypatch.setenv("FCFI_IMAGE_MEGABYTES", "0.0001")
    words = ["--project", "7", "--url", label_studio.url, "--token", TOKEN]
    assert main(["label-studio", "priorities", str(table), *words]) == 2
    assert "FCFI_IMAGE_MEGABYTES" in capsys.readouterr().err
