"""Every door finishes a mask by one policy: the same prompt gives the same mask, whoever asks."""

from __future__ import annotations

import base64
import io
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from cvat_function import main as cvat_main
from cvat_function.upgrade import prompts as upgrade_prompts
from fcfi_core.cli import main as fcfi
from fcfi_core.click_log import ClickLog, mask_digest, read
from fcfi_core.clicks import Click
from fcfi_core.masks import coco, cvat, from_polygons, label_studio
from fcfi_core.masks.polygons import Polygon
from fcfi_core.pipelines.annotate import Options, annotate_image
from fcfi_core.pipelines.prompts import ImagePrompts, ObjectPrompt, OpenedImage
from fcfi_core.predictor import Predictor
from fcfi_core.serving import playground
from fcfi_core.serving.app import create_app
from fcfi_core.serving.loading import Loading
from fcfi_core.serving.service import Service
from fcfi_core.settings import CORE_VARIABLES
from fcfi_core.settings import read as read_settings
from label_studio_backend.server import routes
from label_studio_backend.settings import Settings

WIDTH, HEIGHT = 128, 96
CLICK = Click(60, 50)


@pytest.fixture(scope="module")
def pixels():
    """A disc with a pinhole, and a speck of its colour far away: the network's mask has both."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = (columns - 64) ** 2 + (rows - 48) ** 2 <= 30**2
    disc[60, 70:72] = False
    disc[10, 110:112] = True
    return np.where(disc[..., None], (210, 60, 40), (60, 55, 45)).astype(np.uint8)


@pytest.fixture(scope="module")
def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def predictor(colour_model):
    return Predictor(colour_model)


@pytest.fixture
def expected(predictor, pixels):
    raw = predictor.segment(pixels, [CLICK])
    assert raw.mask[10, 111]
    assert not raw.mask[60, 71]
    finished = raw.finished().mask
    assert not finished[10, 111]
    assert finished[60, 71]
    return finished


def test_the_command(expected, pixels, png, tmp_path, monkeypatch, predictor):
    monkeypatch.setattr("fcfi_core.cli.segment.load_predictor", lambda arguments: predictor)
    (tmp_path / "disc.png").write_bytes(png)
    out = tmp_path / "mask.png"
    words = ["segment", str(tmp_path / "disc.png"), "--click", f"{CLICK.x},{CLICK.y}", "--out", str(out)]
    assert fcfi(words) == 0
    assert np.array_equal(np.asarray(Image.open(out)) > 0, expected)


def test_many_images(expected, pixels, predictor):
    objects = (ObjectPrompt("1", clicks=(CLICK,)),)
    entry = annotate_image(
        predictor, ImagePrompts("disc.png", lambda: OpenedImage(pixels, objects)), Options()
    )
    assert np.array_equal(coco.decode(entry["objects"][0]["segmentation"]), expected)


def test_the_playground(expected, png, predictor, make_service):
    client = TestClient(Starlette(routes=playground.routes(make_service(predictor))))
    image = client.post("/playground/images", content=png).json()["image"]
    clicks = [{"x": CLICK.x, "y": CLICK.y, "positive": True}]
    answer = client.post(f"/playground/images/{image}/file", json={"clicks": clicks, "format": "png"})
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))) > 0, expected)


def test_the_plain_api(expected, png, predictor, make_service):
    client = TestClient(create_app(make_service(predictor), []))
    image = client.post("/api/v1/images", content=png).json()["image"]
    prompt = {"clicks": [{"x": CLICK.x, "y": CLICK.y}]}
    answer = client.post("/api/v1/segment", json={"image": image, "prompt": prompt}).json()
    assert np.array_equal(coco.decode(answer["coco"]), expected)


@pytest.mark.parametrize("tag", ["Brush", "Polygon"])
def test_label_studio(expected, png, predictor, tag):
    """The click lies in the middle of its pixel; polygons are asked to leave nothing out."""
    settings = Settings(polygon_tolerance=1e-6, polygon_points=4000)
    loading = Loading(lambda: predictor, "test").start()
    app = create_app(Service(settings, loading), [lambda service: routes(service, settings)])
    with TestClient(app) as client:
        answer = client.post("/predict", json=label_studio_request(png, tag))
        (region,) = answer.json()["results"][0]["result"]
    value = region["value"]
    if tag == "Brush":
        found = label_studio.decode(value["rle"], WIDTH, HEIGHT)
    else:
        corners = np.array(value["points"]) * (WIDTH / 100, HEIGHT / 100)
        found = from_polygons([Polygon(corners)], WIDTH, HEIGHT)
    assert np.array_equal(found, expected)


def label_studio_request(png, tag, click=CLICK, size=(WIDTH, HEIGHT)):
    """Return the body of Label Studio's question about the click."""
    width, height = size
    config = (
        f'<View><Image name="image" value="$image"/><{tag}Labels name="out" toName="image">'
        f'<Label value="disc"/></{tag}Labels><KeyPointLabels name="dot" toName="image" smart="true">'
        '<Label value="disc"/></KeyPointLabels></View>'
    )
    dot = {
        "id": "a",
        "type": "keypointlabels",
        "from_name": "dot",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "is_positive": True,
        "value": {
            "x": 100 * (click.x + 0.5) / width,
            "y": 100 * (click.y + 0.5) / height,
            "keypointlabels": ["disc"],
        },
    }
    return {
        "tasks": [{"id": 1, "data": {"image": f"data:image/png;base64,{base64.b64encode(png).decode()}"}}],
        "label_config": config,
        "params": {"context": {"result": [dot]}},
    }


