"""What the page does when the server has forgotten a photo."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.fcfi_core.serving.playground.assets.visitor import SAMPLES


def test_photo_forgotten_by_the_server_is_sent_again(visitor, application):
    visitor.open_sample("cat.jpg")
    visitor.click(0.5, 0.5, clicks=1)
    other = TestClient(application).post("/playground/images", content=(SAMPLES / "coffee.jpg").read_bytes())
    assert other.status_code == 201
    visitor.click(0.4, 0.4, clicks=2)
    assert not visitor["message"].is_displayed()
