"""The routes, as Label Studio uses them, and what the server says of it when it starts."""

from __future__ import annotations

import base64
import copy
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fcfi_core.errors import WeightsError
from fcfi_core.masks import label_studio as code
from fcfi_core.serving.loading import Loading
from label_studio_backend.server import check_label_studio
from label_studio_backend.settings import Settings

RECORDED = sorted((Path(__file__).parents[1] / "contract" / "label_studio").glob("*.json"))


def mask_of(region):
    return code.decode(region["value"]["rle"], region["original_width"], region["original_height"])


def result_of(answer):
    assert answer.status_code == 200, answer.text
    (entry,) = answer.json()["results"]
    return entry["result"]


def test_health_and_setup_answer_while_weights_load(make_client, predictor):
    release = threading.Event()

    def load():
        release.wait(10)
        return predictor

    client = make_client(Loading(load, "fcfi-slow").start())
    try:
        start = time.perf_counter()
        health = client.get("/health").json()
        assert (health["status"], health["model"]) == ("UP", "loading")
        assert client.get("/").json() == health
        assert client.post("/setup", json={"project": "1.2"}).json() == {"model_version": "fcfi-slow"}
        assert client.get("/versions").json() == {"versions": ["fcfi-slow"]}
        assert time.perf_counter() - start < 1.0
    finally:
        release.set()


def test_predict_waits_for_the_weights(make_client, predictor, body, click):
    def load():
        time.sleep(0.2)
        return predictor

    client = make_client(Loading(load, "fcfi-slow").start())
    assert result_of(client.post("/predict", json=body([click(29, 26)])))


def test_missing_weights_are_said(make_client, body, click):
    def load():
        raise WeightsError("there is no file; get it.")

    client = make_client(Loading(load, "fcfi-none").start())
    answer = client.post("/predict", json=body([click(29, 26)]))
    assert (answer.status_code, answer.json()["error"]) == (503, "there is no file; get it.")


def test_a_click_gives_the_disk(client, body, click, picture):
    (region,) = result_of(client.post("/predict", json=body([click(29, 26)])))
    disk = picture()[1]
    mask = mask_of(region)
    assert (mask & disk).sum() / (mask | disk).sum() > 0.9
    assert region["value"]["brushlabels"] == ["cell"]
    assert (region["from_name"], region["to_name"], region["type"]) == ("mask", "image", "brushlabels")
    assert 0 < region["score"] <= 1


def test_ids_are_new_in_every_answer(client, body, click):
    asked = body([click(29, 26)])
    idents = {result_of(client.post("/predict", json=asked))[0]["id"] for _ in range(5)}
    assert len(idents) == 5


def test_a_list_replayed_gives_the_mask_it_gave_while_it_grew(client, body, click, predictor):
    clicks = [click(29, 26), click(25, 30), click(60, 3, False), click(33, 22)]
    grown = [result_of(client.post("/predict", json=body(clicks[:n])))[0] for n in range(1, 5)]
    predictor.memo.clear()
    for n in (4, 2, 3, 1):
        again = result_of(client.post("/predict", json=body(clicks[:n])))[0]
        assert again["value"]["rle"] == grown[n - 1]["value"]["rle"]


def test_a_lone_negative_click_and_an_empty_list_show_nothing(client, body, click):
    assert result_of(client.post("/predict", json=body([click(29, 26, False)]))) == []
    assert result_of(client.post("/predict", json=body([]))) == []


def test_a_batch_without_anything_stores_nothing(client, body):
    assert client.post("/predict", json=body([], context=None)).json() == {"results": []}


