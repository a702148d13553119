"""Whatever is posted to ``/predict``: no 5xx, no traceback."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGCAIAAABxZ0isAAAAEUlEQVR4nGM4ISeHFTEMLQkA6yQrMW7XQbUA"
    "AAAASUVORK5CYII="
)
RECORDED = [
    json.loads(path.read_text(encoding="utf-8"))["body"]
    for path in sorted((Path(__file__).parents[1] / "contract" / "label_studio").glob("predict_*.json"))
]

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 100, -1, 2**31, 2**63, 1e308, True, False])
)
WORDS = st.one_of(
    st.text(max_size=12), st.sampled_from(["cell", "image", "\ud800", "\0", "<", "\u202e", "keypoint"])
)
LEAVES = st.one_of(st.none(), NUMBERS, WORDS)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)

FUZZ = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def accepted(client, content):
    answer = client.post("/predict", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 413), answer.text
    assert "Traceback" not in answer.text
    if answer.status_code == 200:
        for entry in answer.json()["results"]:
            assert isinstance(entry["result"], list)
    else:
        assert answer.json()["error"]


def places(value, path=()):
    """Yield the path of every part of a JSON value."""
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from places(child, (*path, key))


def changed(value, path, new):
    """Return a copy of ``value`` with the part at ``path`` replaced, or removed where ``new`` is Ellipsis."""
    if not path:
        return None if new is ... else new
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if new is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return made


@st.composite
def damaged_requests(draw):
    """A recorded request in which up to three parts are something else, or missing."""
    body = copy.deepcopy(draw(st.sampled_from(RECORDED)))
    for task in body["tasks"]:
        task["data"] = dict.fromkeys(task["data"], PICTURE)
        task["drafts"] = []
    for item in ((body["params"]["context"] or {}).get("result")) or []:
        item["original_width"], item["original_height"] = 8, 6
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(body))))
        body = changed(body, path, draw(st.one_of(st.just(...), JSON)))
    return body


@given(damaged_requests())
@settings(FUZZ, max_examples=100)
def test_damaged_requests(client, body):
    accepted(client, json.dumps(body))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(damaged_requests())
@settings(FUZZ, max_examples=5000)
def test_thousands_of_damaged_requests(client, body):
    accepted(client, json.dumps(body))


@given(st.one_of(JSON.map(json.dumps), st.binary(max_size=60), st.text(max_size=60)))
@settings(FUZZ, max_examples=100)
def test_anything_at_all(client, content):
    accepted(client, content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"tasks": []}',
        b'{"tasks": "x", "label_config": 5, "params": 7}',
        b'{"tasks": [null]}',
        b'{"tasks": [{}], "params": {"context": 5}}',
        b'{"tasks": [{"id": 1e400}], "params": {"context": {"result": [NaN]}}}',
        b'{"tasks": [{}], "x": ' + b"9" * 5000 + b"}",
        b'{"tasks": [{}], "params": {"context": {"result": [' + b"{}," * 200_000 + b"1]}}}",
        b'{"tasks": [' + b"{}," * 50_000 + b"{}]}",
        b'{"tasks": [{"data": {"image": "' + b"x" * 1_000_000 + b'"}}], "label_config": "\\ud800"}',
        '{"tasks": [{"id": 1}], "params": {"context": {"result": []}}}'.encode("utf-16"),
    ],
    ids=lambda content: content[:20].decode("latin-1"),
)
def test_known_nuisances(client, content):
    accepted(client, content)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "application/json; charset=klingon"}, 200),
        ({"Content-Encoding": "gzip"}, 400),
    ],
    ids=str,
)
def test_a_body_that_is_said_to_be_something_else_is_refused(client, headers, status):
    content = json.dumps(RECORDED[0] | {"params": {"context": {"result": []}}}).encode()
    if "Content-Encoding" in headers:
        content = gzip.compress(content)
    assert client.post("/predict", content=content, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/", "/health", "/setup", "/predict", "/webhook", "/versions", "/no/such"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_any_method_anywhere_is_answered(client, method, path):
    assert client.request(method, path).status_code in (200, 404, 405)
