"""The routes under ``/playground``.

A photo is sent once and named by the digest of its content; every further request carries all clicks
in order, so the server keeps nothing about a user but decoded photos, and forgets those by the byte cap of
all doors together (the page then sends the photo again). Pixels and networks are worked on in the
server's queue, never in the event loop. A request whose page went on to the next click is not computed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from fcfi_core.allowance import reserved
from fcfi_core.images import LoadedImage
from fcfi_core.prompt import Prompt
from fcfi_core.results import Result, exclusive
from fcfi_core.scene import SceneObject
from fcfi_core.serving.http import (
    Json,
    Refused,
    answered,
    body_of,
    computed,
    parsed,
    require_json,
    require_picture,
)
from fcfi_core.serving.playground import answers, files
from fcfi_core.serving.playground.parsing import parse_object
from fcfi_core.serving.playground.scene import Found, objects_of
from fcfi_core.serving.service import Service, working_bytes

DOOR = "playground"
"""How click logs call this way in."""

_ASSETS = Path(__file__).parent / "assets"
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self' blob: data: http: https:; "  # a picture whose address was dropped on the page
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def routes(service: Service) -> list[BaseRoute]:
    """Return the routes of the playground; ``service`` is what answers."""
    page = _Playground(service)
    return [
        Route("/playground", page.page),
        Route("/playground/", page.without_slash),
        Route("/playground/model", answered(service, page.model)),
        Route("/playground/images", answered(service, page.receive), methods=["POST"]),
        Route("/playground/images/{digest}", answered(service, page.picture)),
        Route("/playground/images/{digest}/mask", answered(service, page.mask), methods=["POST"]),
        Route("/playground/images/{digest}/scene", answered(service, page.scene), methods=["POST"]),
        Route("/playground/images/{digest}/hover", answered(service, page.hover), methods=["POST"]),
        Route("/playground/images/{digest}/candidates", answered(service, page.candidates), methods=["POST"]),
        Route("/playground/images/{digest}/file", answered(service, page.file), methods=["POST"]),
        Mount("/playground/assets", StaticFiles(directory=_ASSETS)),
    ]


class _Playground:
    """The handlers and what they share."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, request: Request) -> Response:
        return FileResponse(_ASSETS / "index.html", headers=_PAGE_HEADERS)

    async def without_slash(self, request: Request) -> Response:
        return RedirectResponse("../playground")  # relative: the server may lie below a path prefix

    async def model(self, request: Request) -> Response:
        model = (await computed(request, self._service, lambda: self._service.predictor)).model
        return Json({"name": model.name, "variant": model.variant, "device": model.engine.device})

    async def receive(self, request: Request) -> Response:
        require_picture(request)
        most = self._service.settings.image_bytes
        async with body_of(request, self._service, most, "FCFI_IMAGE_MEGABYTES") as encoded:
            image = await computed(request, self._service, partial(self._service.load, encoded))
        facts = {"image": image.digest, "width": image.width, "height": image.height, "notes": image.notes}
        return Json(facts, 201)

    async def picture(self, request: Request) -> Response:
        content = await computed(request, self._service, partial(self._preview, self._image(request)))
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=900"})

    async def mask(self, request: Request) -> Response:
        image = self._image(request)
        async with self._fields(request) as fields:
            return Json(await computed(request, self._service, partial(self._drawn, image, fields)))

    async def scene(self, request: Request) -> Response:
        """All objects of the photo, so that none overlaps another."""
        image = self._image(request)
        async with self._fields(request) as fields:
            return Json(await computed(request, self._service, partial(self._shapes, image, fields)))

    async def hover(self, request: Request) -> Response:
        """What a click would select, roughly; nothing while anybody waits for an answer."""
        image = self._image(request)
        async with self._fields(request) as fields:
            if self._service.scheduler.waiting or self._service.scheduler.running:
                return Json({"busy": True})
            glimpse = await computed(request, self._service, partial(self._glimpse, image, fields))
            return Json({"busy": False, "glimpse": glimpse})

    async def candidates(self, request: Request) -> Response:
        image = self._image(request)
        async with self._fields(request) as fields:
            return Json(await computed(request, self._service, partial(self._choice, image, fields)))

    async def file(self, request: Request) -> Response:
        image = self._image(request)
        async with self._fields(request) as fields:
            content, media_type = await computed(request, self._service, partial(self._file, image, fields))
            return Response(content, media_type=media_type)

    @asynccontextmanager
    async def _fields(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """Give what is asked within the block; read in a thread, and counted as memory in use."""
        require_json(request)
        most = self._service.settings.body_bytes
        async with body_of(request, self._service, most, "FCFI_BODY_MEGABYTES") as body:
            parsing = parsed(self._service, body, parse_object)
            del body
            async with parsing as fields:
                yield fields

    def _image(self, request: Request) -> LoadedImage:
        image = self._service.images.image(request.path_params["digest"])
        if image is None:
            raise Refused("this photo is not in the server's memory (any more); send it again.", 404)
        return image

    # ---- on workers

    def _preview(self, image: LoadedImage) -> bytes:
        with reserved(4 * image.pixels.nbytes, "a preview"):
            return answers.preview(image.pixels)

    def _segment(self, image: LoadedImage, fields: dict[str, Any]) -> Result:
        return self._service.answer(image, Prompt.from_json(fields, image.height, image.width), door=DOOR)

    def _glimpse(self, image: LoadedImage, fields: dict[str, Any]) -> dict[str, Any] | None:
        prompt = Prompt.from_json(fields, image.height, image.width)
        if prompt.repetitions(image.height, image.width):
            return None  # a choice of answers takes several looks
        return answers.glimpse(self._service.predictor.answer(image, prompt))

    def _drawn(self, image: LoadedImage, fields: dict[str, Any]) -> dict[str, Any]:
        start = time.perf_counter()
        with reserved(working_bytes(image.width * image.height), "a mask"):
            wanted = fields.get("suggestion") is True
            answer = answers.drawn(self._segment(image, fields), suggestion=wanted)
        return {**answer, "milliseconds": 1000 * (time.perf_counter() - start)}

    def _choice(self, image: LoadedImage, fields: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the answers to the first click to choose from; none where there is no choice."""
        prompt = Prompt.from_json(fields, image.height, image.width)
        with reserved(3 * working_bytes(image.width * image.height), "several masks"):
            found, given = self._service.predictor.recurrence.candidates(image, prompt)
            if len(found) < 2:
                return []
            finish = self._service.settings.finish
            return [
                answers.choice(one.finished(finish), given=index == given) for index, one in enumerate(found)
            ]

    def _shapes(self, image: LoadedImage, fields: dict[str, Any]) -> list[dict[str, Any]]:
        objects = objects_of(fields, image.height, image.width)
        with reserved(self._bytes_of(image, len(objects)), "the masks of a photo"):
            return [answers.shape(one.result) for one in self._found(image, objects)]

    def _file(self, image: LoadedImage, fields: dict[str, Any]) -> tuple[bytes, str]:
        kind, name = str(fields.get("format", "png")), str(fields.get("name", "image"))
        objects = objects_of(fields, image.height, image.width)
        with reserved(self._bytes_of(image, len(objects)), "the masks of a photo"):
            return files.file(self._found(image, objects), kind, name)

    def _found(self, image: LoadedImage, objects: Sequence[SceneObject]) -> list[Found]:
        """Return the masks of all objects, none over another."""
        results = exclusive([self._service.answer(image, one.prompt) for one in objects])
        return [Found(one.label, result) for one, result in zip(objects, results, strict=True)]

    @staticmethod
    def _bytes_of(image: LoadedImage, objects: int) -> int:
        """Return what the masks of so many objects take: each stays until all are apart."""
        pixels = image.width * image.height
        return working_bytes(pixels) + 2 * pixels * objects
