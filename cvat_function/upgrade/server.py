"""The task or job on the CVAT server, read and written with cvat-sdk.

A frame's shapes are replaced in one request, which the server applies in one transaction. Requests
that the server refuses for now (429, 503) are repeated when it asks, or after growing pauses.
"""

from __future__ import annotations

import getpass
import os
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
    """Return a client logged in as the command line's ``arguments`` say.

    Uses what every cvat-sdk since 2.12 offers: the SDK should be as old as the server.

    Raises:
        DataError: if cvat-sdk is not installed, the server is not there, or it refuses.
    """
    try:
        from cvat_sdk import Client, Config, exceptions
    except ImportError:
        raise DataError(
            "cvat-sdk is not installed; run pip install cvat-sdk (of your server's version)."
        ) from None
    from urllib3.exceptions import HTTPError

    host = arguments.server_host.rstrip("/")
    url = f"{host}:{arguments.server_port}" if arguments.server_port else host
    try:
        client = Client(url, config=Config(verify_ssl=not arguments.insecure), check_server_version=False)
        client.login(_credentials(arguments.user))
    except exceptions.ApiException as error:
        raise DataError(f"{url} refused the login: {error.status} {error.reason}.") from None
    except (HTTPError, exceptions.CvatSdkException) as error:
        raise DataError(f"{url} cannot be reached: {error}.") from None
    if arguments.organization is not None:
        client.organization_slug = arguments.organization
    # A lost answer to a write must not be asked for again blindly: see Work.write.
    client.api_client.configuration.retries.allowed_methods = frozenset({"GET", "HEAD", "OPTIONS"})
    return client


def _credentials(user: str | None) -> Any:
    """Return what the login needs: ``USER[:PASSWORD]``, or the token in CVAT_ACCESS_TOKEN."""
    if user is not None:
        name, _, password = user.partition(":")
        return name, password or os.environ.get("PASS") or getpass.getpass(f"Password of {name}: ")
    token = os.environ.get("CVAT_ACCESS_TOKEN")
    if not token:
        raise DataError("no login was given; add --user NAME, or set CVAT_ACCESS_TOKEN.")
    from cvat_sdk.core.client import AccessTokenCredentials

    return AccessTokenCredentials(token)


def patiently(call: Callable[[], Answer]) -> Answer:
    """Return ``call()``, repeated while the server refuses for now.

    Raises:
        DataError: if the server refuses for good or too often, is gone, or speaks another version.
    """
    from cvat_sdk.exceptions import ApiException, OpenApiException
    from urllib3.exceptions import HTTPError

    for attempt in range(ATTEMPTS):
        try:
            return call()
        except ApiException as error:
            if error.status not in REFUSED_FOR_NOW or attempt == ATTEMPTS - 1:
                why = f"{error.status} {error.reason}"
                raise DataError(f"the server answered {why}; this request changed nothing.") from None
            time.sleep(asked_pause(error.headers) or min(2.0**attempt, LONGEST_PAUSE))
        except HTTPError as error:
            raise DataError(f"the server cannot be reached: {error}.") from None
        except (OpenApiException, TypeError) as error:
            raise DataError(
                f"cvat-sdk cannot read the server's answer ({error}); install the server's version of it."
            ) from None
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
        self._host = client.api_client.configuration.host
        self._jobs: list[Any] = patiently(self._entity.get_jobs) if job is None else [self._entity]
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

    def page(self, frame: int) -> str:
        """Return the address at which a person sees the frame."""
        for job in self._jobs:
            if job.start_frame <= frame <= job.stop_frame:
                return f"{self._host}/tasks/{job.task_id}/jobs/{job.id}?frame={frame}"
        return f"{self._host}/tasks"

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
