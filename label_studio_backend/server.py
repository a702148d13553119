"""The HTTP server: Label Studio's five routes, metrics, and the playground.

Errors never reach an annotator's screen, so every one is a single clear line in the log, and one
sentence in the body for those who look there:

===========================================  ======
FcfiError                                    status
===========================================  ======
PromptError, DataError, ImageError           400
BusyError (with ``Retry-After``)             503
WeightsError, SettingsError                  503
anything unexpected                          500
===========================================  ======
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fcfi_core.errors import BusyError, FcfiError, SettingsError, WeightsError
from fcfi_core.predictor import Predictor
from fcfi_core.serving import playground
from fcfi_core.serving.loading import Loading
from fcfi_core.serving.metrics import Metrics
from fcfi_core.serving.scheduler import Scheduler, Superseded
from label_studio_backend.backend import Backend
from label_studio_backend.predict_request import PredictRequest
from label_studio_backend.settings import Settings

logger = logging.getLogger("fcfi.label_studio")

GRACE_SECONDS = 20.0
"""How long running requests may take after the signal to stop."""


class _TooLarge(FcfiError):
    """A request with more bytes than accepted."""


class _Json(Response):
    """JSON in ASCII: labels may hold what UTF-8 cannot carry, and numbers must be finite."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def create_app(settings: Settings, model: Loading) -> Starlette:
    """Return the server's application.

    Args:
        settings: see there.
        model: started by the caller; requests wait for it, health does not.
    """
    server = _Server(settings, model)

    def predictor() -> Predictor:
        return model.wait(settings.predict_seconds)

    routes = [
        Route("/", server.home),
        Route("/health", server.health),
        Route("/setup", server.setup, methods=["POST"]),
        Route("/predict", server.predict, methods=["POST"]),
        Route("/webhook", server.webhook, methods=["POST"]),
        Route("/versions", server.versions, methods=["GET", "POST"]),
        Route("/metrics", server.metrics_text),
        *playground.routes(predictor, upload_bytes=settings.image_bytes, finish=settings.finish),
    ]
    middleware = [Middleware(_Counted, metrics=server.metrics)]
    if settings.user:
        middleware.append(Middleware(_BasicAuth, user=settings.user, password=settings.password))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(server.scheduler.stop, GRACE_SECONDS)

    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


class _Server:
    """The handlers and what they share."""

    def __init__(self, settings: Settings, model: Loading) -> None:
        self._settings = settings
        self._model = model
        self.metrics = Metrics()
        self.backend = Backend(settings, model, self.metrics)
        self.scheduler = Scheduler(settings.workers, settings.queue, settings.predict_seconds)
        self.metrics.observe("memo", "click prefixes and encoder outputs", self._memo)
        self.metrics.observe("image_cache", "decoded images", self.backend.resolver.cache.statistics)

    def _memo(self) -> dict[str, int]:
        predictor = self._model.ready
        return predictor.memo.statistics() if predictor else {}

    async def home(self, request: Request) -> Response:
        """Health for Label Studio, the playground for people."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("playground")
        return await self.health(request)

    async def health(self, request: Request) -> Response:
        return _Json(
            {
                "status": "UP",
                "model_class": "FCFI",
                "model_version": self._model.version,
                "model": self._model.state,
                "waiting": self.scheduler.waiting,
            }
        )

    async def setup(self, request: Request) -> Response:
        """The body is neither read into anything nor kept: it holds the project creator's token."""
        await _discard(request, self._settings.body_bytes)
        return _Json({"model_version": self._model.version})

    async def versions(self, request: Request) -> Response:
        return _Json({"versions": [self._model.version]})

    async def webhook(self, request: Request) -> Response:
        """Events are taken and ignored; the body holds a token."""
        await _discard(request, self._settings.body_bytes)
        return _Json({"status": "ignored"})

    async def metrics_text(self, request: Request) -> Response:
        return Response(await run_in_threadpool(self.metrics.text), media_type="text/plain; version=0.0.4")

    async def predict(self, request: Request) -> Response:
        with self.metrics.in_flight.track_inprogress(), self.metrics.seconds.time():
            try:
                return _Json(await self._predicted(request))
            except ClientDisconnect:
                return Response(status_code=499)
            except Superseded:
                self.metrics.superseded.inc()
                entry = {"model_version": self._model.version, "score": 0.0, "result": []}
                return _Json({"results": [entry]})
            except FcfiError as error:
                return self._refused(error)
            except Exception:
                logger.exception("a request failed unexpectedly")
                self.metrics.errors.labels("unexpected").inc()
                return _Json({"error": "the backend failed unexpectedly; its log says more."}, 500)

    async def _predicted(self, request: Request) -> dict[str, Any]:
        body = await _body(request, self._settings.body_bytes)
        parsed = await run_in_threadpool(PredictRequest.parse, body, self._settings.background_label)
        job = self.scheduler.submit(lambda job: self.backend.predict(parsed, job), parsed.turn)
        answer: dict[str, Any] = await asyncio.wrap_future(job)
        return answer

    def _refused(self, error: FcfiError) -> Response:
        kind = type(error).__name__.lstrip("_")
        self.metrics.errors.labels(kind).inc()
        logger.warning("%s: %s", kind, str(error).encode("ascii", "backslashreplace").decode())
        if isinstance(error, BusyError):
            headers = {"Retry-After": str(max(1, round(error.retry_after)))}
            return _Json({"error": str(error)}, 503, headers)
        if isinstance(error, _TooLarge):
            return _Json({"error": str(error)}, 413)
        return _Json({"error": str(error)}, 503 if isinstance(error, WeightsError | SettingsError) else 400)


async def _body(request: Request, most: int) -> bytes:
    """Return the request's body; raises _TooLarge as soon as it is longer than ``most`` bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise _TooLarge(
                f"the request has more than {most / 1e6:g} MB; raise FCFI_BODY_MEGABYTES if that is right."
            )
    return bytes(body)


async def _discard(request: Request, most: int) -> None:
    """Read the request's body without keeping it, up to ``most`` bytes."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return


class _BasicAuth:
    """Asks for a user and a password, everywhere but at the webhook, where Label Studio sends none."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        text = f"{user}:{password}"
        self._expected = [text.encode()]
        with suppress(UnicodeEncodeError):  # Browsers send UTF-8, Label Studio sends Latin-1.
            self._expected.append(text.encode("latin-1"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/webhook" or self._knows(scope):
            await self._app(scope, receive, send)
            return
        challenge = {"WWW-Authenticate": 'Basic realm="fcfi", charset="UTF-8"'}
        await _Json({"error": "user or password is missing or wrong."}, 401, challenge)(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, coded = given.partition(b" ")
        try:
            sent = base64.b64decode(coded.strip(), validate=True)
        except (binascii.Error, ValueError):
            sent = b""
        matches = [hmac.compare_digest(sent, expected) for expected in self._expected]
        return any(matches) and kind.lower() == b"basic"


class _Counted:
    """Counts answers by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = ("", "health", "setup", "predict", "webhook", "versions", "metrics", "playground")
        first = scope["path"].strip("/").split("/")[0]
        endpoint = "/" + first if first in known else "other"

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(endpoint, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, sending)
