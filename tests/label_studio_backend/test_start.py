"""What a server says of Label Studio when it starts."""

from __future__ import annotations

import json

import pytest

from label_studio_backend.server import check_label_studio
from label_studio_backend.settings import Settings


@pytest.mark.parametrize(
    ("settings", "level", "says"),
    [
        ({}, "INFO", "the playground needs nothing more"),
        ({"label_studio_token": "t"}, "WARNING", "LABEL_STUDIO_URL is not"),
        ({"label_studio_url": "http://127.0.0.1:9"}, "WARNING", "cannot be reached"),
    ],
)
def test_a_plain_start_is_no_reason_to_warn(caplog, settings, level, says):
    with caplog.at_level("INFO", "fcfi.label_studio"):
        check_label_studio(Settings(**settings))
    (record,) = caplog.records
    assert record.levelname == level
    assert says in record.getMessage()


@pytest.mark.parametrize(("status", "says"), [(200, "knows us as a@b.c"), (401, "refuses the legacy token")])
def test_label_studio_is_asked_who_we_are(caplog, site, status, says):
    site.answers["/api/current-user/whoami"] = (status, {}, json.dumps({"email": "a@b.c"}).encode())
    with caplog.at_level("INFO", "fcfi.label_studio"):
        check_label_studio(Settings(label_studio_url=site.url, label_studio_token="5f" * 20))
    assert says in caplog.text
