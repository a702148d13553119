"""``fcfi doctor cvat``: what it makes of a server's list, of metadata, and of an answer."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from cvat_function import doctor, releases
from cvat_function.response import encode
from fcfi_core.errors import DataError
from fcfi_core.masks import cvat

FOLDER = Path(doctor.__file__).parent
SIZE = (320, 240)
NEW, OLD = releases.SHAPES.number, releases.CROP.number


def listed(file):
    """One of our function files as the server lists it."""
    notes = yaml.safe_load((FOLDER / file).read_text())["metadata"]["annotations"]
    return {"kind": notes["type"], "startswith_box": False, "startswith_box_optional": False, **notes}


@pytest.fixture
def disk():
    return doctor._picture()[1]


@pytest.mark.parametrize("file", ["function.yaml", "function-gpu.yaml", "function-box.yaml"])
def test_our_own_files_are_sound(file):
    assert all(finding.good for finding in doctor.metadata(listed(file)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 1}, "outdated"),
        ({"min_neg_points": -1}, "right clicks are ignored"),
        ({"startswith_box": True}, "before a box is drawn"),
        ({"startswith_box_optional": True, "min_pos_points": 1}, "a box alone asks nothing"),
    ],
)
def test_what_stops_an_annotator_is_named(change, words):
    bad = [one.text for one in doctor.metadata({**listed("function.yaml"), **change}) if not one.good]
    assert len(bad) == 1
    assert words in bad[0]


@pytest.mark.parametrize(("form", "number"), [("shapes", NEW), ("crop", OLD), ("mask", OLD), ("mask", NEW)])
def test_a_right_answer_is_good(form, number, disk):
    answer = json.loads(encode([disk], *SIZE, form))
    finding = doctor.judge(answer, disk, number)
    assert finding.good
    assert "100 %" in finding.text


@pytest.mark.parametrize(("form", "number", "wanted"), [("shapes", OLD, "crop"), ("crop", NEW, "shapes")])
def test_a_form_for_another_cvat_is_named(form, number, wanted, disk):
    finding = doctor.judge(json.loads(encode([disk], *SIZE, form)), disk, number)
    assert not finding.good
    assert f"FCFI_CVAT_RESPONSE={wanted}" in finding.text


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"shapes": []},
        {"shapes": [{"points": [1, 2]}]},
        {"shapes": [{"type": "mask", "points": cvat.encode(np.ones((240, 320), bool))}]},
        {"mask": [[0, 1], [1, 0]]},
        {"mask": 7},
    ],
)
def test_a_wrong_answer_is_bad(answer, disk):
    assert not doctor.judge(answer, disk, NEW).good


class Server:
    """Answers GETs from a table of paths."""

    def __init__(self, **answers):
        self.api_client = SimpleNamespace(call_api=self.call)
        self.answers = answers

    def call(self, path, **_):
        status, body = self.answers.get(path.rsplit("/", 1)[-1], (404, "<html>"))
        return None, SimpleNamespace(status=status, data=json.dumps(body).encode())


def test_our_function_is_found_and_named():
    ours = {"id": "fcfi", "name": "FCFI", **listed("function.yaml")}
    findings = list(doctor._function(Server(functions=(200, [ours])), "fcfi"))
    assert [finding.good for finding in findings] == [True, True]
    assert "FCFI" in findings[0].text


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({}, "without serverless functions"),
        ({"functions": (500, "")}, "dashboard"),
        ({"functions": (200, [])}, "its list is empty"),
        ({"functions": (200, [{"id": "sam", "kind": "interactor"}])}, "it lists sam"),
        ({"functions": (200, [{"id": "fcfi", "kind": "tracker"}])}, "no interactor"),
    ],
)
def test_a_function_that_is_not_there_is_one_sentence(answers, words):
    with pytest.raises(DataError, match=words):
        list(doctor._function(Server(**answers), "fcfi"))


def test_a_community_server_has_no_agents():
    assert "deploy with nuclio" in doctor._agents(Server()).text
    assert "agents" in doctor._agents(Server(functions=(200, []))).text
