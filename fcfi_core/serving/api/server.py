"""The routes under ``/api/v1``.

A picture is sent once and named by the digest of its content; or it comes with the question, as an address or
in a form of two parts. Nothing else is kept between requests, so any process can answer any of them. The
limits, the queue and the errors are those of every door.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fcfi_core.allowance import checkpoint, reserved
from fcfi_core.errors import DataError, PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.masks import coco
from fcfi_core.masks.extent import Mask
from fcfi_core.masks.finish import Finish
from fcfi_core.prompt import Prompt, shown
from fcfi_core.propagation import State, begin, follow
from fcfi_core.results import Result
from fcfi_core.serving.addresses import AddressedImages, embedded
from fcfi_core.serving.api import answers, document, messages
from fcfi_core.serving.api.document import PREFIX
from fcfi_core.serving.api.forms import boundary_of, parts_of
from fcfi_core.serving.api.messages import (
    Address,
    Frame,
    Health,
    ModelFacts,
    Models,
    Propagate,
    Propagated,
    Said,
    Segment,
    Segmented,
    SegmentOptions,
    Written,
)
from fcfi_core.serving.http import (
    Json,
    OpenRoute,
    Refused,
    answered,
    body_of,
    computed,
    parsed,
    require_json,
    require_picture,
)
from fcfi_core.serving.service import Service, working_bytes

_ID = re.compile(r"[0-9a-f]{32}")
_MASKS_AT_ONCE = 3

Returned = TypeVar("Returned")


def routes(service: Service) -> list[BaseRoute]:
    """Return the routes of the plain API; ``service`` is what answers."""
    door = _Door(service)

    def route(path: str, handler: Callable[[Request], Awaitable[Response]], *methods: str) -> Route:
        return Route(PREFIX + path, answered(service, handler), methods=methods or ("GET",))

    return [
        route("/health", door.health),
        route("/models", door.models),
        route("/images", door.receive, "POST"),
        route("/images/{image}", door.facts),
        route("/segment", door.segment, "POST"),
        route("/propagate", door.propagate, "POST"),
        OpenRoute(f"{PREFIX}/openapi.json", answered(service, door.document)),
    ]


@dataclass(frozen=True)
class _Asked:
    """What is asked of one object, and the file of the picture, if that came with it."""

    options: SegmentOptions
    image: str
    encoded: bytes | None = None


class _Door:
    """The handlers and what they share."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._addressed = AddressedImages(service.settings, service.images)

    async def document(self, request: Request) -> Response:
        return Json(document.openapi())

    async def health(self, request: Request) -> Response:
        model = self._service.model
        return _said(
            Health(
                status="UP",
                version=model.version,
                model=model.state,
                waiting=self._service.scheduler.waiting,
            )
        )

    async def models(self, request: Request) -> Response:
        model = (await computed(request, self._service, lambda: self._service.predictor)).model
        one = ModelFacts(
            name=model.name,
            version=self._service.model.version,
            variant=model.variant,
            engine=model.engine.name,
            device=str(model.engine.device),
        )
        return _said(Models(models=(one,)))

    async def receive(self, request: Request) -> Response:
        """Take a picture: as the body, as the part ``image`` of a form, or by its address."""
        kind = request.headers.get("content-type", "")
        if kind.split(";")[0].strip().lower() == "application/json":
            async with self._body(request) as body:
                address = messages.read(Address, body).address
            image = await computed(request, self._service, partial(self._picture, address))
        else:
            boundary = boundary_of(kind)
            if boundary is None:
                require_picture(request)
            async with self._body(request, picture=True) as body:
                encoded = body if boundary is None else (await self._form(body, boundary))["image"]
                image = await computed(request, self._service, partial(self._service.load, encoded))
        return _said(answers.facts(image), 201)

    async def facts(self, request: Request) -> Response:
        return _said(answers.facts(self._kept(request.path_params["image"])))

    async def segment(self, request: Request) -> Response:
        accepted = request.headers.get("accept", "").lower()
        alone = "image/png" in accepted and "json" not in accepted
        boundary = boundary_of(request.headers.get("content-type", ""))
        if boundary is None:
            require_json(request)
        async with self._body(request, picture=boundary is not None) as body:
            parse: Callable[[bytes], _Asked] = _asked
            if boundary is not None:
                form = await self._form(body, boundary)
                parse, body = partial(_asked_of_form, form["image"]), form["request"]
            async with parsed(self._service, body, parse) as asked:
                del body
                return await self._measured(request, partial(self._segmented, asked, alone))

    async def propagate(self, request: Request) -> Response:
        require_json(request)
        async with self._body(request) as body:
            parsing = parsed(self._service, body, partial(messages.read, Propagate))
            del body
            async with parsing as asked:
                return await self._measured(request, partial(self._propagated, asked))

    @asynccontextmanager
    async def _body(self, request: Request, *, picture: bool = False) -> AsyncIterator[bytes]:
        settings = self._service.settings
        most, name = settings.body_bytes, "FCFI_BODY_MEGABYTES"
        if picture and settings.image_bytes > most:
            most, name = settings.image_bytes, "FCFI_IMAGE_MEGABYTES"
        async with body_of(request, self._service, most, name) as body:
            yield body

    async def _form(self, body: bytes, boundary: bytes) -> dict[str, bytes]:
        parts = await run_in_threadpool(parts_of, body, boundary)
        if "image" not in parts:
            raise PromptError(f"the form has the parts {sorted(parts)}; send the picture as part 'image'.")
        if len(parts["image"]) > self._service.settings.image_bytes:
            raise Refused("the picture in the form is too large; raise FCFI_IMAGE_MEGABYTES.", 413)
        return {"request": b"", **parts}

    async def _measured(self, request: Request, work: Callable[[], Response]) -> Response:
        metrics = self._service.metrics
        with metrics.in_flight.track_inprogress(), metrics.seconds.time():
            return await computed(request, self._service, work)

    def _kept(self, ident: str) -> LoadedImage:
        image = self._service.images.image(ident)
        if image is None:
            raise Refused("this picture is not in the server's memory (any more); send it again.", 404)
        return image

    # ---- on workers

    def _picture(self, reference: str) -> LoadedImage:
        """Return the picture that an id, an address or an embedded file means."""
        if _ID.fullmatch(reference):
            return self._kept(reference)
        if reference[:5].lower() == "data:":
            return self._service.load(embedded(reference, self._service.settings.image_bytes))
        if reference.lower().startswith(("http://", "https://")):
            return self._addressed.load(reference)
        raise PromptError(
            f"the picture {shown(reference)} is no id of 32 hexadecimal digits, no http(s) address and no "
            "data:image/...;base64,..."
        )

    def _segmented(self, asked: _Asked, alone: bool) -> Response:
        start = time.perf_counter()
        image = self._picture(asked.image) if asked.encoded is None else self._service.load(asked.encoded)
        options = asked.options
        prompt = Prompt.from_json(options.prompt, image.height, image.width)
        several = options.candidates or options.choice is not None
        size = working_bytes(image.width * image.height) * (_MASKS_AT_ONCE if several else 1)
        with reserved(size, "a mask", PromptError):
            found, given = self._results(image, prompt, options, several=several)
            result = found[given]
            if alone:
                told = {"X-Fcfi-Image": image.digest, "X-Fcfi-Confidence": f"{result.confidence:.4f}"}
                return Response(answers.png(result.mask), media_type="image/png", headers=told)
            fields: dict[str, Any] = answers.candidate_fields(result, options)
            if options.candidates:
                fields["candidates"] = tuple(answers.candidate(one, options) for one in found)
                fields["given"] = given
        implied = result.implied_click
        return _said(
            Segmented(
                **fields,
                image=image.digest,
                width=image.width,
                height=image.height,
                version=self._service.model.version,
                implied_click=None if implied is None else answers.click_fields(implied),
                notes=(*image.notes, *result.notes),
                milliseconds=1000 * (time.perf_counter() - start),
            )
        )

    def _results(
        self, image: LoadedImage, prompt: Prompt, options: SegmentOptions, *, several: bool
    ) -> tuple[Sequence[Result], int]:
        """Return the answers, and which of them is the one."""
        finish = self._finish(options)
        if not several:
            return [self._service.answer(image, prompt, finish)], 0
        found, given = self._service.predictor.recurrence.candidates(image, prompt)
        if options.choice is not None:
            if options.choice >= len(found):
                raise PromptError(
                    f"choice is {options.choice}, and there are {len(found)} answers to choose from; count "
                    "from 0."
                )
            given = options.choice
        return [one.finished(finish) for one in found], given

    def _propagated(self, asked: Propagate) -> Response:
        start = time.perf_counter()
        predictor, finish, frames = self._service.predictor, self._finish(asked), []
        state, lost = self._begun(asked, self._picture(asked.frames[0])), False
        for reference in asked.frames:
            checkpoint()
            image = self._picture(reference)
            with reserved(working_bytes(image.width * image.height), "a mask", PromptError):
                step = follow(predictor, image, state)
                if step.result is None:
                    lost = True
                    break
                state, result = step.state, step.result.finished(finish)
                fields = answers.mask_fields(result.mask, asked)
            confidence = answers.confidence(result)
            frames.append(Frame(**fields, image=image.digest, confidence=confidence, doubt=step.doubt))
        return _said(
            Propagated(
                frames=tuple(frames),
                lost=lost,
                state=state.to_json(),
                version=self._service.model.version,
                milliseconds=1000 * (time.perf_counter() - start),
            )
        )

    def _begun(self, asked: Propagate, next_frame: LoadedImage) -> State:
        """Return what is known of the object before the frames that are asked for."""
        if asked.state is not None and asked.image is None and asked.mask is None:
            return State.from_json(asked.state, next_frame.width, next_frame.height)
        if asked.state is not None or asked.image is None or asked.mask is None:
            raise PromptError("there must be an image and a mask in it, or a state, and not both.")
        image = self._picture(asked.image)
        with reserved(working_bytes(image.width * image.height), "a mask", PromptError):
            return begin(self._service.predictor, image, _mask_of(asked.mask, image))

    def _finish(self, written: Written) -> Finish:
        asked = written.finish
        return self._service.settings.finish if asked is None else Finish(asked.min_area, asked.max_hole)


def _asked(body: bytes) -> _Asked:
    asked = messages.read(Segment, body)
    return _Asked(asked, asked.image)


def _asked_of_form(encoded: bytes, body: bytes) -> _Asked:
    return _Asked(messages.read(SegmentOptions, body), "", encoded)


def _mask_of(fields: dict[str, Any], image: LoadedImage) -> Mask:
    if fields.get("size") != [image.height, image.width]:
        raise PromptError(
            f"mask has the size {shown(fields.get('size'))}; it must have the picture's, "
            f"[{image.height}, {image.width}]."
        )
    try:
        return coco.decode(fields)
    except DataError as error:
        raise PromptError(f"mask: {error}") from None


def _said(body: Said, status: int = 200) -> Json:
    return Json(msgspec.to_builtins(body), status)
