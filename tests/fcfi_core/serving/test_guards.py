"""Who may call: names, pages, passwords."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from fcfi_core.serving.app import create_app
from fcfi_core.serving.guards import Names

PROMPT = {"clicks": [{"x": 1, "y": 1}]}


@pytest.fixture
def client(make_service, colour_model):
    from fcfi_core.predictor import Predictor

    def make(**settings):
        return TestClient(create_app(make_service(Predictor(colour_model), **settings), []))

    return make


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:9090", "127.0.0.1:9090", "[::1]:9090", "192.168.1.7", "fcfi:9090",
        "host.docker.internal:9090", "desk.local", "LOCALHOST:9090", "annotate.example.com",
        "annotate.example.com:443", "Annotate.Example.com.", "proxy.example.com:8443",
    ],
)  # fmt: skip
def test_names_that_are_ours(host):
    assert Names(("annotate.example.com", "proxy.example.com:8443")).serves(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil.example:9090",
        "annotate.example.com.evil.example", "proxy.example.com:1", "user@localhost", "localhost:port", "",
        "/",
        "127.0.0.1/evil.example", "[::1", "a b.c",
    ],
)  # fmt: skip
def test_names_that_are_not(host):
    assert not Names(("annotate.example.com", "proxy.example.com:8443")).serves(host)


@pytest.mark.parametrize(
    ("origin", "host", "trusted"),
    [
        ("http://localhost:9090", "localhost:9090", True),
        ("http://127.0.0.1:9090", "127.0.0.1:9090", True),
        ("https://annotate.example.com", "annotate.example.com", True),
        ("https://annotate.example.com", "127.0.0.1:9090", True),  # a proxy that writes its own Host
        ("https://annotate.example.com:443", "annotate.example.com", True),
        ("http://LOCALHOST", "localhost:80", True),
        ("http://localhost:3000", "localhost:9090", False),
        ("http://192.168.1.7", "127.0.0.1:9090", False),
        ("https://evil.example", "localhost:9090", False),
        ("https://annotate.example.com.evil.example", "127.0.0.1:9090", False),
        ("null", "localhost:9090", False),
        ("", "localhost:9090", False),
        ("file://", "localhost:9090", False),
        ("chrome-extension://localhost:9090", "localhost:9090", False),
        ("http://[::1", "localhost:9090", False),
    ],
)
def test_pages_that_may_change_something(origin, host, trusted):
    assert Names(("annotate.example.com",)).trusts(origin, host) == trusted


def test_a_foreign_name_is_refused_wherever_it_asks(client):
    for method, path in (("GET", "/health"), ("GET", "/playground"), ("POST", "/playground/images")):
        answer = client().request(method, path, headers={"Host": "evil.example:9090"})
        assert answer.status_code == 403
        assert "FCFI_SERVED_HOSTS" in answer.json()["error"]
    assert client(served_hosts=("evil.example",)).get("/health", headers={"Host": "evil.example"}).is_success
    assert client(served_hosts=("*",)).get("/health", headers={"Host": "evil.example"}).is_success


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_page_changes_nothing(client, headers, disc):
    answer = client().post("/playground/images", content=b"x", headers=headers)
    assert answer.status_code == 403
    assert client().get("/health", headers=headers).is_success  # the page cannot read it


def test_our_own_page_and_programs_are_served(client):
    for headers in (
        {},
        {"Origin": "http://testserver"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
    ):
        answer = client().post("/playground/images", content=b"x", headers=headers)
        assert answer.status_code == 400  # not a picture


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_what_any_page_may_send_is_neither_json_nor_a_picture(client, kind):
    one = client()
    for path in ("/playground/images", "/playground/images/0/mask"):
        answer = one.post(path, content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code in (404, 415), path
    assert one.post("/playground/images", content=b"{}", headers={"Content-Type": kind}).status_code == 415
