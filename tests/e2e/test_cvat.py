"""CVAT from outside: the bulk upgrade and the agent's tracker, every request held to cvat-sdk's models.

A small server answers as CVAT does; whatever is sent to it must be readable as the SDK's own API models,
and what it answers is what the SDK can read. The agent side runs cvat-cli's own drivers.
"""

from __future__ import annotations

import copy
import io
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from fcfi_core.evaluation.metrics import iou
from fcfi_core.masks import cvat

pytestmark = pytest.mark.e2e
models = pytest.importorskip("cvat_sdk.models")

WIDTH, HEIGHT = 160, 120
X, Y, RADIUS = 64, 60, 36


def photo():
    """A red disc, as a picture and as a mask."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = (columns - X) ** 2 + (rows - Y) ** 2 <= RADIUS**2
    noise = np.random.default_rng(0).integers(0, 8, (HEIGHT, WIDTH, 3))
    pixels = np.where(disc[..., None], (210, 60, 40), (60, 55, 45)) + noise
    return Image.fromarray(pixels.astype(np.uint8)), disc


def shape(number, kind, points, **more):
    return {
        "id": number, "type": kind, "frame": 0, "label_id": 1, "points": points, "occluded": True,
        "outside": False, "z_order": 2, "rotation": 0.0, "group": 0, "source": "manual", "elements": [],
        "attributes": [{"spec_id": 7, "value": "red"}], **more,
    }  # fmt: skip


class Stub:
    """A CVAT server with one task of three frames, the second of which was deleted."""

    def __init__(self):
        around = [X - 37.0, Y - 37.0, X + 37.0, Y + 37.0]
        diamond = [X - 40.0, Y * 1.0, X * 1.0, Y - 40.0, X + 40.0, Y * 1.0, X * 1.0, Y + 40.0]
        self.shapes = [
            shape(11, "rectangle", around, group=5),
            shape(12, "points", [X + 0.2, Y + 0.9]),
            shape(13, "rectangle", around, label_id=2),
            shape(14, "rectangle", around, frame=1),
            shape(15, "polygon", diamond, frame=2),
            shape(16, "rectangle", around, label_id=3, frame=2),
        ]
        self.next_id = 100
        self.writes, self.refusals, self.lost_answers, self.read_only = [], 0, 0, False
        self.version = "2.80.0"
        buffer = io.BytesIO()
        photo()[0].save(buffer, "PNG")
        self.picture = buffer.getvalue()

    def get(self, path, query):
        if path == "/api/server/about":
            return {
                "name": "CVAT",
                "description": "",
                "version": self.version,
                "logo_url": "",
                "subtitle": "",
            }
        if path == "/api/users/self":
            return {"id": 1, "username": "anna", "url": f"{self.url}/api/users/1", "groups": []}
        if path == "/api/tasks/3":
            summary = {"count": 0, "url": f"{self.url}/api/jobs"}
            return {
                "id": 3,
                "name": "task",
                "organization": None,
                "jobs": {**summary, "completed": 0, "validation": 0},
                "labels": summary,
            }
        if path == "/api/jobs":
            links = {"count": 0, "url": f"{self.url}/api/issues"}
            job = {"id": 8, "task_id": 3, "start_frame": 0, "stop_frame": 2, "issues": links, "labels": links}
            return {"count": 1, "next": None, "previous": None, "results": [job]}
        if path == "/api/labels":
            kinds = {1: "any", 2: "any", 3: "rectangle"}
            found = [
                {"id": number, "name": name, "type": kinds[number], "attributes": [], "sublabels": []}
                for number, name in ((1, "ball"), (2, "planet"), (3, "crate"))
            ]
            return {"count": 3, "next": None, "previous": None, "results": found}
        if path == "/api/tasks/3/data/meta":
            frames = [
                {"width": WIDTH, "height": HEIGHT, "name": f"{n}.png", "related_files": 0} for n in range(3)
            ]
            return {
                "size": 3, "start_frame": 0, "stop_frame": 2, "image_quality": 70, "deleted_frames": [1],
                "included_frames": None, "chunks_updated_date": "2026-10-01T12:00:00Z", "frames": frames,
            }  # fmt: skip
        if path == "/api/tasks/3/annotations":
            return {"version": 0, "tags": [], "shapes": copy.deepcopy(self.shapes), "tracks": []}
        if path == "/api/tasks/3/data":
            assert query["type"] == ["frame"]
            assert query["quality"] == ["original"]
            return self.picture
        raise AssertionError(f"unexpected request for {path}")

    def patch(self, action, body):
        """Check the body as the SDK's model, and apply it in one go."""
        request = models.PatchedLabeledDataRequest._from_openapi_data(**body, _configuration=None)
        for one in request.shapes:
            sent = models.LabeledShapeRequest(**{**_plain(one), "type": models.ShapeType(str(one["type"]))})
            assert sent.frame in (0, 2)
            if str(sent.type) == "mask":
                assert cvat.decode(sent.points, WIDTH, HEIGHT).any()
        self.writes.append((action, body["shapes"]))
        sent_ids = {one.get("id") for one in body["shapes"]}
        if action == "update":
            self.shapes = [one for one in self.shapes if one["id"] not in sent_ids]
        for one in body["shapes"]:
            self.next_id += 1
            self.shapes.append(shape(self.next_id, one["type"], one["points"]) | one | {"id": self.next_id})
        return {"version": 1, "tags": [], "shapes": self.shapes, "tracks": []}


