"""The routes under ``/playground``.

A photo is sent once and named by the digest of its content; every further request carries all clicks
in order, so the server keeps nothing about a user but a few decoded photos, and forgets those by a byte
cap and with time (the page then sends the photo again). Pixels and networks are worked on in threads,
never in the event loop. A request whose page went on to the next click is not computed.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from fcfi_core.errors import BusyError, FcfiError, ImageError, WeightsError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import USUAL, Finish
from fcfi_core.memo import Memo
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.results import Result
from fcfi_core.serving.playground import answers
from fcfi_core.serving.playground.parsing import parse_object

Returned = TypeVar("Returned")
Handler = Callable[[Request], Awaitable[Response]]

_ASSETS = Path(__file__).parent / "assets"
_PROMPT_BYTES = 1_000_000
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class _Refused(FcfiError):
    """A request that cannot be served, with its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def routes(
    predictor: Callable[[], Predictor],
    *,
    upload_bytes: int = 100_000_000,
    kept_bytes: int = 640_000_000,
    kept_seconds: float = 900.0,
    threads: int = 2,
    waiting: int = 32,
    finish: Finish = USUAL,
) -> list[BaseRoute]:
    """Return the routes of the playground.

    Args:
        predictor: called for every request, in a thread: returns the predictor, and may raise FcfiError
            as long as there is none.
        upload_bytes: largest image file accepted.
        kept_bytes: memory for decoded photos.
        kept_seconds: how long an unused photo is kept.
        threads: requests computed at the same time.
        waiting: requests that may wait for a thread; further ones are answered 503.
        finish: how masks are finished.
    """
    photos = Memo(kept_bytes, kept_seconds)
    room = threads + waiting
    playground = _Playground(predictor, upload_bytes, photos, kept_bytes // 3, threads, room, finish)
    return [
        Route("/playground", playground.page),
        Route("/playground/", playground.without_slash),
        Route("/playground/model", _answered(playground.model)),
        Route("/playground/images", _answered(playground.receive), methods=["POST"]),
        Route("/playground/images/{digest}", _answered(playground.picture)),
        Route("/playground/images/{digest}/mask", _answered(playground.mask), methods=["POST"]),
        Route("/playground/images/{digest}/file", _answered(playground.file), methods=["POST"]),
        Mount("/playground/assets", StaticFiles(directory=_ASSETS)),
    ]


def _answered(handler: Handler) -> Handler:
    """Return ``handler`` with every expected error answered as ``{"error": sentence}``."""

    @functools.wraps(handler)
    async def answering(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except _Refused as error:
            return _error(error, error.status)
        except BusyError as error:
            return _error(error, 503, {"Retry-After": str(max(1, round(error.retry_after)))})
        except WeightsError as error:
            return _error(error, 503)
        except FcfiError as error:
            return _error(error, 400)

    return answering


def _error(error: FcfiError, status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": str(error)}, status, headers)


class _Playground:
    """The handlers and what they share."""

    def __init__(
        self,
        predictor: Callable[[], Predictor],
        upload_bytes: int,
        photos: Memo,
        most_pixels: int,
        threads: int,
        room: int,
        finish: Finish,
    ) -> None:
        self._predictor = predictor
        self._upload_bytes = upload_bytes
        self._photos = photos
        self._most_pixels = most_pixels
        self._turn = asyncio.Semaphore(threads)
        self._room = room
        self._finish = finish

    async def page(self, request: Request) -> Response:
        return FileResponse(_ASSETS / "index.html", headers=_PAGE_HEADERS)

    async def without_slash(self, request: Request) -> Response:
        return RedirectResponse("../playground")  # relative: the server may lie below a path prefix

    async def model(self, request: Request) -> Response:
        model = (await run_in_threadpool(self._predictor)).model
        return JSONResponse({"name": model.name, "variant": model.variant, "device": model.engine.device})

    async def receive(self, request: Request) -> Response:
        encoded = await _body(request, self._upload_bytes)
        image = await self._computed(request, self._load, encoded)
        facts = {"image": image.digest, "width": image.width, "height": image.height, "notes": image.notes}
        return JSONResponse(facts, 201)

    async def picture(self, request: Request) -> Response:
        content = await self._computed(request, answers.preview, self._image(request).pixels)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=900"})

    async def mask(self, request: Request) -> Response:
        image = self._image(request)
        fields = parse_object(await _body(request, _PROMPT_BYTES))
        prompt = Prompt.from_json(fields, image.height, image.width)
        return JSONResponse(await self._computed(request, self._drawn, image, prompt))

    async def file(self, request: Request) -> Response:
        image = self._image(request)
        fields = parse_object(await _body(request, _PROMPT_BYTES))
        kind, name = str(fields.get("format", "png")), str(fields.get("name", "image"))
        prompt = Prompt.from_json(fields, image.height, image.width)
        content, media_type = await self._computed(request, self._file, image, prompt, kind, name)
        return Response(content, media_type=media_type)

    # ---- in threads

    def _load(self, encoded: bytes) -> LoadedImage:
        image = self._predictor().load(encoded)
        if image.width * image.height > self._most_pixels:
            raise ImageError(
                f"the image has {image.width} x {image.height} pixels, and the playground keeps at most "
                f"{self._most_pixels / 1e6:.0f} megapixels in memory; make it smaller, or use fcfi segment."
            )
        self._photos.put(image.digest, image, image.pixels.nbytes)
        return image

    def _segment(self, image: LoadedImage, prompt: Prompt) -> Result:
        return self._predictor().answer(image, prompt).finished(self._finish)

    def _drawn(self, image: LoadedImage, prompt: Prompt) -> dict[str, Any]:
        start = time.perf_counter()
        answer = answers.drawn(self._segment(image, prompt))
        return {**answer, "milliseconds": 1000 * (time.perf_counter() - start)}

    def _file(self, image: LoadedImage, prompt: Prompt, kind: str, name: str) -> tuple[bytes, str]:
        return answers.file(self._segment(image, prompt), kind, name)

    async def _computed(
        self, request: Request, function: Callable[..., Returned], *arguments: Any
    ) -> Returned:
        """Return ``function(*arguments)``, computed in a thread when it is this request's turn.

        Raises:
            BusyError: if too many requests wait already.
            _Refused: if the page is not waiting for the answer any more.
        """
        if self._room <= 0:
            raise BusyError("too many requests are waiting; try again in a second.")
        self._room -= 1
        try:
            async with self._turn:
                if await request.is_disconnected():
                    raise _Refused("the request was given up by its sender.", 499)
                return await run_in_threadpool(function, *arguments)
        finally:
            self._room += 1

    def _image(self, request: Request) -> LoadedImage:
        image: LoadedImage | None = self._photos.get(request.path_params["digest"])
        if image is None:
            raise _Refused("this photo is not in the server's memory (any more); send it again.", 404)
        return image


async def _body(request: Request, limit: int) -> bytes:
    """Return the request's body; raises _Refused as soon as it is longer than ``limit`` bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise _Refused(f"the request is larger than {limit / 1e6:g} MB; send a smaller file.", 413)
    return bytes(body)
