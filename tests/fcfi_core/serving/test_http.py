"""Bodies within limits, work in the queue, answers in time."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.testclient import TestClient

from fcfi_core.allowance import checkpoint, present
from fcfi_core.errors import BusyError, DataError, ImageError, PromptError, SettingsError, WeightsError
from fcfi_core.serving.http import Json, Refused, answered, body_of, computed, parsed, room_of, status_of

PATIENCE = 60.0
"""Seconds after which a test gives up; on a busy machine, too, what it waits for comes long before."""


@pytest.fixture
def service(make_service):
    return make_service(lambda: None, memory_bytes=40_000_000)


@pytest.fixture
def hurried(make_service):
    return make_service(lambda: None, predict_seconds=1, body_seconds=0.3)


def client(service, work, parse=json.loads):
    async def handler(request):
        async with body_of(request, service, 1_000_000, "FCFI_X") as body, parsed(service, body, parse):
            return Json(await computed(request, service, work))

    return TestClient(Starlette(routes=[Route("/", answered(service, handler), methods=["POST"])]))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PromptError("x"), 400),
        (DataError("x"), 400),
        (ImageError("x"), 400),
        (BusyError("x"), 503),
        (WeightsError("x"), 503),
        (SettingsError("x"), 503),
        (Refused("x", 413), 413),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_table_of_errors(service, error, status):
    def work():
        raise error

    answer = client(service, work).post("/", json={})
    assert (answer.status_code, answer.json()) == (status, {"error": "x", "kind": type(error).__name__})
    assert status_of(error) == status
    assert ("retry-after" in answer.headers) == isinstance(error, BusyError)


def test_what_nobody_foresaw_is_a_sentence_without_a_traceback(service):
    answer = client(service, lambda: 1 / 0).post("/", json={})
    assert answer.status_code == 500
    assert "Zero" not in answer.text


def test_passwords_in_addresses_are_not_answered(service):
    def work():
        raise ImageError("http://me:secret@host/x.png is not here.")

    assert "secret" not in client(service, work).post("/", json={}).text


def test_work_ends_when_the_time_is_over(hurried):
    ended = threading.Event()

    def endless():
        try:
            while True:
                checkpoint()
                time.sleep(0.02)
        finally:
            ended.set()

    assert client(hurried, endless).post("/", json={}).status_code == 503
    assert ended.wait(PATIENCE)


def test_deaf_work_does_not_keep_the_asker_waiting(hurried):
    answered_at_last = threading.Event()
    waited = []

    def deaf():
        waited.append(answered_at_last.wait(PATIENCE))

    assert client(hurried, deaf).post("/", json={}).status_code == 503
    assert not waited
    answered_at_last.set()


def test_reading_a_long_request_counts_as_time_for_its_answer(hurried):
    begun = []

    def parse(body):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            checkpoint()
            time.sleep(0.01)

    assert client(hurried, lambda: begun.append(True), parse).post("/", json={}).status_code == 503
    assert not begun


def test_work_has_what_reading_the_request_left(service):
    ends = []

    def parse(body):
        ends.append(present().until)

    assert client(service, lambda: ends.append(present().until), parse).post("/", json={}).status_code == 200
    of_reading, of_work = ends
    assert of_work == of_reading < math.inf


def test_a_time_out_of_the_work_is_not_one_of_the_body(service):
    def work():
        raise TimeoutError

    assert client(service, work).post("/", json={}).status_code == 500


def test_the_work_of_a_client_that_left_is_ended(service):
    begun, ended = threading.Event(), threading.Event()

    def endless():
        begun.set()
        try:
            while True:
                checkpoint()
                time.sleep(0.01)
        finally:
            ended.set()

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await asyncio.to_thread(begun.wait, PATIENCE)
        return {"type": "http.disconnect"}

    async def ask():
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        await request.body()
        with pytest.raises(ClientDisconnect):
            await computed(request, service, endless)

    asyncio.run(ask())
    assert ended.wait(PATIENCE)


def test_a_body_that_never_ends_is_given_up_and_its_memory_given_back(hurried):
    async def receive():
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def ask():
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        with pytest.raises(Refused) as refused:
            async with body_of(request, hurried, 10**9):
                raise AssertionError
        assert refused.value.status == 408

    asyncio.run(ask())
    assert hurried.bodies.used == 0


def test_all_bodies_together_are_bounded(service):
    async def receive():
        return {"type": "http.request", "body": bytes(8_000_000), "more_body": True}

    async def ask():
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        with pytest.raises(BusyError):
            async with body_of(request, service, 10**9):
                raise AssertionError

    asyncio.run(ask())
    assert service.bodies.used == 0


@pytest.mark.parametrize(
    "body", [b"[" * 400_000, b"[" + b"{}," * 200_000 + b"1]", b'["' + b'","' * 200_000 + b'"]']
)
def test_what_is_written_in_a_body_must_fit_too(service, body):
    answer = client(service, lambda: 1).post("/", content=body)
    assert answer.status_code == 400
    assert "FCFI_MEMORY_MEGABYTES" in answer.json()["error"]
    assert service.bodies.used == 0


@pytest.mark.parametrize(
    "value", [[[]] * 50_000, [{}] * 50_000, ["abcd"] * 50_000, list(range(10**6, 10**6 + 50_000))]
)
def test_the_room_for_a_body_is_not_underestimated(value):
    import tracemalloc

    body = json.dumps(value).encode()
    tracemalloc.start()
    made = json.loads(body)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made == value
    assert taken <= room_of(body)


def test_json_has_no_numbers_that_browsers_refuse():
    with pytest.raises(ValueError, match="Out of range"):
        Json({"x": float("nan")})


def test_requests_are_counted(service):
    service.metrics.errors.labels("PromptError")

    def work():
        raise PromptError("x")

    client(service, work).post("/", json={})
    assert 'fcfi_errors_total{kind="PromptError"} 1.0' in service.metrics.text().decode()
