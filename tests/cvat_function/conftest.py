"""A model that needs no weights, CVAT's recorded requests, and nuclio's own test platform."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcfi_core.engines.base import Encoded, Maps
from fcfi_core.model import Model
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol

CASES = Path(__file__).parents[1] / "contract" / "cvat"


class ColourEngine:
    """Stands in for a network: the object is what looks like the positive clicks, near the feedback.

    Deterministic, order-dependent through the feedback, and right on plain pictures.
    """

    name = "colour"
    device = "cpu"
    size_multiple = 1

    def encode(self, images):
        return Encoded(images, images.nbytes)

    def decode(self, encoded, feedback, points, new_points, gate):
        logits = np.stack([self._logits(*one) for one in zip(encoded.value, feedback, points, strict=True)])
        probability = 1 / (1 + np.exp(-logits))
        return Maps(logits, probability, probability)

    @staticmethod
    def _logits(image, feedback, points):
        half = len(points) // 2
        near = []
        for rows in (points[:half], points[half:]):
            distances = [
                np.abs(image - image[int(row), int(column)]).sum(2)
                for row, column, order in rows
                if order >= 0
            ]
            near.append(np.min(distances, axis=0) if distances else np.full(image.shape[:2], 0.3))
        return (6 * (near[1] - near[0]) + (feedback - 0.2)).astype(np.float32)


@pytest.fixture(scope="session")
def model():
    protocol = Protocol(first_side=128, target_size=128, smallest_crop=40)
    return Model("colour", "1", "colour", ColourEngine(), protocol, "0" * 64)


@pytest.fixture
def predictor(model):
    return Predictor(model)


@pytest.fixture(autouse=True)
def _colour_model(monkeypatch, model):
    """Workers and agents load the colour model whatever they are asked for."""
    monkeypatch.setattr("cvat_function.settings.load_model", lambda *_, **__: model)


@pytest.fixture(scope="session")
def disc():
    """A picture of 160 x 120 pixels with a red disc, and the disc's mask."""
    rows, columns = np.mgrid[:120, :160]
    noise = np.random.default_rng(0).integers(0, 6, (120, 160, 3))
    mask = (columns - 64) ** 2 + (rows - 60) ** 2 <= 36**2
    pixels = np.where(mask[..., None], (210, 60, 40), (60, 55, 45)) + noise
    return Image.fromarray(pixels.astype(np.uint8)), mask


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
