"""Who may call the server: by which name, from which page, with which password or token.

A web page that somebody visits can make their browser send requests to addresses that only they can
reach, this server's among them. Two things give it away: the name that the browser believes to talk to
(``Host``; a name of the page's own that was made to lead here), and the page's origin (``Origin``). Neither
can be forged by a page.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from fcfi_core.errors import plain
from fcfi_core.serving.http import Json
from fcfi_core.serving.metrics import Metrics

logger = logging.getLogger("fcfi.serving")

_SAFE = ("GET", "HEAD", "OPTIONS")
_KNOWN = "fcfi.known"
"""In the scope of a request whose caller showed a token."""
_PRIVATE_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa")


class Names:
    """The names under which the server may be called.

    Addresses, names without a dot and names of private zones cannot be registered by a stranger and made
    to lead here; every other name must be listed.

    Args:
        listed: host names, with or without a port; ``*`` for any.
    """

    def __init__(self, listed: Collection[str]) -> None:
        self._any = "*" in listed
        self._listed = frozenset(listed)

    def serves(self, host: str) -> bool:
        """Return whether a request with this ``Host`` is meant for us."""
        if self._any:
            return True
        name, whole = _name(host), host.lower().rstrip(".")
        if name is None:
            return False
        if (
            name in self._listed
            or whole in self._listed
            or "." not in name
            or name.endswith(_PRIVATE_ENDINGS)
        ):
            return True
        return _is_address(name)

    def trusts(self, origin: str, host: str) -> bool:
        """Return whether a page of ``origin`` may change something here, asked as ``host``."""
        try:
            parts = urlsplit(origin.lower())
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False  # "null", an extension, a file
        port = {"http": ":80", "https": ":443"}[parts.scheme]
        ours = host.lower()
        # Behind a proxy that ends TLS, the origin is https while we are asked by http.
        if parts.netloc.removesuffix(port) in (ours, ours.removesuffix(":80"), ours.removesuffix(":443")):
            return True
        return parts.netloc in self._listed or _name(parts.netloc) in self._listed


class KnownCallers:
    """Refuses requests for other names, and changes that another page asks for.

    Args:
        listed: see :class:`Names`.
    """

    def __init__(self, app: ASGIApp, listed: Collection[str]) -> None:
        self._app = app
        self._names = Names(listed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := self._stranger(scope)):
            logger.warning("refused: %s", plain(reason))
            await Json({"error": reason, "kind": "Refused"}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _stranger(self, scope: Scope) -> str:
        """Return why the request is refused; "" if it is not."""
        headers = _headers(scope)
        host = headers.get("host", "")
        if host and not self._names.serves(host):
            return (
                f"this server was called {host[:200]!r}, which is not its name; if it is, add the name to "
                "FCFI_SERVED_HOSTS."
            )
        if scope["method"] in _SAFE:
            return ""
        origin = headers.get("origin")
        if origin is not None and not self._names.trusts(origin, host):
            return (
                f"a page of {origin[:200]!r} asked for this, which is another server; if it is this one "
                "behind a proxy, add its name to FCFI_SERVED_HOSTS."
            )
        if origin is None and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return "a page of another server asked for this."
        return ""


class BasicAuth:
    """Asks for a user and a password, everywhere but at some paths.

    Args:
        user, password: what to send.
        open_paths: where nobody is asked.
    """

    def __init__(self, app: ASGIApp, user: str, password: str, open_paths: Collection[str] = ()) -> None:
        self._app = app
        self._open = frozenset(open_paths)
        text = f"{user}:{password}"
        self._expected = [text.encode()]
        with suppress(UnicodeEncodeError):  # Browsers send UTF-8, some platforms Latin-1.
            self._expected.append(text.encode("latin-1"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] != "http" or scope["path"] in self._open or _KNOWN in scope
        if known or self._knows(scope):
            await self._app(scope, receive, send)
            return
        challenge = {"WWW-Authenticate": 'Basic realm="fcfi", charset="UTF-8"'}
        refused = {"error": "user or password is missing or wrong.", "kind": "Refused"}
        await Json(refused, 401, challenge)(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = _headers(scope).get("authorization", "")
        kind, _, coded = given.partition(" ")
        try:
            sent = base64.b64decode(coded.strip(), validate=True)
        except (binascii.Error, ValueError):
            sent = b""
        matches = [hmac.compare_digest(sent, expected) for expected in self._expected]
        return any(matches) and kind.lower() == "basic"


class BearerTokens:
    """Asks for a token below one path; whoever has one needs no password there.

    Args:
        tokens: any of them will do.
        below: the path.
        open_paths: where nobody is asked.
        others: whether those without a token may still show that they have a password.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Collection[str],
        below: str,
        open_paths: Collection[str] = (),
        *,
        others: bool = False,
    ) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens]
        self._below = below
        self._open = frozenset(open_paths)
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._guards(scope["path"]):
            if self._knows(scope):
                scope = {**scope, _KNOWN: True}
            elif not self._others:
                refused = {"error": "the token is missing or wrong; send one as Authorization: Bearer TOKEN."}
                challenge = {"WWW-Authenticate": 'Bearer realm="fcfi"'}
                await Json({**refused, "kind": "Refused"}, 401, challenge)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _guards(self, path: str) -> bool:
        return path not in self._open and (path == self._below or path.startswith(f"{self._below}/"))

    def _knows(self, scope: Scope) -> bool:
        kind, _, sent = _headers(scope).get("authorization", "").partition(" ")
        # Headers are read as Latin-1; tokens are ASCII.
        sent_bytes = sent.strip().encode("latin-1")
        matches = [hmac.compare_digest(sent_bytes, token) for token in self._tokens]
        return any(matches) and kind.lower() == "bearer"


class Counted:
    """Counts answers by route and status.

    Args:
        known: first parts of paths that are counted by name; all others are "other".
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, known: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._known = frozenset(known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        first = scope["path"].strip("/").split("/")[0]
        endpoint = "/" + first if first in self._known else "other"

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(endpoint, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, sending)


def _headers(scope: Scope) -> Mapping[str, str]:
    """Return the headers by name, the first of each."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _name(host: str) -> str | None:
    """Return the name in a ``Host`` header, in lower case, without port and final dot; None if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname
        _ = parts.port
    except ValueError:
        return None
    if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return name.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return True
