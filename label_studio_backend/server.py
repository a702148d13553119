"""The routes that Label Studio calls; errors and limits are the server's.

Errors never reach an annotator's screen, so every one is a single clear line in the log, and one
sentence in the body for those who look there.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fcfi_core.errors import FcfiError, plain
from fcfi_core.serving.http import Json, OpenRoute, answered, body_of, computed, discard, parsed, require_json
from fcfi_core.serving.scheduler import Superseded, Turn
from fcfi_core.serving.service import Service
from label_studio_backend.backend import Backend
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.predict_request import PredictRequest
from label_studio_backend.settings import Settings
from label_studio_backend.setups import Setups

logger = logging.getLogger("fcfi.label_studio")


def routes(service: Service, settings: Settings | None = None) -> list[BaseRoute]:
    """Return the routes that Label Studio needs.

    Args:
        service: what answers.
        settings: None: those in the service's environment.
    """
    settings = settings or Settings.from_environment(service.environment)
    door = _Door(service, settings)
    service.at_start(partial(check_label_studio, settings))
    return [
        Route("/setup", answered(service, door.setup), methods=["POST"]),
        Route("/predict", answered(service, door.predict), methods=["POST"]),
        OpenRoute("/webhook", answered(service, door.webhook), methods=["POST"]),  # no password comes here
        Route("/versions", answered(service, door.versions), methods=["GET", "POST"]),
    ]


class _Door:
    """The handlers and what they share."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self._backend = Backend(settings, service)
        self._setups = Setups(settings.background_label)

    async def setup(self, request: Request) -> Response:
        """Of the body the labelling config is looked at; nothing is kept, it holds the creator's token."""
        require_json(request)
        most = self._settings.body_bytes
        async with body_of(request, self._service, most, "FCFI_BODY_MEGABYTES") as body:
            said = await run_in_threadpool(self._setups.remarks, body)
        for line in said:
            logger.warning("%s", plain(line))
        return Json({"model_version": self._service.model.version})

    async def versions(self, request: Request) -> Response:
        return Json({"versions": [self._service.model.version]})

    async def webhook(self, request: Request) -> Response:
        """Events are taken and ignored; the body holds a token."""
        await discard(request, self._service)
        return Json({"status": "ignored"})

    async def predict(self, request: Request) -> Response:
        metrics = self._service.metrics
        with metrics.in_flight.track_inprogress(), metrics.seconds.time():
            try:
                return Json(await self._predicted(request))
            except Superseded:
                metrics.superseded.inc()
                entry = {"model_version": self._service.model.version, "score": 0.0, "result": []}
                return Json({"results": [entry]})

    async def _predicted(self, request: Request) -> dict[str, Any]:
        require_json(request)
        most = self._settings.body_bytes
        async with body_of(request, self._service, most, "FCFI_BODY_MEGABYTES") as body:
            parsing = parsed(self._service, body, self._parse)
            del body
            async with parsing as (asked, turn):
                return await computed(request, self._service, partial(self._backend.predict, asked), turn)

    def _parse(self, body: bytes) -> tuple[PredictRequest, Turn | None]:
        """Return what is asked, and its turn; on a thread, for both look at every number of the body."""
        asked = PredictRequest.parse(body, self._settings.background_label)
        return asked, asked.turn


def check_label_studio(settings: Settings) -> None:
    """Say at start, in one line, what would later fail where nobody sees it."""
    if not settings.label_studio_url and settings.label_studio_token:
        logger.warning(
            "LABEL_STUDIO_API_KEY is set, but LABEL_STUDIO_URL is not: give Label Studio's address, too, or "
            "images uploaded there cannot be read"
        )
        return
    if not settings.label_studio_url:
        logger.info(
            "the playground needs nothing more; for Label Studio's uploads and storages, set "
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY to its address and an access token"
        )
        return
    try:
        user = LabelStudio.from_settings(settings).who_am_i()
        logger.info("Label Studio at %s knows us as %s", settings.label_studio_url, user)
    except FcfiError as error:
        logger.warning("%s", error)