def _plain(model):
    fields = dict(model) if isinstance(model, dict) else model.to_dict()
    fields["attributes"] = [models.AttributeValRequest(**one) for one in fields["attributes"]]
    return fields


@pytest.fixture
def stub():
    server = Stub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def reply(self, status, body, headers=()):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            kind = "image/png" if isinstance(body, bytes) else "application/vnd.cvat+json"
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), *headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            parts = urlsplit(self.path)
            if parts.path.startswith("/api/server/about"):
                return self.reply(200, server.get("/api/server/about", {}))
            if self.headers["Authorization"] != "Bearer a-token":
                return self.reply(401, {"detail": "Invalid token."})
            if parts.path.rstrip("/") == "/api/tasks/4":
                return self.reply(404, {"detail": "Not found."})
            return self.reply(200, server.get(parts.path.rstrip("/"), parse_qs(parts.query)))

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(400, {"non_field_errors": ["Unable to log in with provided credentials."]})

        def do_PATCH(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if server.read_only:
                return self.reply(403, {"detail": "not_allowed"})
            if server.refusals:
                server.refusals -= 1
                return self.reply(429, {}, [("Retry-After", "1")])
            (action,) = parse_qs(urlsplit(self.path).query)["action"]
            answer = server.patch(action, body)
            if server.lost_answers:
                server.lost_answers -= 1
                return self.reply(504, {})
            return self.reply(200, answer)

    front = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{front.server_address[1]}"
    yield server
    front.shutdown()
    front.server_close()


@pytest.fixture
def upgrade(stub, tmp_path, monkeypatch, capsys):
    """Return a function that runs ``fcfi cvat upgrade-task`` and gives its status and its JSON."""
    from fcfi_core.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "a-token")

    def run(*options):
        command = ["cvat", "upgrade-task", "--task", "3", "--server-host", stub.url, "--json", *options]
        status = main(command)
        return status, json.loads(capsys.readouterr().out)

    return run


def masks(stub, frame):
    return [
        (one, cvat.decode(one["points"], WIDTH, HEIGHT))
        for one in stub.shapes
        if one["type"] == "mask" and one["frame"] == frame
    ]


