"""A thin client of the plain API: pictures in, masks out, over HTTP.

It needs ``requests``, and neither a network nor weights on this machine (extra ``client``)::

    client = Client("http://127.0.0.1:9090")
    image = client.send("dog.jpg")
    answer = client.segment(image, [(320, 200)])
    answer.mask                                 # (H, W) bool

What the server refuses is raised as the error that the same fault raises in this process
(:mod:`fcfi_core.errors`), with the server's own sentence. A server that is busy is asked again after the time
it names. Any process behind a load balancer may answer: one that does not have the picture gets it again, in
the same request as the question.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import errors
from fcfi_core.clicks import Click
from fcfi_core.errors import BusyError, FcfiError, ImageError
from fcfi_core.masks import coco
from fcfi_core.masks.polygons import Polygon
from fcfi_core.plugins import missing
from fcfi_core.prompt import Clicks, Prompt, Rectangle

SECONDS = 100.0
"""How long an answer is waited for; servers give up before."""

PATIENCE = 60.0
"""How long a busy server is asked again, all tries together, seconds."""


class ConnectionFailed(FcfiError):
    """The server cannot be reached, or what answers is none of ours."""


class NotAllowed(FcfiError):
    """The server wants a token or a password, or does not serve the name it was called by."""


class UnknownImage(ImageError):
    """The server does not have this picture (any more)."""


@dataclass(frozen=True)
class SentImage:
    """A picture that the server knows.

    Attributes:
        image: its id.
        width, height: of the upright picture, pixels.
        notes: what was done to read it.
        source: the file or its bytes, to send it again where it is not known any more; None: by address.
    """

    image: str
    width: int
    height: int
    notes: tuple[str, ...] = ()
    source: bytes | Path | None = field(default=None, repr=False, compare=False)

    @property
    def content(self) -> bytes | None:
        """The file itself, if this client has it."""
        return _read(self.source) if isinstance(self.source, Path) else self.source


@dataclass(frozen=True, eq=False)
class Answer:
    """A mask, and what the server says of it.

    Attributes:
        mask: (H, W) bool.
        confidence: expected intersection over union with the truth, 0..1.
        clicks: those that ask for this mask.
        polygons: its outlines, if they were asked for.
        notes: what to know of it.
        candidates: the answers to choose from, if they were asked for.
        fields: all that the server answered, as it stood in JSON.
    """

    mask: NDArray[np.bool_]
    confidence: float
    clicks: tuple[Click, ...]
    polygons: tuple[Polygon, ...] = ()
    notes: tuple[str, ...] = ()
    candidates: tuple[Answer, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Answer:
        """Return the answer that is written in ``fields``."""
        return cls(
            coco.decode(fields["coco"]),
            float(fields["confidence"]),
            tuple(Click(**click) for click in fields["clicks"]),
            tuple(_polygon(part) for part in fields.get("polygons", ())),
            tuple(fields.get("notes", ())),
            tuple(cls.of(one) for one in fields.get("candidates", ())),
            fields,
        )


class Client:
    """Asks one server.

    Args:
        address: of the server, for example ``http://127.0.0.1:9090``; a path before ``/api/v1`` is kept.
        token: one of its ``FCFI_API_TOKENS``.
        password: (user, password), where it asks for these instead.
        seconds: how long an answer is waited for.

    Attributes:
        sent_again: how often a picture went along with a question because whoever answered did not have it.

    Raises:
        SettingsError: for an address that is none, or if ``requests`` is not installed.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        password: tuple[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        try:
            import requests
        except ImportError as error:
            raise errors.SettingsError(missing(error, "the client")) from None
        if not address.startswith(("http://", "https://")):
            raise errors.SettingsError(
                f"the server's address is {address!r}; give it whole, for example http://127.0.0.1:9090."
            )
        self._requests = requests
        self._site = f"{address.rstrip('/')}/api/v1"
        self._seconds = seconds
        self.sent_again = 0
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        elif password:
            self._session.auth = password

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self) -> dict[str, Any]:
        """Return how the server is: ``status``, ``version``, ``model``, ``waiting``."""
        return dict(self._asked("GET", "/health"))

    def models(self) -> list[dict[str, Any]]:
        """Return the models that answer there: ``name``, ``version``, ``variant``, ``engine``, ``device``."""
        return list(self._asked("GET", "/models")["models"])

    def send(self, image: str | os.PathLike[str] | bytes) -> SentImage:
        """Send a picture: a path, the bytes of a file, or an http(s) address that the server fetches.

        Raises:
            ImageError: if it cannot be read, here or there.
        """
        if isinstance(image, str) and image.startswith(("http://", "https://")):
            return self._sent(self._asked("POST", "/images", json={"address": image}), None)
        source = image if isinstance(image, bytes) else Path(image)
        content = _read(source) if isinstance(source, Path) else source
        kind = {"Content-Type": "application/octet-stream"}
        return self._sent(self._asked("POST", "/images", data=content, headers=kind), source)

    def segment(
        self,
        image: SentImage | str | os.PathLike[str] | bytes,
        clicks: Clicks | Prompt = (),
        box: Rectangle | None = None,
        prior_mask: NDArray[Any] | None = None,
        *,
        polygons: bool | Mapping[str, Any] = False,
        candidates: bool = False,
        **options: Any,
    ) -> Answer:
        """Return the mask for clicks, a box, a mask to correct; as :meth:`fcfi_core.Predictor.segment` does.

        Args:
            image: what :meth:`send` returned, or what it takes.
            clicks: in order, (x, y) or (x, y, positive); or a whole :class:`fcfi_core.Prompt`.
            box: x1, y1, x2, y2.
            prior_mask: (H, W) bool.
            polygons: also the outlines; a dictionary says how they follow the mask (``tolerance``,
                ``max_points``, ``holes``), for example ``{"holes": "bridge"}``.
            candidates: also all masks to choose from.
            options: further entries of the request, as the API's page tells them: ``finish``, ``choice``.

        Raises:
            PromptError, ImageError, BusyError, ...: what the server refuses, in its words.
        """
        sent = image if isinstance(image, SentImage) else self.send(image)
        prompt = clicks if isinstance(clicks, Prompt) else Prompt.of(clicks, box, prior_mask)
        asked = {"prompt": prompt.to_json(), "forms": ["coco"], "candidates": candidates, **options}
        if polygons is not False:
            asked["forms"] = ["coco", "polygons"]
        if isinstance(polygons, Mapping):
            asked["polygons"] = dict(polygons)
        try:
            return Answer.of(self._asked("POST", "/segment", json={"image": sent.image, **asked}))
        except UnknownImage:
            content = sent.content
            if content is None:
                raise
        self.sent_again += 1
        # Another process answers than the one that has the picture: send both to whichever comes next.
        files = {"image": ("image", content), "request": (None, json.dumps(asked), "application/json")}
        return Answer.of(self._asked("POST", "/segment", files=files))

    def propagate(
        self,
        image: SentImage | str | os.PathLike[str] | bytes,
        mask: NDArray[np.bool_],
        frames: Iterable[SentImage | str | os.PathLike[str] | bytes],
        *,
        at_once: int = 10,
    ) -> Iterator[NDArray[np.bool_]]:
        """Yield the object's mask in each of ``frames``, until it is lost.

        Args:
            image: the frame where it is known.
            mask: (H, W) bool, the object there.
            frames: the next ones, in order; all of one size.
            at_once: frames of one request.
        """
        first = image if isinstance(image, SentImage) else self.send(image)
        known: dict[str, Any] = {"mask": coco.encode(mask)}
        waiting = [frame if isinstance(frame, SentImage) else self.send(frame) for frame in frames]
        while waiting:
            batch, waiting = waiting[:at_once], waiting[at_once:]
            found = self._propagated(known, first if "mask" in known else None, batch)
            for frame in found["frames"]:
                yield coco.decode(frame["coco"])
            if found["lost"]:
                return
            known = {"state": found["state"]}

    def _propagated(
        self, known: Mapping[str, Any], first: SentImage | None, frames: Sequence[SentImage]
    ) -> Mapping[str, Any]:
        """Return the answer for some frames; ``first`` is the one that the mask in ``known`` lies on."""

        def ask(name: Callable[[SentImage], str]) -> Mapping[str, Any]:
            image = {} if first is None else {"image": name(first)}
            return self._asked(
                "POST", "/propagate", json={**known, **image, "frames": [name(one) for one in frames]}
            )

        try:
            return ask(lambda one: one.image)
        except UnknownImage:
            if any(one.source is None for one in (first, *frames) if one is not None):
                raise
        self.sent_again += 1
        return ask(_embedded)

    def _sent(self, facts: Mapping[str, Any], source: bytes | Path | None) -> SentImage:
        notes = tuple(facts["notes"])
        return SentImage(facts["image"], facts["width"], facts["height"], notes, source)

    def _asked(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        """Return the JSON of an answer; a busy server is asked again for a while."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._asked_once(method, path, **options)
            except BusyError as busy:
                if time.monotonic() + busy.retry_after > until:
                    raise
                time.sleep(busy.retry_after)

    def _asked_once(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        url = self._site + path
        try:
            answer = self._session.request(method, url, timeout=self._seconds, **options)
        except self._requests.RequestException as error:
            reason = str(error.__cause__ or error.__context__ or type(error).__name__)
            raise ConnectionFailed(
                f"{url} cannot be reached ({reason[:200]}); is the server running there?"
            ) from None
        try:
            fields = answer.json()
        except ValueError:
            fields = None
        if answer.ok and isinstance(fields, dict):
            return fields
        said = fields if isinstance(fields, dict) else {}
        raise _error(answer.status_code, said, answer.headers.get("Retry-After", ""), url)


def _error(status: int, said: Mapping[str, Any], retry_after: str, url: str) -> FcfiError:
    """Return the error that a refusal stands for."""
    sentence = str(said.get("error", ""))
    if not sentence:
        return ConnectionFailed(f"{url} answers with status {status} and no sentence; check the address.")
    if status in (401, 403):
        return NotAllowed(sentence)
    if status == 404 and said.get("kind") == "Refused":
        return UnknownImage(sentence)
    kind = getattr(errors, str(said.get("kind", "")), FcfiError)
    if kind is BusyError:
        return BusyError(sentence, retry_after=float(retry_after) if retry_after.isdigit() else 1.0)
    known = isinstance(kind, type) and issubclass(kind, FcfiError)
    return kind(sentence) if known else FcfiError(sentence)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"the picture {str(path)!r} cannot be read ({error.strerror}).") from None


def _embedded(sent: SentImage) -> str:
    return f"data:image/any;base64,{base64.b64encode(sent.content or b'').decode('ascii')}"


def _polygon(part: Mapping[str, Any]) -> Polygon:
    rings = [np.array(ring, np.float64).reshape(-1, 2) for ring in (part["exterior"], *part["holes"])]
    return Polygon(rings[0], tuple(rings[1:]))