def test_cvat(expected, png, colour_model, monkeypatch):
    monkeypatch.setattr("cvat_function.settings.load_model", lambda *_, **__: colour_model)
    context = cvat_context()
    cvat_main.init_context(context)
    answer = cvat_main.handler(context, SimpleNamespace(body=cvat_request(png)))
    (shape,) = json.loads(answer.body)["shapes"]
    assert np.array_equal(cvat.decode(shape["points"], WIDTH, HEIGHT), expected)


def cvat_context():
    logger = SimpleNamespace(info_with=lambda *_, **__: None, error_with=lambda *_, **__: None)
    return SimpleNamespace(user_data=SimpleNamespace(), logger=logger, Response=SimpleNamespace)


def cvat_request(png, click=CLICK):
    """Return the body of CVAT's question about the click."""
    return {"image": base64.b64encode(png).decode(), "pos_points": [[click.x, click.y]], "neg_points": []}


def test_the_upgrade_of_tasks(expected, pixels, predictor):
    shape = {"type": "points", "points": [float(CLICK.x), float(CLICK.y)]}
    found = upgrade_prompts.segment(predictor, predictor.load(pixels), shape)
    assert np.array_equal(found.mask, expected)


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Let every door write a click log, and return a function that reads what they wrote."""
    path = tmp_path / "clicks.jsonl"
    monkeypatch.setenv("FCFI_CLICK_LOG", str(path))

    def written(log=None):
        if log is not None:
            log.close()
        return read(path).entries

    return written


def test_every_door_logs_the_object_it_gave(
    expected, pixels, png, predictor, colour_model, logged, monkeypatch
):
    """One object, the same mask, from each door; the sentence of a log line holds no pixel."""
    log = ClickLog.from_settings(read_settings(CORE_VARIABLES, os.environ))
    page = Service(Settings(), Loading(lambda: predictor, "test").start(), click_log=log)
    app = create_app(page, [lambda service: routes(service, Settings())])
    with TestClient(app) as client:
        image = client.post("/playground/images", content=png).json()["image"]
        asked = {"clicks": [{"x": CLICK.x, "y": CLICK.y, "positive": True}]}
        client.post(f"/playground/images/{image}/mask", json=asked)
        client.post(f"/playground/images/{image}/file", json=asked)
        client.post("/predict", json=label_studio_request(png, "Brush"))
    monkeypatch.setattr("cvat_function.settings.load_model", lambda *_, **__: colour_model)
    context = cvat_context()
    cvat_main.init_context(context)
    cvat_main.handler(context, SimpleNamespace(body=cvat_request(png)))
    entries = logged(context.user_data.click_log)
    assert [entry.door for entry in entries] == ["playground", "label-studio", "cvat"]
    assert {entry.mask for entry in entries} == {mask_digest(expected)}
    assert {entry.answers for entry in entries} == {1}
    assert all(entry.asked().clicks == (CLICK,) for entry in entries)


def test_verbs_log_their_objects(expected, pixels, png, predictor, logged, tmp_path, monkeypatch):
    monkeypatch.setattr("fcfi_core.cli.segment.load_predictor", lambda arguments: predictor)
    (tmp_path / "disc.png").write_bytes(png)
    assert fcfi(["segment", str(tmp_path / "disc.png"), "--click", f"{CLICK.x},{CLICK.y}"]) == 0
    objects = (ObjectPrompt("1", clicks=(CLICK,)),)
    options = Options(click_log=ClickLog.from_settings(read_settings(CORE_VARIABLES, os.environ)))
    annotate_image(predictor, ImagePrompts("disc.png", lambda: OpenedImage(pixels, objects)), options)
    entries = logged()
    assert [entry.door for entry in entries] == ["segment", "annotate"]
    assert {entry.mask for entry in entries} == {mask_digest(expected)}


def test_every_door_traces_the_same_wire(colour_model, make_service, tmp_path, monkeypatch):
    """Asked for by the environment, or the verb's option; the wire runs through the whole photo."""
    width, height = 900, 240
    middle = 110 + np.round(25 * np.sin(np.arange(width) / 140)).astype(int)
    wire = np.abs(np.arange(height)[:, None] - middle) <= 1
    pixels = np.where(wire[..., None], (210, 60, 40), (60, 55, 45)).astype(np.uint8)
    click = Click(450, int(middle[450]))
    path = tmp_path / "wire.png"
    Image.fromarray(pixels).save(path)
    png = path.read_bytes()
    monkeypatch.setattr("fcfi_core.predictor.load_model", lambda *_, **__: colour_model)
    monkeypatch.setattr("cvat_function.settings.load_model", lambda *_, **__: colour_model)
    words = ["segment", str(path), "--click", f"{click.x},{click.y}", "--out", str(tmp_path / "out.png")]

    def given():
        return np.asarray(Image.open(tmp_path / "out.png")) > 0

    assert fcfi(words) == 0
    assert not np.array_equal(given(), wire)
    assert fcfi([*words, "--trace"]) == 0
    assert np.array_equal(given(), wire)
    monkeypatch.setenv("FCFI_TRACE", "1")
    assert fcfi(words) == 0
    assert np.array_equal(given(), wire)

    predictor = Predictor.from_settings(read_settings(CORE_VARIABLES, os.environ))
    objects = (ObjectPrompt("1", clicks=(click,)),)
    entry = annotate_image(
        predictor, ImagePrompts("wire.png", lambda: OpenedImage(pixels, objects)), Options()
    )
    assert np.array_equal(coco.decode(entry["objects"][0]["segmentation"]), wire)

    service = make_service(predictor)
    with TestClient(create_app(service, [lambda one: routes(one, Settings())])) as client:
        image = client.post("/api/v1/images", content=png).json()["image"]
        prompt = {"clicks": [{"x": click.x, "y": click.y}]}
        answer = client.post("/api/v1/segment", json={"image": image, "prompt": prompt}).json()
        assert np.array_equal(coco.decode(answer["coco"]), wire)
        asked = {"clicks": [{"x": click.x, "y": click.y, "positive": True}], "format": "png"}
        image = client.post("/playground/images", content=png).json()["image"]
        answer = client.post(f"/playground/images/{image}/file", json=asked)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))) > 0, wire)
        body = label_studio_request(png, "Brush", click, (width, height))
        (region,) = client.post("/predict", json=body).json()["results"][0]["result"]
        assert np.array_equal(label_studio.decode(region["value"]["rle"], width, height), wire)

    context = cvat_context()
    cvat_main.init_context(context)
    answer = cvat_main.handler(context, SimpleNamespace(body=cvat_request(png, click)))
    (shape,) = json.loads(answer.body)["shapes"]
    assert np.array_equal(cvat.decode(shape["points"], width, height), wire)