def test_boxes_and_points_become_masks(stub, upgrade):
    status, report = upgrade()
    assert status == 1, "the crates' label takes rectangles only"
    assert report["upgraded"] == 3
    assert [entry["label"] for entry in report["review"] if entry["problem"]] == ["crate"]
    assert report["review"][0]["page"] == f"{stub.url}/tasks/3/jobs/8?frame=2"
    disc = photo()[1]
    found = masks(stub, 0)
    assert [action for action, _ in stub.writes] == ["update"]
    assert len(found) == 3
    for (one, mask), label, group in zip(found, (1, 1, 2), (5, 0, 0), strict=True):
        assert iou(mask, disc) > 0.8
        assert (one["label_id"], one["group"], one["occluded"], one["z_order"]) == (label, group, True, 2)
        assert one["attributes"] == [{"spec_id": 7, "value": "red"}]
        assert one["source"] == "semi-auto"
    kept = [one["id"] for one in stub.shapes if one["id"] < 100]
    assert kept == [14, 15, 16], "deleted frames, polygons and other labels stay"


def test_a_second_run_finds_nothing_to_do(stub, upgrade):
    upgrade()
    upgrade()
    assert len(stub.writes) == 1


def test_boxes_can_be_kept(stub, upgrade):
    status, _ = upgrade("--keep-boxes", "--only-label", "planet")
    assert status == 0
    assert [action for action, _ in stub.writes] == ["create"]
    assert len(masks(stub, 0)) == 1
    assert {one["id"] for one in stub.shapes} >= {11, 12, 13, 14, 15, 16}
    upgrade("--keep-boxes", "--only-label", "planet", "--journal", "lost.jsonl")
    assert len(masks(stub, 0)) == 1, "a lost journal makes no duplicates"


def test_polygons_are_refined_and_polygons_come_back(stub, upgrade):
    assert upgrade("--from", "polygon")[0] == 0
    ((one, mask),) = masks(stub, 2)
    assert one["id"] > 100
    assert iou(mask, photo()[1]) > 0.8
    status, _ = upgrade("--to", "polygon", "--only-label", "planet", "--journal", "polygons.jsonl")
    assert status == 0
    ((_, written),) = stub.writes[1:]
    assert written[0]["type"] == "polygon"
    assert len(written[0]["points"]) >= 6


def test_a_dry_run_writes_a_picture_and_nothing_else(stub, upgrade, tmp_path):
    _, report = upgrade("--dry-run", "--sheet", "sheet.png")
    assert not report["written"]
    assert report["upgraded"] == 3
    assert stub.writes == []
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 300


def test_waits_as_long_as_the_server_asks(stub, upgrade, monkeypatch):
    pauses = []
    monkeypatch.setattr("cvat_function.client.time.sleep", pauses.append)
    stub.refusals = 2
    upgrade("--only-label", "planet")
    assert pauses == [1.0, 1.0]
    assert len(masks(stub, 0)) == 1


def test_a_lost_answer_writes_nothing_twice(stub, upgrade):
    stub.lost_answers = 1
    upgrade("--keep-boxes", "--only-label", "planet")
    assert len(stub.writes) == 1
    assert len(masks(stub, 0)) == 1


def test_the_confidence_is_the_score(stub, upgrade):
    upgrade()
    scores = [one["score"] for _, shapes in stub.writes for one in shapes]
    assert len(scores) == 3
    assert all(0 < score <= 1 for score in scores)


@pytest.fixture
def say(stub, tmp_path, monkeypatch, capsys):
    """Return a function that runs the command as people do and gives its status and what it said."""
    from fcfi_core.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "a-token")

    def run(*options, task="3", host=stub.url):
        status = main(["cvat", "upgrade-task", "--task", task, "--server-host", host, *options])
        said = capsys.readouterr()
        errors = [line for line in said.err.splitlines() if line.startswith(("fcfi: ", "note: "))]
        return status, said.out.splitlines(), errors

    return run


def test_an_idle_second_run_says_so(say):
    assert say("--only-label", "planet")[1][0] == "1 shapes upgraded."
    status, said, _ = say("--only-label", "planet")
    assert (status, said[0]) == (0, "Nothing was left to do: earlier runs upgraded 1 shapes of task-3.")


