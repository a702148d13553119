"""From what a task says about its image to the image: every form Label Studio knows, through one door.

Task data is written by annotators and imports, so it is not trusted:

=========================================  ===============================================================
reference                                  what happens
=========================================  ===============================================================
``/data/...``, ``/storage-data/...``       asked of Label Studio, with the token; a sub-path in front is
                                           replaced by the one in Label Studio's address
``upload/...``                             the same, as Label Studio's SDK writes it
``http(s)://<Label Studio>/...``           the same, also under its other names; the token goes to these paths
                                           below Label Studio's address only, to no other application there
``s3://``, ``gs://``, ``azure-blob://``    Label Studio's presign route, which redirects or relays
other ``http(s)://``                       fetched without token, from public or allowed addresses only
``data:image/...;base64,...``              decoded
anything else                              refused
=========================================  ===============================================================

Every redirect is checked like a first address.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from fcfi_core.errors import ImageError
from fcfi_core.images import LoadedImage
from fcfi_core.images.store import ImageStore, Known
from fcfi_core.serving.addresses import conditions, embedded, followed, mended, validator
from fcfi_core.serving.transport import (
    AddressGuard,
    Answer,
    exchange,
    origin,
    parse_url,
    port_of,
    shown,
)
from label_studio_backend.settings import Settings
from label_studio_backend.tokens import Token

CLOUD = ("s3://", "gs://", "azure-blob://")
_MEDIA = re.compile(
    r"((?:/[^/]+)*?)"
    r"(/(?:data/(?:upload|local-files)|storage-data/uploaded|(?:tasks|projects)/\d+/(?:resolve|presign))/.*)"
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_JSON_BYTES = 1_000_000


@dataclass
class Stages:
    """Milliseconds spent on getting an image."""

    fetch: float = 0.0
    decode: float = 0.0


class ImageResolver:
    """Gets images for tasks; thread-safe.

    Args:
        settings: addresses, limits and the token.
        store: keeps the images; None: one of its own.
    """

    def __init__(self, settings: Settings, store: ImageStore | None = None) -> None:
        self._settings = settings
        self._guard = AddressGuard(settings.allowed_hosts)
        self._home = urlsplit(settings.label_studio_url.rstrip("/")) if settings.label_studio_url else None
        self._names = tuple(urlsplit(name.rstrip("/")) for name in settings.label_studio_names)
        self.token = Token(settings.label_studio_token, self._exchange_token)
        self.cache = store or ImageStore(settings.image_cache_bytes, settings.image_fresh_seconds)

    def load(self, reference: str, task_id: int | None = None) -> tuple[LoadedImage, Stages]:
        """Return the image that ``reference`` means, upright RGB, and what it took.

        Args:
            reference: the value in the task's data.
            task_id: Label Studio signs cloud addresses for a task.

        Raises:
            ImageError: one sentence on what is wrong with the reference, the server or the file.
        """
        stages = Stages()
        if reference[:5].lower() == "data:":
            return self._of_content(embedded(reference, self._settings.image_bytes), stages), stages
        local = self._local_file(reference)
        if local is not None:
            return self._of_content(self._read(local), stages), stages
        url = self.address(reference, task_id)

        def fetch(known: Known | None) -> tuple[LoadedImage, Known]:
            start = time.perf_counter()
            answer = self._fetch(url, known)
            if answer.status == 404 and "/data/upload/" in url:
                answer = self._fetch(_stored_upload(url), None)
            stages.fetch = 1000 * (time.perf_counter() - start)
            if answer.status == 304 and known is not None:
                image = self.cache.image(known.digest)
                if image is not None:
                    return image, Known(known.digest, known.validator, self.cache.now())
                answer = self._fetch(url, None)
            if answer.status != 200:
                raise ImageError(self._refusal(answer, url, reference))
            image, digest = self._decoded(answer.body, stages)
            return image, Known(digest, validator(answer), self.cache.now())

        return self.cache.get(url, fetch), stages

    def address(self, reference: str, task_id: int | None = None) -> str:
        """Return the http(s) address behind ``reference``; raises ImageError if there is none."""
        if reference.lower().startswith(CLOUD):
            if task_id is None:
                raise ImageError(
                    f"the image {shown(reference)} needs a task id, which the request does not hold."
                )
            coded = base64.urlsafe_b64encode(reference.encode("utf-8", "replace")).decode()
            return f"{self._base(reference)}/tasks/{task_id}/presign/?fileuri={quote(coded)}"
        if reference.startswith(("upload/", "/upload/")):
            reference = "/data/" + reference.lstrip("/")
        if reference.startswith("/") and not reference.startswith(("//", "/\\")):
            reference = re.sub(r"^((?:/[^/?]+)*/data/local-files)\?", r"\1/?", reference)
            base = self._base(reference)
            coded = quote(reference, safe="/%?&=:@!$'()*+,;~-._", errors="replace")
            media = _media(parse_url(base.removesuffix(urlsplit(base).path) + coded))
            if media is None:
                raise ImageError(
                    f"the image path {shown(reference)} is none that Label Studio serves images from."
                )
            return base + media[1]
        if reference.lower().startswith(("http://", "https://")):
            return self._at_home(parse_url(mended(reference)))
        raise ImageError(
            f"the image {shown(reference)} is no address that can be read; use an upload, a storage, http(s) "
            "or data:image."
        )

    def _base(self, reference: str) -> str:
        if self._home is None:
            raise ImageError(
                f"the image {shown(reference)} lies in Label Studio, whose address is unknown here; "
                "set LABEL_STUDIO_URL (like http://label-studio.example:8080) and LABEL_STUDIO_API_KEY."
            )
        return self._settings.label_studio_url.rstrip("/")

    def _at_home(self, parts: SplitResult) -> str:
        """Return the address; that of Label Studio's own, if it is an image there under another name."""
        media = _media(parts)
        if media is not None and self._home is not None:
            for name in (self._home, *self._names):
                if media[0] == name.path and _same_server(parts, name):
                    return self._base("") + media[1]
        return parts.geturl()

    def _is_home(self, parts: SplitResult) -> bool:
        return self._home is not None and origin(parts) == origin(self._home)

    def _takes_token(self, parts: SplitResult) -> bool:
        """Return whether the address is an image's below Label Studio's: nothing else sees the token."""
        media = _media(parts)
        return self._is_home(parts) and media is not None and media[0] == (self._home or parts).path

    def _other_name(self, parts: SplitResult) -> str:
        """Return what to set if ``parts`` is Label Studio under another name, which it looks like, or ""."""
        media = _media(parts)
        if self._home is None or media is None or self._takes_token(parts):
            return ""
        there = f"{parts.scheme}://{parts.netloc}{media[0]}"
        return (
            f" If {there} is Label Studio, whose address here is {self._home.geturl()} (LABEL_STUDIO_URL), "
            f"set FCFI_LABEL_STUDIO_NAMES={there}."
        )

    def _fetch(self, url: str, known: Known | None) -> Answer:
        """Return the answer to a GET of ``url``, redirects followed and each checked."""
        until = time.monotonic() + self._settings.image_seconds
        headers = conditions(known)

        def ask(parts: SplitResult) -> Answer:
            answer = self._ask(parts, headers, until)
            asks_to_log_in = "/user/login" in answer.headers.get("location", "")
            return Answer(401, {}, b"") if asks_to_log_in else answer

        return followed(url, ask, self._at_home)

    def _ask(
        self, parts: SplitResult, headers: dict[str, str], until: float, *, retry: bool = True
    ) -> Answer:
        with_token = self._takes_token(parts)
        credentials = self.token.headers() if with_token else {}
        try:
            answer = exchange(
                parts,
                self._guard.addresses(parts, trusted=self._is_home(parts)),
                headers={**headers, **credentials},
                most_bytes=self._settings.image_bytes,
                seconds=max(0.1, until - time.monotonic()),
            )
        except ImageError as error:
            raise ImageError(f"{error}{self._other_name(parts)}") from None
        if answer.status == 401 and with_token and retry and self.token.kind == "personal":
            self.token.forget_access()
            return self._ask(parts, headers, until, retry=False)
        return answer

    def _exchange_token(self, personal: str) -> str:
        """Return a short-lived access token for a personal access token."""
        parts = parse_url(f"{self._base('token')}/api/token/refresh/")
        answer = exchange(
            parts,
            self._guard.addresses(parts, trusted=True),
            method="POST",
            headers={"Content-Type": "application/json"},
            body=json.dumps({"refresh": personal}).encode(),
            most_bytes=_JSON_BYTES,
            seconds=self._settings.image_seconds,
        )
        try:
            access = json.loads(answer.body)["access"] if answer.status == 200 else None
        except (ValueError, KeyError, TypeError):
            access = None
        if not isinstance(access, str):
            raise ImageError(
                f"Label Studio does not accept the personal access token (status {answer.status}); "
                "put a valid one into LABEL_STUDIO_API_KEY."
            )
        return access

    def _refusal(self, answer: Answer, url: str, reference: str) -> str:
        if answer.status in (401, 403) and self._takes_token(urlsplit(url)):
            if self.token.kind == "none":
                return f"Label Studio wants a token for {shown(url)}; set LABEL_STUDIO_API_KEY."
            kind = {"personal": "personal access", "access": "short-lived access"}.get(
                self.token.kind, self.token.kind
            )
            return (
                f"Label Studio refuses the {kind} token for {shown(url)} (status {answer.status}); check "
                "LABEL_STUDIO_API_KEY, that its user may see the project"
                + (", and that legacy tokens are switched on." if self.token.kind == "legacy" else ".")
            )
        said = f"{shown(url)} answers with status {answer.status} instead of an image."
        path = re.match(r"((?:/[^/]+)*?)/(?:data|storage-data)/", reference)
        if path and path[1] and self._home is not None and path[1] != self._home.path:
            said += (
                f" The task says {shown(reference)}: if Label Studio lies below {path[1]}, let "
                f"LABEL_STUDIO_URL ({self._home.geturl()}) end in it."
            )
        return said + self._other_name(urlsplit(url))

    def _local_file(self, reference: str) -> Path | None:
        """Return the file behind a local-files reference, if this backend serves them itself."""
        root = self._settings.local_files_root
        parts = (
            urlsplit(reference) if reference.startswith("/") and "/data/local-files/" in reference else None
        )
        if not root or parts is None:
            return None
        wanted = parse_qs(parts.query).get("d", [""])[0]
        folder = Path(os.path.realpath(root))
        try:
            file = Path(os.path.realpath(folder / wanted.lstrip("/")))
            inside = file.is_relative_to(folder) and file.is_file()
        except (OSError, ValueError, RuntimeError):
            inside = False
        if not inside:
            raise ImageError(f"the local file {shown(wanted)} does not exist in FCFI_LOCAL_FILES_ROOT.")
        return file

    def _read(self, file: Path) -> bytes:
        try:
            with file.open("rb") as stream:
                content = stream.read(self._settings.image_bytes + 1)
        except OSError as error:
            raise ImageError(f"the local file {file.name!r} cannot be read ({error.strerror}).") from None
        if len(content) > self._settings.image_bytes:
            raise ImageError(
                f"the local file {file.name!r} has more than {self._settings.image_bytes / 1e6:g} MB."
            )
        return content

    def _of_content(self, content: bytes, stages: Stages) -> LoadedImage:
        """Return the image in ``content``, which is at hand anew for every request."""
        image, stages.decode = self.cache.decoded(content, self._settings.max_pixels)
        return image

    def _decoded(self, content: bytes, stages: Stages) -> tuple[LoadedImage, str]:
        image = self._of_content(content, stages)
        return image, image.digest


def _media(parts: SplitResult) -> tuple[str, str] | None:
    """Return (sub-path, the rest with its query) of an address from which Label Studio serves images.

    None for other paths, and for those with a way out of them.
    """
    path = parts.path
    for _ in range(3):
        path = unquote(path)
    found = _MEDIA.fullmatch(parts.path)
    if found is None or {"..", "."} & set(re.split(r"[/\\]", path)):
        return None
    return found[1], found[2] + (f"?{parts.query}" if parts.query else "")


def _same_server(one: SplitResult, other: SplitResult) -> bool:
    """Return whether both addresses are of one server; the names of this machine are one."""
    loopback = one.hostname in _LOOPBACK and other.hostname in _LOOPBACK
    return origin(one) == origin(other) or (
        loopback and one.scheme == other.scheme and port_of(one) == port_of(other)
    )


def _stored_upload(url: str) -> str:
    """Return the other route to an upload, for Label Studio instances that keep uploads in a cloud."""
    before, _, name = url.partition("/data/upload/")
    return f"{before}/storage-data/uploaded/?filepath=upload/{name}"