def test_a_batch_turns_boxes_polygons_and_dots_into_masks(client, body, click, data_uri, picture):
    box = {
        "id": "b",
        "type": "rectanglelabels",
        "from_name": "box",
        "to_name": "image",
        "original_width": 64,
        "original_height": 48,
        "image_rotation": 0,
        "value": {"x": 20, "y": 20, "width": 50, "height": 70, "rotation": 0, "rectanglelabels": ["cell"]},
    }
    polygon = {
        **box,
        "id": "p",
        "type": "polygonlabels",
        "value": {"points": [[30, 30], [60, 30], [60, 80], [30, 80]], "polygonlabels": ["nucleus & co"]},
    }
    asked = body([], context=None)
    task = asked["tasks"][0]
    seeded = {"annotations": [{"result": [box, polygon]}]}
    asked["tasks"] = [
        {**task, "id": 1, **seeded},
        {**task, "id": 2},
        {**task, "id": 3, "predictions": [{"model_version": "detector", "result": [click(29, 26, None)]}]},
        {**task, "id": 4, "predictions": [{"model_version": "fcfi-test", "result": [click(29, 26)]}]},
        {**task, "id": 5, **seeded, "data": {"image": "file:///etc/passwd"}},
    ]
    first, second, third, fourth, fifth = client.post("/predict", json=asked).json()["results"]
    assert [region["value"]["brushlabels"] for region in first["result"]] == [["cell"], ["nucleus & co"]]
    assert first["model_version"] == third["model_version"] == "fcfi-test"
    assert len(third["result"]) == 1
    disk = picture()[1]
    for region in (*first["result"], *third["result"]):
        mask = mask_of(region)
        assert (mask & disk).sum() / (mask | disk).sum() > 0.8
    # nothing to work from, our own prediction, an image that cannot be read: Label Studio may ask again
    assert {entry["model_version"] for entry in (second, fourth, fifth)} == {"fcfi-test (unfinished)"}
    assert second["result"] == fourth["result"] == fifth["result"] == []


def test_a_box_and_a_drawn_polygon_start_a_mask(client, body, picture):
    disk = picture()[1]
    common = {"to_name": "image", "original_width": 64, "original_height": 48, "image_rotation": 0}
    box = {
        **common,
        "id": "b",
        "type": "rectanglelabels",
        "value": {"x": 22, "y": 22, "width": 46, "height": 66, "rotation": 0, "rectanglelabels": ["cell"]},
    }
    brush = {
        **common,
        "id": "s",
        "type": "brushlabels",
        "value": {"format": "rle", "rle": code.encode(disk), "brushlabels": ["cell"]},
    }
    for prompt in (box, brush):
        (region,) = result_of(client.post("/predict", json=body([prompt])))
        mask = mask_of(region)
        assert (mask & disk).sum() / (mask | disk).sum() > 0.8


def test_two_classes_in_one_list_are_two_objects(client, body, click):
    found = result_of(client.post("/predict", json=body([click(29, 26), click(3, 3, label="nucleus & co")])))
    assert [region["value"]["brushlabels"][0] for region in found] == ["cell", "nucleus & co"]
    assert not (mask_of(found[0]) & mask_of(found[1])).any()


def test_the_mask_has_the_displayed_size(client, body, click, data_uri):
    (region,) = result_of(
        client.post("/predict", json=body([click(58, 52, size=(128, 96))], data={"image": data_uri(64, 48)}))
    )
    assert (region["original_width"], region["original_height"]) == (128, 96)
    assert mask_of(region)[52, 58]


def test_a_turned_photo_is_answered_upright(client, body, click, picture):
    content, _ = picture(
        48, 64, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    )
    data = {"image": "data:image/jpeg;base64," + base64.b64encode(content).decode()}
    # stored 48 x 64, shown 64 x 48; the disk's centre (21, 35) is shown at (63 - 35, 21)
    (region,) = result_of(client.post("/predict", json=body([click(28, 21)], data=data)))
    mask = mask_of(region)
    assert mask.shape == (48, 64)
    rows, columns = np.nonzero(mask)
    assert abs(columns.mean() - 28) < 1.5
    assert abs(rows.mean() - 21) < 1.5


