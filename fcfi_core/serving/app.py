"""The server's application: health, metrics, the plain API, the playground, and every other door's routes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fcfi_core import plugins
from fcfi_core.prompt import shown
from fcfi_core.serving import api, playground
from fcfi_core.serving.guards import BasicAuth, BearerTokens, Counted, KnownCallers
from fcfi_core.serving.http import Json, OpenRoute
from fcfi_core.serving.service import Service

Door = Callable[[Service], Sequence[BaseRoute]]


def create_app(service: Service, doors: Sequence[Door] | None = None) -> Starlette:
    """Return the application.

    Args:
        service: what the doors ask.
        doors: further ``routes(service)``; None: those of the plugins.
    """
    found = list(plugins.loaded("routes")) if doors is None else list(doors)
    routes: list[BaseRoute] = [*_own(service), *api.routes(service), *playground.routes(service)]
    for door in found:
        routes.extend(door(service))
    paths = [route.path for route in routes if isinstance(route, Route | Mount)]
    middleware = [
        Middleware(Counted, metrics=service.metrics, known={path.strip("/").split("/")[0] for path in paths}),
        Middleware(KnownCallers, listed=service.settings.served_hosts),
    ]
    settings, open_paths = service.settings, [route.path for route in routes if isinstance(route, OpenRoute)]
    if settings.api_tokens:
        middleware.append(
            Middleware(
                BearerTokens,
                tokens=settings.api_tokens,
                below=api.PREFIX,
                open_paths=open_paths,
                others=bool(settings.user),
            )
        )
    if settings.user:
        middleware.append(
            Middleware(BasicAuth, user=settings.user, password=settings.password, open_paths=open_paths)
        )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for function in service.to_start:
            threading.Thread(target=function, daemon=True).start()
        yield
        await run_in_threadpool(service.close)

    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _not_there},
    )


async def _not_there(request: Request, error: Exception) -> Response:
    """Say in one sentence what Starlette says in two words."""
    assert isinstance(error, HTTPException)
    sentence = f"there is no {request.method} {shown(request.url.path)} here."
    if error.status_code == 405 and error.headers:
        sentence = f"{shown(request.url.path)} takes {error.headers['Allow']}, not {request.method}."
    return Json({"error": sentence, "kind": "Refused"}, error.status_code, error.headers)


def _own(service: Service) -> list[BaseRoute]:
    """Return the routes that belong to no door."""

    async def home(request: Request) -> Response:
        """Health for programs, the playground for people."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("playground")
        return await health(request)

    async def health(request: Request) -> Response:
        return Json(
            {
                "status": "UP",
                "model_class": "FCFI",
                "model_version": service.model.version,
                "model": service.model.state,
                "waiting": service.scheduler.waiting,
            }
        )

    async def metrics(request: Request) -> Response:
        text = await run_in_threadpool(service.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")

    return [Route("/", home), Route("/health", health), Route("/metrics", metrics)]
