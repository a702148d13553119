"""The OpenAPI document of the plain API, made of :mod:`messages` and of one table of operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as package_version
from typing import Any

import msgspec

from fcfi_core.serving.api import messages

PREFIX = "/api/v1"

_REFERENCE = "#/components/schemas/{name}"

_REFUSALS: Mapping[str, str] = {
    "400": "Something in the request cannot be used.",
    "401": "A token, or user and password, is missing or wrong.",
    "403": "Called under a name that is not the server's, or by a page of another server.",
    "404": "There is no such picture in the server's memory (any more); send it again.",
    "408": "The request did not come in time.",
    "413": "The request is too large.",
    "415": "The request is of a kind that is not taken here.",
    "503": "The server is busy, or its weights are not there; `Retry-After` says when to try again.",
}

_ALWAYS = ("401", "403", "503")
_OF_BODIES = ("400", "408", "413", "415")
_FILE = {"type": "string", "format": "binary"}


@dataclass(frozen=True)
class _Operation:
    """One thing to ask for.

    Attributes:
        name: for generated clients.
        path: below the prefix.
        summary, description: for people.
        answer: the body of the answer; its status is ``status``.
        body: what may be sent, by its kind; empty: nothing.
        pictures: whether it names pictures, which may be gone.
        png: whether the answer can also be a file.
    """

    name: str
    method: str
    path: str
    summary: str
    description: str
    answer: type[messages.Said]
    status: str = "200"
    body: Mapping[str, Mapping[str, Any]] | None = None
    pictures: bool = False
    png: bool = False


def _of(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _form(required: list[str], **parts: Any) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": required, "properties": parts}}


_OPERATIONS = (
    _Operation(
        "health",
        "get",
        "/health",
        "Whether the server answers",
        "Answered while the weights are still being loaded, too.",
        messages.Health,
    ),
    _Operation(
        "models",
        "get",
        "/models",
        "What answers here",
        "A server answers with one model; which one, its operator chooses.",
        messages.Models,
    ),
    _Operation(
        "sendImage",
        "post",
        "/images",
        "Send a picture",
        "The file itself (JPEG, PNG, WebP, BMP, TIFF, GIF; HEIC and AVIF by an extra), as body or as the "
        "part `image` of a form; or its address. It is kept until others need its place.",
        messages.ImageFacts,
        "201",
        {
            "application/octet-stream": {"schema": _FILE},
            "image/*": {"schema": _FILE},
            "multipart/form-data": _form(["image"], image=_FILE),
            "application/json": {"schema": _of(messages.Address)},
        },
        pictures=True,
    ),
    _Operation(
        "imageFacts",
        "get",
        "/images/{image}",
        "Whether a picture is still there",
        "",
        messages.ImageFacts,
        pictures=True,
    ),
    _Operation(
        "segment",
        "post",
        "/segment",
        "Get the mask of one object",
        "By clicks in order, a box, a mask to correct, or several of them. The same question has the same "
        "answer, whichever process it comes to. In a form, `request` holds the JSON, and `image` the "
        "file. With `Accept: image/png` the answer is the mask alone, as a file.",
        messages.Segmented,
        body={
            "application/json": {"schema": _of(messages.Segment)},
            "multipart/form-data": {
                **_form(["image", "request"], image=_FILE, request=_of(messages.SegmentOptions)),
                "encoding": {"request": {"contentType": "application/json"}},
            },
        },
        pictures=True,
        png=True,
    ),
    _Operation(
        "propagate",
        "post",
        "/propagate",
        "Follow an object through frames",
        "From its mask in one frame to the next ones, until it is lost.",
        messages.Propagated,
        body={"application/json": {"schema": _of(messages.Propagate)}},
        pictures=True,
    ),
)

_DESCRIPTION = """Click segmentation for every tool: send a picture, ask with clicks, get a mask.

Coordinates are pixels of the upright picture, x from the left, y from the top, the first pixel 0. A mask is
a function of picture and prompt: nothing else is kept between requests, and any process of a group gives the
same answer."""


@cache
def openapi() -> dict[str, Any]:
    """Return the document, as plain values."""
    bodies = [messages.Address, messages.Segment, messages.SegmentOptions, messages.Propagate]
    kinds = [*bodies, messages.Refusal, *(operation.answer for operation in _OPERATIONS)]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    paths: dict[str, Any] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FCFI",
            "version": package_version("fcfi"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "security": [{}, {"token": []}, {"password": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "One of FCFI_API_TOKENS."},
                "password": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "BASIC_AUTH_USER and BASIC_AUTH_PASS.",
                },
            },
        },
    }


def _described(operation: _Operation) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _of(operation.answer)}}
    if operation.png:
        content["image/png"] = {"schema": _FILE}
    statuses = [*_ALWAYS, *(_OF_BODIES if operation.body else ()), *(["404"] if operation.pictures else ())]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "responses": {
            operation.status: {"description": "The answer.", "content": content},
            **{status: _refused(status) for status in sorted(statuses)},
        },
    }
    if "{image}" in operation.path:
        described["parameters"] = [
            {
                "name": "image",
                "in": "path",
                "required": True,
                "description": "The id of a picture.",
                "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            }
        ]
    if operation.body:
        described["requestBody"] = {"required": True, "content": dict(operation.body)}
    return described


def _refused(status: str) -> dict[str, Any]:
    refused: dict[str, Any] = {
        "description": _REFUSALS[status],
        "content": {"application/json": {"schema": _of(messages.Refusal)}},
    }
    if status == "503":
        refused["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return refused