def test_a_task_without_such_shapes_says_what_it_has(say, stub):
    stub.shapes = [one for one in stub.shapes if one["type"] == "polygon"]
    status, said, _ = say()
    assert status == 0
    assert said[0] == (
        "Nothing to do: task-3 has no shape of type points or rectangle (it has 1 of type polygon)."
    )


@pytest.mark.parametrize(
    ("sentence", "given"),
    [
        ("there is no task 4, or this login may not see it", {"task": "4"}),
        ("does not accept this password for the user anna", {"options": ["--user", "anna:wrong"]}),
        ("does not say how to talk to it; give http://cvat.example.org", {"host": "cvat.example.org"}),
        ("nothing answers at this port", {"host": "http://127.0.0.1:9"}),
    ],
)
def test_what_is_wrong_is_one_true_sentence(sentence, given, say):
    status, said, errors = say(*given.pop("options", ()), **given)
    assert (status, said) == (2, [])
    assert len(errors) == 1
    assert sentence in errors[0]


def test_a_wrong_token_is_named(say, monkeypatch):
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "another")
    _, _, (error,) = say()
    assert "does not accept the token in CVAT_ACCESS_TOKEN" in error


def test_a_token_that_only_reads_is_told_apart(say, stub):
    stub.read_only = True
    status, _, (error,) = say()
    assert status == 2
    assert "a personal access token only reads unless" in error
    assert stub.writes == []


def test_a_client_of_another_version_is_a_note(say, stub):
    stub.version = "2.61.3"
    _, _, (note,) = say("--dry-run")
    assert note.startswith("note: cvat-sdk is 2.")
    assert "'cvat-sdk~=2.61.0'" in note


def test_something_else_at_the_address_is_named(say, stub):
    stub.version = None
    _, _, (error,) = say(host=f"{stub.url}/nothing")
    assert "CVAT" in error


def test_a_server_that_is_not_there_is_one_sentence(upgrade, capsys):
    from fcfi_core.cli import main

    assert main(["cvat", "upgrade-task", "--task", "3", "--server-host", "http://127.0.0.1:9"]) == 2
    assert re.fullmatch(r"[^\n]+\n", capsys.readouterr().err)


def test_cvats_agent_runs_the_tracker(monkeypatch):
    """cvat-cli's tracking driver: states by id, shapes of the kind drawn, None for what is lost."""
    agent = pytest.importorskip("cvat_cli._internal.agent")
    from cvat_cli._internal import agent_driver
    from cvat_cli._internal.common import FunctionLoader

    function = FunctionLoader("cvat_function.native", None, {"kind": "tracker"}).load()
    driver_class = agent.get_function_driver_class(function.spec)
    agent_driver.set_worker_current_function(function)
    driver_class.init_worker(agent._default_tracking_state_id_generator)
    inline = SimpleNamespace(submit=lambda call, *given: call(*given), result=lambda value: value)
    driver = driver_class(SimpleNamespace(), inline, function.spec)
    driver.validate_function_compatibility({"supported_shape_types": ["mask", "polygon"]})
    picture, disc = photo()
    frames = [
        picture,
        picture.transform(picture.size, 0, (1, 0, -4, 0, 1, 0)),
        Image.new("RGB", picture.size),
    ]
    driver._get_sample_from_ar_params = lambda given: (
        SimpleNamespace(media=SimpleNamespace(load_image=lambda: frames[given["frame"]])),
        [],
    )
    drawn = [{"type": "mask", "points": cvat.encode(disc)}]
    begun = driver.calculate_result_for_ar(
        {"type": "init_tracking", "task": 1, "frame": 0, "shapes": drawn}, None
    )
    asked = {"type": "track", "task": 1, "states": begun["states"]}
    followed = driver.calculate_result_for_ar({**asked, "frame": 1}, None)
    json.dumps(followed)
    mask = cvat.decode(followed["shapes"][0]["points"], WIDTH, HEIGHT)
    assert iou(mask, np.roll(disc, 4, axis=1)) > 0.6
    lost = driver.calculate_result_for_ar({**asked, "frame": 2}, None)
    assert lost["shapes"] == [None]
