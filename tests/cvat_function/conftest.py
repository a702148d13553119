"""A model that needs no weights, CVAT's recorded requests, and nuclio's own test platform."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest

from fcfi_core.predictor import Predictor

CASES = Path(__file__).parents[1] / "contract" / "cvat"


@pytest.fixture(scope="session")
def model(colour_model):
    return colour_model


@pytest.fixture
def predictor(model):
    return Predictor(model)


@pytest.fixture(autouse=True)
def _colour_model(monkeypatch, model):
    """Workers and agents load the colour model whatever they are asked for."""
    monkeypatch.setattr("cvat_function.settings.load_model", lambda *_, **__: model)


@pytest.fixture(scope="session")
def encoded():
    """Return a function that gives a picture as base64 text, as CVAT sends it."""

    def encode(image, kind="PNG"):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        return base64.b64encode(buffer.getvalue()).decode()

    return encode


@pytest.fixture(scope="session")
def recorded():
    """CVAT's recorded requests by name; ``body["image"]`` names a file that several of them share."""
    cases = {}
    for path in sorted((CASES / "cases").glob("*.json")):
        case = json.loads(path.read_text())
        image = CASES / "images" / case["body"]["image"]
        case["body"]["image"] = base64.b64encode(image.read_bytes()).decode()
        cases[case["name"]] = case
    return cases


@pytest.fixture
def worker():
    """Return a function that starts a nuclio worker on a handler module and gives a caller of it."""
    import nuclio_sdk
    import nuclio_sdk.test

    def start(module):
        platform = nuclio_sdk.test.Platform()

        def call(body, content_type="application/json"):
            event = nuclio_sdk.Event(body=body, content_type=content_type)
            return platform.call_handler(module.handler, event)

        return call

    return start
