"""Pictures behind http(s) addresses: fetched from where they may come from, decoded, and kept.

Addresses come from strangers. Each is checked before a connection is made
(:class:`~fcfi_core.serving.transport.AddressGuard`), and so is each that a redirect leads to.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, quote, unquote, urljoin

from fcfi_core.errors import ImageError
from fcfi_core.images import LoadedImage
from fcfi_core.images.store import ImageStore, Known
from fcfi_core.serving.settings import ServingSettings
from fcfi_core.serving.transport import AddressGuard, Answer, exchange, parse_url, shown

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_EMBEDDED = re.compile(r"data:image/[\w.+-]+(;[\w=.+-]+)*;base64", re.IGNORECASE)

Ask = Callable[[SplitResult], Answer]
"""Sends one GET to an address."""


class AddressedImages:
    """Gets pictures by address; thread-safe.

    Args:
        settings: limits, and whose private addresses are fine.
        store: keeps the pictures.
    """

    def __init__(self, settings: ServingSettings, store: ImageStore) -> None:
        self._settings = settings
        self._guard = AddressGuard(settings.allowed_hosts)
        self._store = store

    def load(self, address: str) -> LoadedImage:
        """Return the picture at ``address``, upright RGB.

        Raises:
            ImageError: one sentence on what is wrong with the address, the server or the file.
        """
        url = parse_url(mended(address)).geturl()
        return self._store.get(url, lambda known: self._fetched(url, known))

    def _fetched(self, url: str, known: Known | None) -> tuple[LoadedImage, Known]:
        answer = self._asked(url, conditions(known))
        if answer.status == 304 and known is not None:
            image = self._store.image(known.digest)
            if image is not None:
                return image, Known(known.digest, known.validator, self._store.now())
            answer = self._asked(url, {})
        if answer.status != 200:
            raise ImageError(f"{shown(url)} answers with status {answer.status} instead of an image.")
        image = self._store.decoded(answer.body, self._settings.max_pixels)[0]
        return image, Known(image.digest, validator(answer), self._store.now())

    def _asked(self, url: str, headers: Mapping[str, str]) -> Answer:
        until = time.monotonic() + self._settings.image_seconds

        def ask(parts: SplitResult) -> Answer:
            return exchange(
                parts,
                self._guard.addresses(parts, trusted=False),
                headers=headers,
                most_bytes=self._settings.image_bytes,
                seconds=max(0.1, until - time.monotonic()),
            )

        return followed(url, ask)


def followed(url: str, ask: Ask, named: Callable[[SplitResult], str] = SplitResult.geturl) -> Answer:
    """Return the answer at the end of the redirects from ``url``; ``ask`` checks each address.

    Args:
        named: says under which address to ask for what a redirect leads to.

    Raises:
        ImageError: if there is no end of them.
    """
    for _ in range(_MOST_REDIRECTS + 1):
        answer = ask(parse_url(url))
        target = answer.headers.get("location", "")
        if answer.status not in _REDIRECTS or not target:
            return answer
        url = named(parse_url(urljoin(url, target)))
    raise ImageError(f"{shown(url)} redirects more than {_MOST_REDIRECTS} times.")


def embedded(address: str, most_bytes: int) -> bytes:
    """Return the file in an address of the form ``data:image/...;base64,...``.

    Raises:
        ImageError: if it is not of that form, or the file has more than ``most_bytes``.
    """
    head, comma, content = address.partition(",")
    if not comma or not _EMBEDDED.fullmatch(head.strip()):
        raise ImageError("the embedded image is not of the form data:image/png;base64,...")
    if len(content) * 3 // 4 > most_bytes:
        raise ImageError(f"the embedded image has more than {most_bytes / 1e6:g} MB.")
    try:
        return base64.b64decode(unquote(content), validate=False)
    except (binascii.Error, ValueError):
        raise ImageError("the embedded image is not valid base64.") from None


def mended(address: str) -> str:
    """Return ``address`` with spaces and umlauts written as addresses need it, as browsers do.

    Half a character, which JSON can hold and UTF-8 cannot, becomes a question mark.
    """
    return quote(address, safe="/%?&=:@!$'()*+,;~-._[]#", errors="replace")


def conditions(known: Known | None) -> dict[str, str]:
    """Return the headers that ask for a picture only if it changed."""
    if known is None or known.validator is None:
        return {}
    name, value = known.validator
    return {"If-None-Match" if name == "etag" else "If-Modified-Since": value}


def validator(answer: Answer) -> tuple[str, str] | None:
    """Return what to ask with, later, whether the picture changed; see :class:`Known`."""
    for name in ("etag", "last-modified"):
        value = answer.headers.get(name)
        if value and value.isprintable():
            return name, value
    return None