def test_projects_with_different_configs_do_not_mix(client, body, click):
    other = (
        '<View><PolygonLabels name="outline" toName="photo"><Label value="cell"/></PolygonLabels>'
        '<KeyPointLabels name="pt" toName="photo" smart="true"><Label value="cell"/></KeyPointLabels>'
        '<Image name="photo" value="$url"/></View>'
    )
    asked = body([click(29, 26, to_name="photo")], config=other)
    asked["tasks"][0]["data"] = {"url": asked["tasks"][0]["data"]["image"]}
    client.post("/setup", json={"project": "1.1", "schema": "<View/>"})
    (polygon,) = result_of(client.post("/predict", json=asked))
    (brush,) = result_of(client.post("/predict", json=body([click(29, 26)])))
    assert (polygon["type"], polygon["from_name"], polygon["to_name"]) == (
        "polygonlabels",
        "outline",
        "photo",
    )
    assert len(polygon["value"]["points"]) >= 3
    assert brush["type"] == "brushlabels"


def test_of_several_tags_the_one_with_the_clicked_class_takes_the_mask(client, body, click):
    tags = "".join(
        f'<{tag} name="{tag}-{label}" toName="image"{more}><Label value="{label}"/></{tag}>'
        for label in ("cell", "road")
        for tag, more in (("BrushLabels", ""), ("KeyPointLabels", ' smart="true"'))
    )
    config = f'<View><Image name="image" value="$image"/>{tags}</View>'
    for label in ("road", "cell"):
        (region,) = result_of(client.post("/predict", json=body([click(29, 26, label=label)], config=config)))
        assert region["from_name"] == f"BrushLabels-{label}"
        assert region["value"]["brushlabels"] == [label]


def test_a_background_label_subtracts(client, body, click, data_uri):
    config = (
        '<View><Image name="image" value="$image"/>'
        '<BrushLabels name="mask" toName="image"><Label value="cell"/></BrushLabels>'
        '<KeyPointLabels name="click" toName="image" smart="true"><Label value="cell"/>'
        '<Label value="background"/></KeyPointLabels></View>'
    )
    away = click(29, 20, label="background", ident="away")
    assert result_of(client.post("/predict", json=body([away], config=config))) == []
    (first,) = result_of(client.post("/predict", json=body([click(29, 26)], config=config)))
    (second,) = result_of(client.post("/predict", json=body([away], config=config)))
    assert mask_of(first)[20, 29]
    assert not mask_of(second)[20, 29]
    assert second["value"]["brushlabels"] == ["cell"]
    (third,) = result_of(client.post("/predict", json=body([click(29, 26), click(25, 32)], config=config)))
    assert not mask_of(third)[20, 29]
    assert mask_of(third)[32, 25]


@pytest.mark.parametrize("name", ["health", "setup", "predict", "versions", "metrics", "playground"])
def test_basic_auth_guards_everything_but_the_webhook(make_client, name):
    client = make_client(user="annotator", password="päss:word")
    method = "POST" if name in ("setup", "predict") else "GET"
    good = base64.b64encode("annotator:päss:word".encode()).decode()
    bad = base64.b64encode(b"annotator:pass").decode()
    for header in (
        {},
        {"Authorization": f"Basic {bad}"},
        {"Authorization": f"Bearer {good}"},
        {"Authorization": "Basic ?"},
    ):
        answer = client.request(method, f"/{name}", headers=header)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert client.request(method, f"/{name}", headers={"Authorization": f"Basic {good}"}).status_code != 401
    assert client.post("/webhook", content=b"x").status_code == 200


@pytest.mark.parametrize(
    ("password", "coding"), [("päss", "utf-8"), ("päss", "latin-1"), ("пароль", "utf-8")]
)
def test_basic_auth_in_both_codings_that_clients_use(make_client, password, coding):
    client = make_client(user="annotator", password=password)
    for text, status in ((password.encode(coding), 200), (b"?" * len(password), 401)):
        header = "Basic " + base64.b64encode(b"annotator:" + text).decode()
        assert client.get("/health", headers={"Authorization": header}).status_code == status


def test_a_webhook_body_is_not_even_parsed(client):
    assert client.post("/webhook", content=b"\xff{not json").status_code == 200


