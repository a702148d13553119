"""The task or job on the CVAT server, read and written with cvat-sdk.

A frame's shapes are replaced in one request, which the server applies in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cvat_function.client import patiently

if TYPE_CHECKING:
    from cvat_sdk import Client


class Work:
    """The shapes and frames of one task or job.

    Args:
        client: logged in.
        task, job: id; exactly one is given.
    """

    def __init__(self, client: Client, *, task: int | None = None, job: int | None = None) -> None:
        self._entity: Any = patiently(
            lambda: client.tasks.retrieve(task) if job is None else client.jobs.retrieve(job),
            what=f"task {task}" if job is None else f"job {job}",
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
    if "score" not in models.LabeledShapeRequest.attribute_map:
        fields.pop("score", None)  # an older cvat-sdk, of a server without scores
    fields["attributes"] = [models.AttributeValRequest(**one) for one in shape["attributes"]]
    return models.LabeledShapeRequest(**fields)
