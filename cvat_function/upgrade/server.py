"""The task or job on the CVAT server, read and written with cvat-sdk.

A frame's shapes are replaced in one request, which the server applies in one transaction. Requests
that the server refuses for now (429, 503) are repeated when it asks, or after growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fcfi_core.errors import DataError

if TYPE_CHECKING:
    from argparse import Namespace

    from cvat_sdk import Client

Answer = TypeVar("Answer")

REFUSED_FOR_NOW = (429, 503)
ATTEMPTS = 8
LONGEST_PAUSE = 120.0


def connect(arguments: Namespace) -> Client:
    """Return a client logged in as ``arguments`` say, with cvat-sdk's own option names.

    Raises:
        DataError: if cvat-sdk is not installed, or the server refuses.
    """
    try:
        from cvat_sdk import exceptions
        from cvat_sdk.core.auth import get_auth_factory, make_client_from_cli
    except ImportError:
        raise DataError("cvat-sdk is not installed; run: pip install 'cvat-sdk[masks]>=2.80'.") from None
    from urllib3.exceptions import HTTPError

    arguments.auth = get_auth_factory(arguments.user) if arguments.user else None
    try:
        client = make_client_from_cli(arguments)
    except exceptions.ApiException as error:
        raise DataError(
            f"{arguments.server_host} refused the login: {error.status} {error.reason}."
        ) from None
    except (HTTPError, exceptions.CvatSdkException) as error:
        raise DataError(f"{arguments.server_host} cannot be reached: {error}") from None
    client.api_client.configuration.retries.allowed_methods = frozenset({"GET", "HEAD", "OPTIONS"})
    return client


def patiently(call: Callable[[], Answer], pause: Callable[[float], None] = time.sleep) -> Answer:
    """Return ``call()``, repeated while the server refuses for now.

    Raises:
        DataError: if the server refuses for good, or too often.
    """
    from cvat_sdk.exceptions import ApiException

    for attempt in range(ATTEMPTS):
        try:
            return call()
        except ApiException as error:
            if error.status not in REFUSED_FOR_NOW or attempt == ATTEMPTS - 1:
                raise DataError(
                    f"the server answered {error.status} {error.reason}; nothing was changed."
                ) from None
            pause(asked_pause(error.headers) or min(2.0**attempt, LONGEST_PAUSE))
    raise AssertionError("the last attempt returns or raises")


def asked_pause(headers: Mapping[str, str] | None) -> float:
    """Return the seconds of the header Retry-After, 0 if there is none in seconds."""
    text = (headers or {}).get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE) if text.isdigit() else 0.0


class Work:
    """The shapes and frames of one task or job.

    Args:
        client: logged in.
        task, job: id; exactly one is given.
    """

    def __init__(self, client: Client, *, task: int | None = None, job: int | None = None) -> None:
        self._entity: Any = patiently(
            lambda: client.tasks.retrieve(task) if job is None else client.jobs.retrieve(job)
        )
        self.name = f"task-{task}" if job is None else f"job-{job}"
        self.labels = {label.id: label for label in patiently(self._entity.get_labels)}
        self.deleted_frames = frozenset(patiently(self._entity.get_meta).deleted_frames)
        self.shapes: list[dict[str, Any]] = []
        self.tracks = 0
        self.refresh()

    def refresh(self) -> None:
        """Read the annotations anew."""
        data = patiently(self._entity.get_annotations)
        self.shapes = [_plain(shape.to_dict()) for shape in data.shapes]
        self.tracks = len(data.tracks)

    def label_name(self, label: int) -> str:
        """Return the name of the label with this id."""
        return self.labels[label].name if label in self.labels else f"label {label}"

    def accepts(self, label: int, kind: str) -> bool:
        """Return whether the label allows shapes of type ``kind``."""
        allowed = str(getattr(self.labels.get(label), "type", "any"))
        return allowed in ("any", kind)

    def frame(self, number: int) -> bytes:
        """Return the original file of a frame."""
        data: bytes = patiently(lambda: self._entity.get_frame(number, quality="original")).read()
        return data

    def write(self, shapes: Sequence[Mapping[str, Any]], *, replace: bool) -> None:
        """Write ``shapes``; with ``replace`` those with an id take the place of the one that has it.

        A lost answer does not tell whether the server did it: the annotations are then read anew, and
        written only if they are not there.
        """
        from cvat_sdk import models
        from cvat_sdk.core.proxies.annotations import AnnotationUpdateAction
        from cvat_sdk.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        action = AnnotationUpdateAction.UPDATE if replace else AnnotationUpdateAction.CREATE
        data = models.PatchedLabeledDataRequest(shapes=[_request(models, shape) for shape in shapes])

        def send() -> None:
            try:
                self._entity.update_annotations(data, action=action)
            except (HTTPError, ApiException) as error:
                if getattr(error, "status", 502) not in (502, 504):
                    raise
                self.refresh()
                if not self.holds(shapes):
                    raise ApiException(status=503, reason="no answer") from None

        patiently(send)

    def holds(self, shapes: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether all ``shapes`` are among the annotations last read."""
        known = {_identity(shape) for shape in self.shapes}
        return all(_identity(shape) in known for shape in shapes)


def _identity(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    return shape["type"], shape["frame"], shape["label_id"], tuple(float(value) for value in shape["points"])


def _plain(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shape's fields as plain values."""
    return {**shape, "type": str(shape["type"])}


def _request(models: Any, shape: Mapping[str, Any]) -> Any:
    fields = {**shape, "type": models.ShapeType(shape["type"])}
    fields["points"] = [float(value) for value in shape["points"]]
    fields["attributes"] = [models.AttributeValRequest(**one) for one in shape["attributes"]]
    return models.LabeledShapeRequest(**fields)
