"""A model that needs no weights, and recorded requests."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from fcfi_core.predictor import Predictor
from fcfi_core.serving.app import create_app
from fcfi_core.serving.loading import Loading
from fcfi_core.serving.service import Service
from label_studio_backend.server import routes
from label_studio_backend.settings import Settings

RECORDED = Path(__file__).parents[1] / "contract" / "label_studio"


@pytest.fixture(scope="session")
def predictor(make_colour_model):
    return Predictor(make_colour_model(96, dots=True))


@pytest.fixture
def loading(predictor):
    return Loading(lambda: predictor, "fcfi-test").start()


def picture(width=64, height=48, kind="PNG", **options):
    """Return (encoded bytes, disk mask): a red disk on a blue-green ground."""
    rows, columns = np.mgrid[:height, :width]
    disk = (columns - 0.45 * width) ** 2 + (rows - 0.55 * height) ** 2 <= (0.3 * min(width, height)) ** 2
    pixels = np.where(disk[..., None], (225, 60, 40), (60, 120, 130)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue(), disk


@pytest.fixture(scope="session", name="picture")
def _picture():
    return picture


@pytest.fixture(scope="session")
def data_uri():
    def encode(width=64, height=48):
        return "data:image/png;base64," + base64.b64encode(picture(width, height)[0]).decode()

    return encode


CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<BrushLabels name="mask" toName="image"><Label value="cell"/>'
    '<Label value="nucleus &amp; co"/></BrushLabels>'
    '<KeyPointLabels name="click" toName="image" smart="true"><Label value="cell"/>'
    '<Label value="nucleus &amp; co"/></KeyPointLabels>'
    '<RectangleLabels name="box" toName="image" smart="true"><Label value="cell"/></RectangleLabels></View>'
)


@pytest.fixture(scope="session")
def config():
    return CONFIG


def click(x, y, positive=True, *, ident=None, label="cell", size=(64, 48), **more):
    """Return a context entry for the pixel (x, y), as the editor sends it."""
    entry = {
        "id": ident or f"c{x}-{y}-{positive}",
        "type": "keypointlabels",
        "from_name": "click",
        "to_name": "image",
        "origin": "manual",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "value": {
            "x": 100 * (x + 0.5) / size[0],
            "y": 100 * (y + 0.5) / size[1],
            "width": 0.3,
            "keypointlabels": [label],
            "labels": [label],
        },
    }
    if positive is not None:
        entry["is_positive"] = positive
    return {**entry, **more}


@pytest.fixture(scope="session", name="click")
def _click():
    return click


@pytest.fixture
def body(data_uri):
    """Return a function that makes the body of ``/predict``."""

    def make(items, *, config=CONFIG, data=None, task=None, context=...):
        return {
            "tasks": [{"id": 1, "data": data or {"image": data_uri()}, **(task or {})}],
            "project": "3.1795360774",
            "label_config": config,
            "params": {
                "login": None,
                "password": None,
                "context": {"result": items} if context is ... else context,
            },
        }

    return make


@pytest.fixture
def make_client(loading):
    """Return a function that makes a client of a server with some settings."""
    opened = []

    def make(model=None, **settings):
        chosen = Settings(**settings)
        service = Service(chosen, model or loading)
        client = TestClient(create_app(service, [lambda service: routes(service, chosen)]))
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client):
    return make_client()


def recorded(name):
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", name="recorded")
def _recorded():
    return recorded
