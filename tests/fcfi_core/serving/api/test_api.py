"""The plain API, with a model that is right on plain pictures behind it."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from fcfi_core import Prompt, SettingsError
from fcfi_core.clicks import Click
from fcfi_core.masks import coco, from_polygons
from fcfi_core.masks.finish import RAW
from fcfi_core.masks.polygons import Polygon
from fcfi_core.predictor import Predictor
from fcfi_core.serving.app import create_app
from fcfi_core.serving.settings import ServingSettings

CLICK = {"x": 64, "y": 60}
PROMPT = {"clicks": [CLICK]}
TOKEN = "0123456789abcdef-token"


@pytest.fixture(scope="module")
def predictor(colour_model):
    return Predictor(colour_model)


@pytest.fixture(scope="module")
def make_client(make_service, predictor):
    return lambda **settings: TestClient(create_app(make_service(predictor, **settings), []))


@pytest.fixture(scope="module")
def client(make_client):
    return make_client()


@pytest.fixture(scope="module")
def photo(disc):
    file = io.BytesIO()
    disc[0].save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def image(client, photo):
    return client.post("/api/v1/images", content=photo).json()["image"]


@pytest.fixture(scope="module")
def expected(predictor, disc):
    return predictor.answer(disc[0], Prompt((Click(64, 60),))).finished().mask


def refused(answer, status, *words):
    assert answer.status_code == status
    body = answer.json()
    assert body.keys() == {"error", "kind"}
    for word in words:
        assert word in body["error"]


def read_png(content):
    return np.asarray(Image.open(io.BytesIO(content))) > 0


# ---- pictures


def test_a_picture_is_sent_as_a_body_or_in_a_form_and_has_one_id(client, photo):
    first = client.post("/api/v1/images", content=photo, headers={"content-type": "image/png"})
    second = client.post("/api/v1/images", files={"image": ("disc.png", photo, "image/png")})
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    facts = first.json()
    assert (facts["width"], facts["height"], facts["notes"]) == (160, 120, [])
    assert client.get(f"/api/v1/images/{facts['image']}").json() == facts


def test_a_picture_by_its_address_is_fetched_from_allowed_places_alone(client, make_client, site, photo):
    site.answers["/disc.png"] = 200, {}, photo
    address = {"address": f"{site.url}/disc.png"}
    refused(client.post("/api/v1/images", json=address), 400, "private address", "FCFI_ALLOWED_HOSTS")
    assert not site.asked
    allowed = make_client(allowed_hosts=("127.0.0.1",))
    answer = allowed.post("/api/v1/images", json=address)
    assert (answer.status_code, answer.json()["width"]) == (201, 160)
    body = {"image": address["address"], "prompt": PROMPT}
    assert allowed.post("/api/v1/segment", json=body).json()["image"] == answer.json()["image"]
    assert len(site.asked) == 1


def test_a_redirect_is_checked_like_a_first_address(make_client, site, photo):
    site.answers["/here.png"] = 302, {"Location": "http://[::1]:1/there.png"}, b""
    client = make_client(allowed_hosts=("127.0.0.1",))
    refused(client.post("/api/v1/images", json={"address": f"{site.url}/here.png"}), 400, "private address")


def test_an_unchanged_picture_is_not_sent_again(make_client, site, photo):
    def answer(handler):
        if handler.headers.get("If-None-Match") == '"a"':
            return 304, {}, b""
        return 200, {"ETag": '"a"'}, photo

    site.answers["/disc.png"] = answer
    client = make_client(allowed_hosts=("127.0.0.1",), image_fresh_seconds=0.0)
    for _ in range(2):
        assert client.post("/api/v1/images", json={"address": f"{site.url}/disc.png"}).status_code == 201
    assert [headers.get("If-None-Match") for _, _, headers, _ in site.asked] == [None, '"a"']


@pytest.mark.parametrize("body", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_in_a_sentence(client, body):
    refused(client.post("/api/v1/images", content=body), 400)


def test_a_picture_that_is_gone(client):
    refused(client.get(f"/api/v1/images/{'0' * 32}"), 404, "send it again")
    refused(client.post("/api/v1/segment", json={"image": "0" * 32, "prompt": PROMPT}), 404, "send it again")


def test_limits_are_those_of_every_door(make_client, photo):
    small = make_client(image_bytes=100, body_bytes=100)
    refused(small.post("/api/v1/images", content=photo), 413, "FCFI_BODY_MEGABYTES")
    few = make_client(max_pixels=100)
    refused(few.post("/api/v1/images", content=photo), 400)


# ---- masks


def test_three_forms_of_one_mask(client, image, expected):
    body = {
        "image": image,
        "prompt": PROMPT,
        "forms": ["png", "coco", "polygons"],
        "polygons": {"tolerance": 0, "max_points": None},
    }
    answer = client.post("/api/v1/segment", json=body).json()
    assert np.array_equal(read_png(base64.b64decode(answer["png"])), expected)
    assert np.array_equal(coco.decode(answer["coco"]), expected)
    parts = [
        Polygon(np.array(part["exterior"]), tuple(np.array(hole) for hole in part["holes"]))
        for part in answer["polygons"]
    ]
    assert np.array_equal(from_polygons(parts, 160, 120), expected)
    assert answer["lost_iou"] == 0
    assert answer["area"] == expected.sum()
    rows, columns = np.nonzero(expected)
    assert answer["box"] == [columns.min(), rows.min(), columns.max(), rows.max()]
    assert answer["clicks"] == [{**CLICK, "positive": True}]
    assert 0 < answer["confidence"] <= 1


def test_the_mask_alone_as_a_file(client, image, expected):
    body = {"image": image, "prompt": PROMPT}
    answer = client.post("/api/v1/segment", json=body, headers={"accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-fcfi-image"] == image
    assert np.array_equal(read_png(answer.content), expected)


def test_picture_and_question_in_one_request(client, make_client, photo, expected):
    request = json.dumps({"prompt": PROMPT})
    form = make_client().post("/api/v1/segment", files={"image": photo}, data={"request": request})
    assert np.array_equal(coco.decode(form.json()["coco"]), expected)
    embedded = f"data:image/png;base64,{base64.b64encode(photo).decode()}"
    answer = make_client().post("/api/v1/segment", json={"image": embedded, "prompt": PROMPT})
    assert np.array_equal(coco.decode(answer.json()["coco"]), expected)


def test_a_box_and_a_mask_to_correct(client, image, predictor, disc):
    box = client.post("/api/v1/segment", json={"image": image, "prompt": {"box": [28, 24, 100, 96]}}).json()
    assert box["implied_click"] == {"x": 64, "y": 60, "positive": True}
    given = Prompt(mask=disc[1])
    answer = client.post("/api/v1/segment", json={"image": image, "prompt": given.to_json()}).json()
    wanted = predictor.answer(disc[0], given).finished().mask
    assert np.array_equal(coco.decode(answer["coco"]), wanted)


def test_cleaning_is_the_servers_unless_asked_otherwise(client, image, predictor, disc):
    body = {"image": image, "prompt": PROMPT, "finish": {"min_area": 0, "max_hole": 0}}
    raw = coco.decode(client.post("/api/v1/segment", json=body).json()["coco"])
    wanted = predictor.answer(disc[0], Prompt((Click(64, 60),))).finished(RAW).mask
    assert np.array_equal(raw, wanted)


def test_a_choice_of_answers(client, image):
    body = {"image": image, "prompt": PROMPT, "candidates": True}
    answer = client.post("/api/v1/segment", json=body).json()
    candidates = answer["candidates"]
    assert candidates[answer["given"]]["coco"] == answer["coco"]
    for number, candidate in enumerate(candidates):
        chosen = client.post("/api/v1/segment", json={**body, "choice": number}).json()
        assert chosen["coco"] == candidate["coco"]
        prompt = {"clicks": candidate["clicks"]}
        asked = client.post("/api/v1/segment", json={"image": image, "prompt": prompt}).json()
        assert asked["coco"] == candidate["coco"]
    refused(client.post("/api/v1/segment", json={**body, "choice": 99}), 400, "choice is 99")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"prompt": {}}, "no click"),
        ({"prompt": 3}, "prompt is 3"),
        ({"prompt": {"clicks": [{"x": 999, "y": 0}]}}, "outside"),
        ({"forms": ["gif"]}, "forms[0]"),
        ({"polygons": {"max_points": 2}}, "polygons.max_points is 2"),
        ({"finish": {"min_area": -1}}, "finish.min_area is -1"),
        ({"selection": 1}, "selection"),
        ({"image": "kitten"}, "kitten"),
        ({"image": ""}, 'image is ""'),
        ({"image": "data:text/html;base64,aaaa"}, "data:image/png"),
        ({"image": "ftp://host/a.png"}, "ftp"),
    ],
)
def test_what_does_not_fit_is_named(client, image, change, word):
    refused(client.post("/api/v1/segment", json={"image": image, "prompt": PROMPT, **change}), 400, word)


def test_what_is_no_json_or_no_form(client, photo):
    json_kind = {"content-type": "application/json"}
    refused(client.post("/api/v1/segment", content=b"{", headers=json_kind), 400, "JSON")
    refused(client.post("/api/v1/segment", content=b"[" * 100_000, headers=json_kind), 400)
    refused(client.post("/api/v1/segment", content=b"\xff\xfe", headers=json_kind), 400)
    half = b'{"image": 3, "prompt": "\xff"}'  # does not fit, and is no JSON further on
    refused(client.post("/api/v1/segment", content=half, headers=json_kind), 400, "image")
    refused(client.post("/api/v1/propagate", content=half, headers=json_kind), 400, "image")
    refused(client.post("/api/v1/segment", content=b"a=1", headers={"content-type": "text/plain"}), 415)
    refused(client.post("/api/v1/segment", files={"photo": photo}, data={"request": "{}"}), 400, "'photo'")
    refused(client.post("/api/v1/segment", files={"image": photo}), 400, "JSON")
    damaged = {"content-type": "multipart/form-data; boundary=x"}
    refused(client.post("/api/v1/segment", content=b"--x\r\nContent", headers=damaged), 400, "form")


def test_paths_and_methods_that_do_not_exist(client):
    refused(client.get("/api/v1/kittens"), 404, "kittens")
    refused(client.get("/api/v1/segment"), 405, "POST")


# ---- frames


def test_an_object_is_followed_until_it_is_lost(client, image, photo, expected):
    blank = io.BytesIO()
    Image.new("RGB", (160, 120), (60, 55, 45)).save(blank, "PNG")
    empty = client.post("/api/v1/images", content=blank.getvalue()).json()["image"]
    body = {"image": image, "mask": coco.encode(expected), "frames": [image, image]}
    found = client.post("/api/v1/propagate", json=body).json()
    assert [frame["image"] for frame in found["frames"]] == [image, image]
    assert not found["lost"]
    assert found["frames"][0]["confidence"] > 0.5
    going_on = {"state": found["state"], "frames": [image]}
    assert client.post("/api/v1/propagate", json=going_on).json()["frames"][0]["area"] > 0
    refused(client.post("/api/v1/propagate", json={**body, **going_on}), 400, "not both")
    refused(client.post("/api/v1/propagate", json={"state": {}, "frames": [image]}), 400, "state")
    refused(client.post("/api/v1/propagate", json={"frames": [image]}), 400, "state")
    shared = coco.decode(found["frames"][1]["coco"]) & expected
    assert shared.sum() > 0.9 * expected.sum()
    lost = client.post("/api/v1/propagate", json={**body, "frames": [image, empty, image]}).json()
    assert (len(lost["frames"]), lost["lost"]) == (1, True)


def test_masks_of_another_size_are_not_followed(client, image):
    body = {"image": image, "mask": {"size": [2, 2], "counts": [4]}, "frames": [image]}
    refused(client.post("/api/v1/propagate", json=body), 400, "[120, 160]")
    damaged = {**body, "mask": {"size": [120, 160], "counts": "?"}}
    refused(client.post("/api/v1/propagate", json=damaged), 400, "mask")
    nothing = {**body, "mask": {"size": [120, 160], "counts": [120 * 160]}}
    refused(client.post("/api/v1/propagate", json=nothing), 400, "no pixel")


# ---- who may ask


def test_without_tokens_everybody_may_ask(client):
    assert client.get("/api/v1/health").json()["status"] == "UP"
    assert client.get("/api/v1/models").json()["models"][0]["name"] == "colour"


def test_tokens_guard_the_api_alone(make_client):
    client = make_client(api_tokens=("another-token-of-somebody", TOKEN))
    for sent in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = client.get("/api/v1/health", headers=sent)
        refused(answer, 401, "token")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/api/v1/health", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    assert client.get("/api/v1/openapi.json").status_code == 200
    assert client.get("/health").status_code == 200
    refused(client.get("/api/v1/"), 401)


def test_a_token_or_a_password_where_there_are_both(make_client):
    client = make_client(api_tokens=(TOKEN,), user="me", password="secret")
    assert client.get("/api/v1/health").status_code == 401
    assert client.get("/api/v1/health", auth=("me", "wrong")).status_code == 401
    assert client.get("/api/v1/health", auth=("me", "secret")).status_code == 200
    token = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/v1/health", headers=token).status_code == 200
    assert client.get("/playground", headers=token).status_code == 401


def test_pages_of_other_servers_may_not_ask(client, photo):
    stranger = {"origin": "https://evil.example"}
    refused(client.post("/api/v1/images", files={"image": photo}, headers=stranger), 403, "evil.example")


# ---- properties


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 159), st.integers(0, 119), st.booleans()), max_size=3),
    st.none() | st.tuples(*[st.integers(0, 119)] * 4),
)
def test_a_prompts_own_form_is_what_the_api_takes(client, photo, predictor, disc, clicks, box):
    prompt = Prompt.of(clicks, box)
    image = client.post("/api/v1/images", content=photo).json()["image"]
    answer = client.post("/api/v1/segment", json={"image": image, "prompt": prompt.to_json()})
    if prompt.is_empty:
        refused(answer, 400, "no click")
        return
    assert answer.status_code == 200
    wanted = predictor.answer(disc[0], prompt).finished().mask
    assert np.array_equal(coco.decode(answer.json()["coco"]), wanted)


@pytest.mark.parametrize("text", ["short", "with a space in it 123", "äöü-äöü-äöü-äöü-äöü", f"{TOKEN},x"])
def test_tokens_that_could_be_guessed_or_not_be_sent_are_refused(text):
    with pytest.raises(SettingsError, match="FCFI_API_TOKENS") as refusal:
        ServingSettings.from_environment({"FCFI_API_TOKENS": text})
    assert text not in str(refusal.value)


def test_several_tokens():
    settings = ServingSettings.from_environment({"FCFI_API_TOKENS": f" {TOKEN}, {TOKEN[::-1]} "})
    assert settings.api_tokens == (TOKEN, TOKEN[::-1])
