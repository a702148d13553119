"""The playground's routes, with a tiny network behind them."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fcfi_core import Click, Predictor, WeightsError
from fcfi_core.prompt import MOST_CLICKS, REPEATED
from fcfi_core.serving.playground import routes
from fcfi_core.serving.playground import server as playground_server

ASSETS = Path(playground_server.__file__).parent / "assets"
CLICKS = [{"x": 70, "y": 40}, {"x": 10, "y": 10, "positive": False}]


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return Predictor(tiny_model)


@pytest.fixture(scope="module")
def client(predictor, make_service):
    with TestClient(Starlette(routes=routes(make_service(predictor)))) as client:
        yield client


@pytest.fixture(scope="module")
def encoded(photo):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def digest(client, encoded):
    return client.post("/playground/images", content=encoded).json()["image"]


def opaque(data_address: str) -> np.ndarray:
    """Return where the PNG in ``data_address`` is opaque."""
    content = base64.b64decode(data_address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))[:, :, 3] == 255


def test_page_and_all_it_names_are_served(client):
    page = client.get("/playground")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in sorted(ASSETS.rglob("*.*")):
        answer = client.get(f"/playground/assets/{path.relative_to(ASSETS).as_posix()}")
        assert answer.status_code == 200
        assert answer.content == path.read_bytes()
    assert client.get("/playground/", follow_redirects=False).headers["location"] == "../playground"
    assert client.get("/playground/assets/../server.py").status_code == 404


def test_assets_are_small_and_need_nothing_from_elsewhere():
    for path in ASSETS.rglob("*.*"):
        assert path.stat().st_size < 150_000
        if path.suffix in (".html", ".js", ".css"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http:" not in text
            assert "https:" not in text


def test_the_page_knows_how_near_a_click_asks_for_another_answer():
    (near,) = re.findall(r"const NEAR = ([\d.]+);", (ASSETS / "app.js").read_text(encoding="utf-8"))
    assert float(near) == REPEATED


def test_model(client):
    assert client.get("/playground/model").json() == {
        "name": "tiny",
        "variant": "mobilenetv2",
        "device": "cpu",
    }


def test_mask_is_the_predictors(client, predictor, photo, digest):
    answer = client.post(f"/playground/images/{digest}/mask", json={"clicks": CLICKS}).json()
    result = predictor.segment(photo, [Click(70, 40), Click(10, 10, False)]).cleaned()
    assert result.mask.any()
    np.testing.assert_array_equal(opaque(answer["mask"]), result.mask)
    assert answer["area"] == result.mask.sum()
    assert answer["confidence"] == result.confidence
    assert answer["milliseconds"] > 0
    assert len(answer["polygons"]) == len(result.polygons(0.5, 4000).parts)


def test_box_alone_implies_a_click(client, digest):
    answer = client.post(f"/playground/images/{digest}/mask", json={"box": [50, 20, 90, 60]}).json()
    assert answer["implied_click"] == {"x": 70, "y": 40, "positive": True}


def test_negative_clicks_alone_say_why_the_mask_is_empty(client, digest):
    answer = client.post(f"/playground/images/{digest}/mask", json={"clicks": CLICKS[1:]}).json()
    assert answer["area"] == 0
    assert answer["notes"]
    assert not opaque(answer["mask"]).any()


def test_files(client, predictor, photo, digest):
    mask = predictor.segment(photo, [Click(70, 40), Click(10, 10, False)]).cleaned().mask

    def file(kind):
        body = {"clicks": CLICKS, "format": kind, "name": "disk.png"}
        return client.post(f"/playground/images/{digest}/file", json=body)

    png = np.asarray(Image.open(io.BytesIO(file("png").content)))
    np.testing.assert_array_equal(png, mask * np.uint8(255))
    coco = file("coco").json()
    np.testing.assert_array_equal(coco_mask.decode(coco["annotations"][0]["segmentation"]), mask)
    assert coco["images"] == [{"id": 1, "file_name": "disk.png", "width": 120, "height": 90}]
    polygon = file("polygon").json()
    assert polygon["lost_iou"] < 0.2
    assert polygon["clicks"][1] == {"x": 10, "y": 10, "positive": False}
    assert file("gif").status_code == 400


SCENE = {
    "objects": [
        {"label": "disk", "clicks": CLICKS},
        {"clicks": [{"x": 20, "y": 80}]},
        {"label": "disk", "box": [50, 20, 90, 60]},
    ]
}


def test_objects_of_a_scene_do_not_overlap(client, digest):
    shapes = client.post(f"/playground/images/{digest}/scene", json=SCENE).json()
    masks = [opaque(shape["mask"]) for shape in shapes]
    assert len(masks) == 3
    assert np.sum(masks, axis=0).max() == 1
    assert [shape["area"] for shape in shapes] == [mask.sum() for mask in masks]

    def file(kind):
        return client.post(
            f"/playground/images/{digest}/file", json={**SCENE, "format": kind, "name": "a.png"}
        )

    coco = file("coco").json()
    assert [one["name"] for one in coco["categories"]] == ["disk", "object"]
    assert [one["category_id"] for one in coco["annotations"]] == [1, 2, 1]
    for one, mask in zip(coco["annotations"], masks, strict=True):
        np.testing.assert_array_equal(coco_mask.decode(one["segmentation"]), mask)
    numbers = np.asarray(Image.open(io.BytesIO(file("png").content)))
    np.testing.assert_array_equal(numbers, sum(number * mask for number, mask in enumerate(masks, start=1)))
    assert [one["label"] for one in file("polygon").json()["objects"]] == ["disk", "object", "disk"]
    cutout = np.asarray(Image.open(io.BytesIO(file("cutout").content)))
    assert cutout.shape[2] == 4
    assert (cutout[..., 3] == 255).any()


@pytest.mark.parametrize(
    ("objects", "named"),
    [
        ([], "objects is []"),
        ("abc", "abc"),
        ([{"clicks": CLICKS}, {}], "no click"),
        ([{"clicks": CLICKS}, {"clicks": [{"x": 999, "y": 0}]}], "object 2: "),
        ([{"clicks": CLICKS, "label": 3}], "label is 3"),
        ([7], "object 1: "),
        ([{"clicks": CLICKS}] * 201, "201 objects"),
    ],
)
def test_bad_scene_is_one_sentence(client, digest, objects, named):
    answer = client.post(f"/playground/images/{digest}/scene", json={"objects": objects})
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_nothing_to_cut_out_is_one_sentence(client, digest):
    answer = client.post(f"/playground/images/{digest}/file", json={"clicks": CLICKS[1:], "format": "cutout"})
    assert answer.status_code == 400
    assert "nothing to cut out" in answer.json()["error"]


def test_the_place_worth_asking_comes_with_the_mask_where_it_is_shown(client, predictor, photo, digest):
    place = predictor.segment(photo, [Click(70, 40)]).suggestion
    assert place is not None

    def suggestion(**fields):
        body = {"clicks": CLICKS[:1], **fields}
        return client.post(f"/playground/images/{digest}/mask", json=body).json()["suggestion"]

    assert suggestion(suggestion=True) == asdict(place)
    assert suggestion(suggestion=False) is None
    assert suggestion() is None


def test_what_a_click_would_select_is_told_roughly_and_not_written_down(
    make_service, predictor, photo, encoded
):
    service = make_service(predictor)
    written = []
    service.click_log = SimpleNamespace(answered=lambda *answer: written.append(answer), close=lambda: None)
    with TestClient(Starlette(routes=routes(service))) as client:
        digest = client.post("/playground/images", content=encoded).json()["image"]

        def hover(clicks):
            answer = client.post(f"/playground/images/{digest}/hover", json={"clicks": clicks}).json()
            assert answer["busy"] is False
            return answer["glimpse"]

        result = predictor.segment(photo, [Click(70, 40)])
        glimpse = hover(CLICKS[:1])
        np.testing.assert_array_equal(opaque(glimpse["mask"]), result.view > result.threshold)
        assert glimpse["region"] == [0, 0, 1, 1]  # the first look is at the whole photo
        left, top, right, bottom = hover([*CLICKS[:1], {"x": 71, "y": 55, "positive": False}])["region"]
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        assert hover([CLICKS[0], CLICKS[0]]) is None  # asks for another answer: no cheap look
        assert written == []
        client.post(f"/playground/images/{digest}/mask", json={"clicks": CLICKS[:1]})
        assert len(written) == 1


def test_whoever_waits_comes_before_a_preview(make_service, predictor, encoded):
    service = make_service(predictor)
    with TestClient(Starlette(routes=routes(service))) as client:
        digest = client.post("/playground/images", content=encoded).json()["image"]
        ended = threading.Event()
        job = service.scheduler.submit(ended.wait)
        try:
            answer = client.post(f"/playground/images/{digest}/hover", json={"clicks": CLICKS[:1]})
            assert answer.json() == {"busy": True}
        finally:
            ended.set()
        job.result.result(timeout=30)
        answer = client.post(f"/playground/images/{digest}/hover", json={"clicks": CLICKS[:1]})
        assert answer.json()["glimpse"]


def test_photo_the_browser_cannot_show(client, photo):
    deep = io.BytesIO()
    Image.fromarray(photo[:, :, 0].astype(np.uint16) * 256).save(deep, "TIFF")
    facts = client.post("/playground/images", content=deep.getvalue()).json()
    assert (facts["width"], facts["height"]) == (120, 90)
    assert facts["notes"]
    picture = client.get(f"/playground/images/{facts['image']}")
    assert Image.open(io.BytesIO(picture.content)).size == (120, 90)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("no json", "not JSON"),
        ("[1]", "[1]"),
        ("{}", "no click"),
        ('{"clicks": {"x": 1}}', "clicks"),
        ('{"clicks": [{"x": 1}]}', '"x": 1'),
        ('{"clicks": [{"x": NaN, "y": 1}]}', "nan"),
        ('{"clicks": [{"x": 1' + 400 * "0" + ', "y": 1}]}', "inf"),
        ('{"clicks": [{"x": 120, "y": 1}]}', "120"),
        ('{"clicks": [{"x": 1, "y": 1, "positive": "yes"}]}', "yes"),
        ('{"box": [1, 2, 3]}', "[1, 2, 3]"),
        ('{"box": [500, 500, 600, 600]}', "outside"),
        (json.dumps({"clicks": CLICKS * MOST_CLICKS}), str(MOST_CLICKS)),
    ],
)
def test_bad_prompt_is_one_sentence(client, digest, body, named):
    answer = client.post(f"/playground/images/{digest}/mask", content=body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(
                st.sampled_from(["clicks", "box", "x", "y", "positive", "format", "objects", "label"]),
                inner,
                max_size=5,
            )
        ),
    )
)
@settings(deadline=None, max_examples=60)
def test_no_body_breaks_the_server(client, encoded, body):
    digest = client.post("/playground/images", content=encoded).json()["image"]
    for action in ("mask", "file", "scene"):
        answer = client.post(f"/playground/images/{digest}/{action}", content=json.dumps(body))
        assert answer.status_code in (200, 400)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n cut"])
def test_bad_image(client, content):
    answer = client.post("/playground/images", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_forgotten_photo_is_404(client):
    for method, path in (("GET", ""), ("POST", "/mask"), ("POST", "/file")):
        answer = client.request(method, f"/playground/images/0123{path}")
        assert answer.status_code == 404
        assert "again" in answer.json()["error"]


def test_limits(predictor, encoded, make_service):
    with TestClient(Starlette(routes=routes(make_service(predictor, image_bytes=100)))) as client:
        assert client.post("/playground/images", content=encoded).status_code == 413
    with TestClient(Starlette(routes=routes(make_service(predictor, image_cache_bytes=1000)))) as client:
        answer = client.post("/playground/images", content=encoded)
        assert answer.status_code == 400
        assert "120 x 90" in answer.json()["error"]
    with TestClient(Starlette(routes=routes(make_service(predictor, body_bytes=100)))) as client:
        digest = client.post("/playground/images", content=encoded).json()["image"]
        answer = client.post(f"/playground/images/{digest}/mask", json={"clicks": [[5, 5, True]] * 50})
        assert (answer.status_code, "FCFI_BODY_MEGABYTES" in answer.json()["error"]) == (413, True)


def test_without_a_model_the_reason_is_told(make_service):
    def missing():
        raise WeightsError("model 'default' is not here; give a file.")

    with TestClient(Starlette(routes=routes(make_service(missing)))) as client:
        answer = client.get("/playground/model")
        assert (answer.status_code, answer.json()["error"]) == (
            503,
            "model 'default' is not here; give a file.",
        )
        assert client.get("/playground").status_code == 200


def test_while_the_model_is_loaded_the_page_is_told_when_to_come_back(make_service):
    release = threading.Event()

    def loading():
        assert release.wait(30)

    with TestClient(Starlette(routes=routes(make_service(loading, predict_seconds=0.2)))) as client:
        answer = client.get("/playground/model")
        release.set()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_request_given_up_by_its_page_is_not_computed(predictor, encoded, make_service):
    service, answers = make_service(predictor), []
    application = Starlette(routes=routes(service))
    messages = [{"type": "http.request", "body": encoded}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/playground/images",
        "headers": [],
        "query_string": b"",
    }
    asyncio.run(application(scope, receive, send))
    assert answers[0]["status"] == 499
    assert service.images.statistics()["bytes"] == 0


def test_too_many_waiting_requests_are_refused(predictor, encoded, make_service):
    release = threading.Event()
    service = make_service(predictor, workers=1, queue=1)
    jobs = [service.scheduler.submit(lambda: release.wait(30)) for _ in range(2) if not time.sleep(0.05)]
    with TestClient(Starlette(routes=routes(service))) as client:
        answer = client.post("/playground/images", content=encoded)
        release.set()
    assert [job.result.result(30) for job in jobs] == [True, True]
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