def test_errors_are_one_sentence_without_paths(client, body, click):
    for data in ({"image": "/data/upload/1/x.jpg"}, {"image": "file:///etc/passwd"}, {"other": 1}):
        answer = client.post("/predict", json=body([click(29, 26)], data=data))
        assert answer.status_code == 400
        assert answer.json().keys() == {"error", "kind"}
        assert "Traceback" not in answer.text
    assert (
        "LABEL_STUDIO_URL"
        in client.post("/predict", json=body([click(1, 1)], data={"image": "/data/upload/1/x.jpg"})).json()[
            "error"
        ]
    )


def test_a_large_request_is_refused(make_client, body, click):
    client = make_client(body_bytes=1000)
    answer = client.post("/predict", json=body([click(29, 26)] * 20))
    assert answer.status_code == 413
    assert "FCFI_BODY_MEGABYTES" in answer.json()["error"]


def test_a_full_queue_says_when_to_come_back(make_client, predictor, body, click):
    release = threading.Event()

    def load():
        release.wait(10)
        return predictor

    client = make_client(Loading(load, "fcfi-slow").start(), workers=1, queue=1)
    answers = []

    def ask(x):
        answers.append(client.post("/predict", json=body([click(x, 26)])))

    threads = [threading.Thread(target=ask, args=(x,)) for x in (27, 28)]
    for number, thread in enumerate(threads):
        thread.start()
        until = time.monotonic() + 5
        while client.get("/health").json()["waiting"] < number and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
    refused = client.post("/predict", json=body([click(29, 26)]))
    release.set()
    for thread in threads:
        thread.join()
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert [answer.status_code for answer in answers] == [200, 200]


def test_metrics_tell_what_happened(client, body, click):
    client.get("/health")
    client.post("/predict", json=body([click(29, 26), click(30, 27)]))
    client.post("/predict", json=body([click(20, 20, ident="next")]))
    client.post("/predict", json={})
    text = client.get("/metrics").text
    for line in (
        'fcfi_requests_total{endpoint="/health",status="200"} 1.0',
        'fcfi_requests_total{endpoint="/predict",status="200"} 2.0',
        'fcfi_errors_total{kind="PromptError"} 1.0',
        "fcfi_in_flight 0.0",
        'fcfi_stage_seconds_count{stage="infer"} 2.0',
        "fcfi_clicks_per_object_sum 2.0",
    ):
        assert line in text, line
    assert "fcfi_memo_hits_total" in text


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_requests_replay(client, path, data_uri):
    """Every recorded request is answered as its annotator expects, with any picture of the right size."""
    record = json.loads(path.read_text(encoding="utf-8"))
    asked = copy.deepcopy(record["body"])
    if record["path"] != "/predict":
        assert client.post(record["path"], json=asked).status_code == 200
        return
    items = ((asked["params"] or {}).get("context") or {}).get("result") or []
    width, height = (items[0]["original_width"], items[0]["original_height"]) if items else (64, 48)
    for task in asked["tasks"]:
        task["data"] = {key: data_uri(width, height) for key in task["data"]}
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 200
    results = answer.json()["results"]
    positive = [item for item in items if item.get("is_positive") or item["type"].startswith("rectangle")]
    if not positive:
        assert sum(len(entry["result"]) for entry in results) == 0
        return
    (entry,) = results
    region = entry["result"][0]
    newest = positive[-1]
    kind = region["type"]
    assert region["value"][kind] == newest["value"][newest["type"]]
    assert f'name="{region["from_name"]}" toName="{region["to_name"]}"' in asked["label_config"]
    assert (region["original_width"], region["original_height"]) == (width, height)
    if kind == "brushlabels" and newest["type"] == "keypointlabels":
        mask = mask_of(region)
        for item in items:
            if "is_positive" in item:
                x, y = int(item["value"]["x"] / 100 * width), int(item["value"]["y"] / 100 * height)
                assert mask[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].any() == item["is_positive"]


# --- what it says of Label Studio when it starts -------------------------------------------------


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
