"""``fcfi doctor cvat``: what it makes of a server's list, of metadata, and of an answer."""

from __future__ import annotations

import json
import threading
from argparse import ArgumentParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

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


@pytest.fixture
def running(monkeypatch):
    """A server that answers as a table of paths says; its findings, and the table."""
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "a-token")
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    monkeypatch.setattr("cvat_function.client.time.sleep", lambda _: None)
    ours = {"id": "fcfi", "name": "FCFI", **listed("function.yaml")}
    answers = {
        "/api/server/about": (200, {"version": "2.73.0"}),
        "/api/users/self": (200, {"id": 1, "username": "anna", "url": "http://x", "groups": []}),
        "/api/lambda/functions": (200, [ours]),
    }

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            status, body = answers.get(urlsplit(self.path).path.rstrip("/"), (404, "<html>"))
            if status is None:
                self.connection.close()
                return
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.cvat+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

    front = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    parser = ArgumentParser()
    doctor.add_arguments(parser)
    words = ["--server-host", f"http://127.0.0.1:{front.server_address[1]}"]

    def examine(*options):
        return [one.text for one in doctor.examine(parser.parse_args([*words, *options])) if not one.good]

    yield examine, answers
    front.shutdown()
    front.server_close()


def test_a_sound_server_has_nothing_bad(running):
    examine, _ = running
    assert examine("--no-click") == []


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/api/lambda/functions", (503, {}), "is nuclio's dashboard up"),
        ("/api/lambda/functions", (504, "<html>"), "is nuclio's dashboard up"),
        ("/api/lambda/functions", (200, "<html>"), "cannot be read"),
        ("/api/lambda/functions", (200, {"functions": []}), "cannot be read"),
        ("/api/lambda/functions", (None, ""), "cannot be reached"),
        ("/api/functions", (None, ""), "cannot be reached"),
        ("/api/server/about", (503, "<html>"), "is not up"),
        ("/api/server/about", (None, ""), "cannot be reached"),
        ("/api/users/self", (502, "<html>"), "502"),
        ("/api/tasks", (503, {}), "503"),
        ("/api/tasks", (None, ""), "cannot be reached"),
    ],
)
def test_whatever_a_server_answers_is_one_sentence(running, path, answer, words):
    examine, answers = running
    answers[path] = answer
    (told,) = examine()[:1]
    assert words in told
    assert "Max retries" not in told
