"""HTTP for all doors: bodies within limits, work in the queue, and one table of errors.

Every error is one clear line in the log, and one sentence in the body:

===========================================  ======
error                                        status
===========================================  ======
PromptError, DataError, ImageError           400
not JSON, not what a route takes             415
a body that comes too slowly                 408
a body that is too long                      413
BusyError (with ``Retry-After``)             503
WeightsError, SettingsError                  503
a client that has left                       499
anything unexpected                          500
===========================================  ======
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fcfi_core.allowance import MEGABYTE, Allowance, granted
from fcfi_core.errors import (
    BusyError,
    FcfiError,
    PromptError,
    SettingsError,
    WeightsError,
    plain,
    without_passwords,
)
from fcfi_core.serving.scheduler import Turn
from fcfi_core.serving.service import Service

logger = logging.getLogger("fcfi.serving")

Returned = TypeVar("Returned")
Handler = Callable[[Request], Awaitable[Response]]


class OpenRoute(Route):
    """A route that asks for no password, for callers that cannot send one; it must give nothing away."""


class Refused(FcfiError):
    """A request that cannot be served, with its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Json(Response):
    """JSON in ASCII: labels may hold what UTF-8 cannot carry, and numbers must be finite."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def status_of(error: FcfiError) -> int:
    """Return the HTTP status for ``error``: the table above."""
    if isinstance(error, Refused):
        return error.status
    return 503 if isinstance(error, BusyError | WeightsError | SettingsError) else 400


def refusal(service: Service, error: FcfiError) -> Response:
    """Return the answer that tells ``error``; counted and logged."""
    kind = type(error).__name__
    service.metrics.errors.labels(kind).inc()
    logger.warning("%s: %s", kind, plain(str(error)))
    headers = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return Json({"error": without_passwords(str(error)), "kind": kind}, status_of(error), headers)


def answered(service: Service, handler: Handler) -> Handler:
    """Return ``handler`` with every error answered by the table above."""

    @functools.wraps(handler)
    async def answering(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except FcfiError as error:
            return refusal(service, error)
        except Exception:
            logger.exception("a request failed unexpectedly")
            service.metrics.errors.labels("unexpected").inc()
            return Json(
                {"error": "the server failed unexpectedly; its log says more.", "kind": "FcfiError"}, 500
            )

    return answering


@asynccontextmanager
async def body_of(request: Request, service: Service, most: int, setting: str = "") -> AsyncIterator[bytes]:
    """Give the request's body within the block; its bytes count as memory in use meanwhile.

    The time for the answer begins when the body is there: reading what is written in it counts as well.

    Args:
        most: bytes.
        setting: that raises them; "" if none does.

    Raises:
        Refused: if it is longer than ``most``, or not there after ``body_seconds``.
        BusyError: if all requests together hold too much.
    """
    body, held = bytearray(), 0
    try:
        try:
            async with asyncio.timeout(service.settings.body_seconds):
                async for part in request.stream():
                    if len(body) + len(part) > most:
                        advice = f"raise {setting} if that is right" if setting else "send less"
                        raise Refused(f"the request has more than {most / MEGABYTE:g} MB; {advice}.", 413)
                    service.bodies.take(len(part), "a request")
                    held += len(part)
                    body += part
        except TimeoutError:
            raise Refused(
                f"the request was not there after {service.settings.body_seconds:g} s (FCFI_BODY_SECONDS).",
                408,
            ) from None
        content = bytes(body)
        body.clear()
        with granted(Allowance(time.monotonic() + service.settings.predict_seconds, service.memory)):
            yield content
    finally:
        service.bodies.give_back(held)


async def discard(request: Request, service: Service) -> None:
    """Read the request's body without keeping it, within the limits of size and time."""
    size = 0
    try:
        async with asyncio.timeout(service.settings.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > service.settings.body_bytes:
                    return
    except TimeoutError:
        return


def require_json(request: Request) -> None:
    """Refuse a body that is said to be something else than JSON: what web pages may send anywhere."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Refused(f"the request is {kind!r}; send JSON as application/json.", 415)


def require_picture(request: Request) -> None:
    """Refuse a body that is said to be what a form of any web page sends."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind and kind != "application/octet-stream" and not kind.startswith("image/"):
        raise Refused(f"the request is {kind!r}; send a picture, as application/octet-stream.", 415)


def room_of(body: bytes) -> int:
    """Return how many bytes the objects written in ``body`` (JSON) take at most, roughly."""
    lists, objects, texts, values = (body.count(sign) for sign in (b"[", b"{", b'"', b","))
    letter = 1 if body.isascii() and b"\\u" not in body else 4
    numbers = min(values, len(body) // 4)  # those below 257 are shared, and larger ones are longer
    return letter * len(body) + 88 * lists + 264 * objects + 32 * texts + 8 * values + 32 * numbers


@asynccontextmanager
async def parsed(
    service: Service, body: bytes, parse: Callable[[bytes], Returned]
) -> AsyncIterator[Returned]:
    """Give ``parse(body)``, made in a thread, if there is room for what is written in ``body``.

    The room counts as memory in use within the block.

    Raises:
        BusyError: if there is no room now.
        PromptError: if there never will be.
    """
    room = room_of(body)
    service.bodies.take(room, "what is written in the request", error=PromptError)
    try:
        yield await run_in_threadpool(parse, body)
    finally:
        service.bodies.give_back(room)


async def computed(
    request: Request, service: Service, work: Callable[[], Returned], turn: Turn | None = None
) -> Returned:
    """Return ``work()``, done by the queue.

    Answered when the time is over, whether a worker came or not; ended early if the client leaves.

    Raises:
        BusyError: if too many requests wait, or the time is over.
        ClientDisconnect: if the client has left.
        Exception: whatever ``work`` raises.
    """
    if await request.is_disconnected():
        raise ClientDisconnect
    job = service.scheduler.submit(work, turn)
    result = asyncio.wrap_future(job.result)
    result.add_done_callback(_looked_at)
    left = asyncio.ensure_future(_left(request))
    try:
        done, _ = await asyncio.wait({result, left}, timeout=job.seconds, return_when=asyncio.FIRST_COMPLETED)
        if result in done:
            returned: Returned = result.result()
            return returned
        if left in done:
            service.scheduler.withdraw(job, ClientDisconnect())
            raise ClientDisconnect
        late = BusyError("the answer would come too late; try again.", retry_after=5.0)
        service.scheduler.withdraw(job, late)
        raise late
    finally:
        left.cancel()


async def _left(request: Request) -> None:
    """Return when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _looked_at(future: asyncio.Future[Any] | Future[Any]) -> None:
    """Keep asyncio from complaining of results that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
