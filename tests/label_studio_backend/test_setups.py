"""A config that cannot work is said once, when Label Studio connects."""

from __future__ import annotations

import json
import logging

import pytest

from label_studio_backend.labelling_templates import labelling_config
from label_studio_backend.setups import Setups

BROKEN = '<View><Image name="image" value="$image"/></View>'


def body(config, project="7.1795360774"):
    return json.dumps({"project": project, "schema": config, "access_token": "secret"}).encode()


def test_what_keeps_a_config_from_working_is_said_once():
    setups = Setups("background")
    said = setups.remarks(body(BROKEN))
    assert any("no tag that can take a mask" in line for line in said)
    assert all("--project 7)" in line for line in said)
    assert setups.remarks(body(BROKEN)) == []
    assert setups.remarks(body(BROKEN, "8.1")) != []
    assert setups.remarks(body(labelling_config(["a"]))) == []
    assert setups.remarks(body(BROKEN)) != []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", body(5), body(""), body(BROKEN, "x"), body(BROKEN, None)]
)
def test_anything_else_is_passed_over(content):
    assert Setups("background").remarks(content) == []


def test_the_server_logs_it_without_the_token(client, caplog):
    with caplog.at_level(logging.WARNING):
        assert client.post("/setup", content=body(BROKEN)).json()["model_version"] == "fcfi-test"
    assert "project 7" in caplog.text
    assert "secret" not in caplog.text
