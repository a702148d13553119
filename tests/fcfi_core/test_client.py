"""The client, against a real server."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcfi_core import BusyError, Click, ImageError, Prompt, PromptError, SettingsError
from fcfi_core.client import Client, ConnectionFailed, NotAllowed, SentImage, UnknownImage
from fcfi_core.masks import from_polygons
from fcfi_core.predictor import Predictor

TOKEN = "0123456789abcdef-token"


@pytest.fixture(scope="module")
def client(serve):
    with Client(serve()[0]) as client:
        yield client


@pytest.fixture(scope="module")
def photo(disc, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "disc.png"
    disc[0].save(path)
    return path


@pytest.fixture(scope="module")
def predictor(colour_model):
    return Predictor(colour_model)


def test_the_mask_is_the_predictors(client, photo, predictor, disc):
    clicks = [(64, 60), (5, 5, False)]
    wanted = predictor.segment(disc[0], clicks).finished()
    for image in (photo, str(photo), photo.read_bytes(), client.send(photo)):
        answer = client.segment(image, clicks, polygons=True, candidates=True)
        assert np.array_equal(answer.mask, wanted.mask)
        assert answer.confidence == pytest.approx(wanted.confidence)
        assert answer.clicks == (Click(64, 60), Click(5, 5, False))
        assert from_polygons(answer.polygons, 160, 120).any()
        assert answer.candidates


def test_outlines_follow_the_mask_as_asked(client, photo):
    def points(asked):
        answer = client.segment(photo, [(64, 60)], polygons=asked)
        return sum(len(part.exterior) for part in answer.polygons)

    assert points(False) == 0
    assert 3 <= points({"tolerance": 8, "holes": "bridge"}) < points(True) == points({})
    with pytest.raises(PromptError, match="holes"):
        points({"holes": "dig"})


def test_a_whole_prompt_a_box_and_a_mask(client, photo, predictor, disc):
    for prompt in (Prompt.of(box=(28, 24, 100, 96)), Prompt(mask=disc[1]), Prompt.of([(64, 60)])):
        wanted = predictor.answer(disc[0], prompt).finished().mask
        assert np.array_equal(client.segment(photo, prompt).mask, wanted)
    wanted = predictor.segment(disc[0], [(64, 60)]).cleaned(0, 0).mask
    raw = client.segment(photo, [(64, 60)], finish={"min_area": 0, "max_hole": 0})
    assert np.array_equal(raw.mask, wanted)


def test_frames(client, photo, disc):
    masks = list(client.propagate(photo, disc[1], [photo] * 3, at_once=2))
    assert len(masks) == 3
    assert (masks[2] & disc[1]).sum() > 0.9 * disc[1].sum()


def test_a_picture_that_the_server_lost_is_sent_again(client, photo, disc):
    sent = client.send(photo)
    unknown = SentImage("0" * 32, sent.width, sent.height, source=sent.source)
    assert client.segment(unknown, [(64, 60)]).mask.any()
    assert len(list(client.propagate(unknown, disc[1], [unknown]))) == 1
    with pytest.raises(UnknownImage, match="send it again"):
        client.segment(SentImage("0" * 32, 160, 120), [(64, 60)])


def test_refusals_are_the_servers_sentences(client, photo, tmp_path):
    with pytest.raises(PromptError, match="outside the image of 160 x 120"):
        client.segment(photo, [(999, 0)])
    with pytest.raises(PromptError, match="selection"):
        client.segment(photo, [(64, 60)], selection=1)
    with pytest.raises(ImageError):
        client.send(b"no picture")
    with pytest.raises(ImageError, match="private address"):
        client.send("http://127.0.0.1:1/a.png")
    with pytest.raises(ImageError, match="cannot be read"):
        client.send(tmp_path / "nothing.png")


def test_facts(client):
    assert client.health()["status"] == "UP"
    assert client.models()[0]["name"] == "colour"


def test_tokens_and_passwords(serve):
    address, _ = serve(api_tokens=(TOKEN,), user="me", password="secret")
    with pytest.raises(NotAllowed):
        Client(address).health()
    assert Client(address, token=TOKEN).health()
    assert Client(address, password=("me", "secret")).health()


def test_a_busy_server_is_asked_again_for_a_while(monkeypatch, site):
    site.answers["/api/v1/health"] = 503, {"Retry-After": "7"}, b'{"error": "later.", "kind": "BusyError"}'
    waits = []
    clock = SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append)
    monkeypatch.setattr("fcfi_core.client.time", clock)
    monkeypatch.setattr("fcfi_core.client.PATIENCE", 20.0)
    with pytest.raises(BusyError, match="later"):
        Client(site.url).health()
    assert waits == [7.0, 7.0]


def test_what_is_no_server_of_ours(site):
    site.answers["/api/v1/health"] = 200, {}, b"<html>"
    with pytest.raises(ConnectionFailed, match="status 200"):
        Client(site.url).health()
    with pytest.raises(ConnectionFailed, match="status 404"):
        Client(site.url).models()
    with pytest.raises(ConnectionFailed, match="is the server running"):
        Client("http://127.0.0.1:1").health()
    with pytest.raises(SettingsError, match="whole"):
        Client("127.0.0.1:9090")


def test_it_needs_no_network_library():
    code = "import sys, fcfi_core.client; assert not {'torch', 'openvino', 'starlette'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pictures_in_memory_that_are_no_files(client):
    file = io.BytesIO()
    Image.new("L", (30, 20), 90).save(file, "PNG")
    assert client.send(file.getvalue()).width == 30
