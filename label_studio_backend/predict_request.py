"""The body of ``/predict``, checked once at the door."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from fcfi_core.allowance import checkpoint
from fcfi_core.errors import PromptError
from fcfi_core.serving.bodies import read_json
from fcfi_core.serving.scheduler import Turn
from label_studio_backend.prompts import DrawnObject, Region, from_context, unusable
from label_studio_backend.settings import as_list, as_mapping


@dataclass(frozen=True)
class Task:
    """One task of a request.

    Args:
        ident: Label Studio's number of it; None if it has none.
        data: what was imported; the image reference is in here.
        drafts, annotations, predictions: as Label Studio sends them; they grow with every saved mask.
    """

    ident: int | None
    data: Mapping[str, Any]
    drafts: tuple[Any, ...]
    annotations: tuple[Any, ...]
    predictions: tuple[Any, ...]

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the task in ``value``; raises PromptError if that is no JSON object."""
        if not isinstance(value, Mapping):
            raise PromptError("a task of the request is not an object; send what Label Studio sends.")
        ident = value.get("id")
        return cls(
            ident=ident if isinstance(ident, int) and not isinstance(ident, bool) else None,
            data=as_mapping(value.get("data")),
            drafts=tuple(as_list(value.get("drafts"))),
            annotations=tuple(as_list(value.get("annotations"))),
            predictions=tuple(as_list(value.get("predictions"))),
        )


@dataclass(frozen=True)
class PredictRequest:
    """What ``/predict`` was asked.

    Args:
        tasks: at least one.
        project: "<id>.<creation time>", or "".
        label_config: XML; parsed only when something has to be drawn.
        prompts: the objects clicked on; None for a batch call (no context).
        left_out: what of the context cannot be worked from, in words; often "".
    """

    tasks: tuple[Task, ...]
    project: str
    label_config: object
    prompts: tuple[DrawnObject, ...] | None
    left_out: str = ""

    @classmethod
    def parse(cls, body: bytes | Mapping[str, Any], background: str = "") -> Self:
        """Return the request in ``body``, JSON or its decoded form.

        Args:
            body: what was posted.
            background: the label that makes clicks negative, see :func:`from_context`.

        Raises:
            PromptError: if it is not what Label Studio sends, or nothing that was drawn can be worked from.
        """
        content: object = _decoded(body) if isinstance(body, bytes) else body
        if not isinstance(content, Mapping):
            raise PromptError("the request is not a JSON object; send what Label Studio sends.")
        tasks = content.get("tasks")
        if not isinstance(tasks, list) or not tasks:
            raise PromptError("the request holds no tasks; send what Label Studio sends.")
        project = content.get("project")
        context = as_mapping(content.get("params")).get("context")
        if not isinstance(context, Mapping | None):
            raise PromptError("the request's context is not an object; send what Label Studio sends.")
        drawn = () if context is None else as_list(context.get("result"))
        prompts, left_out = from_context(drawn, background), unusable(drawn)
        if left_out and not prompts:
            raise PromptError(
                f"nothing that was drawn can be worked from ({left_out}); click, or draw a box, an ellipse, "
                "a brush stroke or a polygon."
            )
        return cls(
            tasks=tuple(Task.parse(task) for task in tasks),
            project=str(project) if isinstance(project, str | int) else "",
            label_config=content.get("label_config"),
            prompts=None if context is None else tuple(prompts),
            left_out=left_out,
        )

    @property
    def turn(self) -> Turn | None:
        """Which other requests this one replaces; None where it stands alone."""
        if not self.prompts:
            return None
        regions = [region for prompt in self.prompts for region in _all(prompt)]
        first = regions[0]
        if not first.ident:
            return None
        return Turn(
            # Scripts may give the ids of the editor's dots out twice; the place of the first one tells.
            of=(self.project, self.tasks[0].ident, first.target, first.shape, first.ident, _digest([first])),
            regions=tuple(region.ident for region in regions),
            content=_digest(regions),
        )


def _digest(regions: Sequence[Region]) -> str:
    """Return a digest of all that an answer to ``regions`` depends on; a stroke has millions of numbers."""
    state = hashlib.blake2b(digest_size=16)
    for region in regions:
        checkpoint()
        drawn = region.value.get("rle")
        try:
            code = bytes(drawn) if isinstance(drawn, list) else b""
        except (TypeError, ValueError):  # no code: drawing it will say so
            code = repr(drawn).encode("utf-8", "surrogatepass")
        rest = {name: value for name, value in region.value.items() if name != "rle" or not code}
        state.update(repr((region.positive, len(code), rest)).encode("utf-8", "surrogatepass") + code)
    return state.hexdigest()


def _all(prompt: DrawnObject) -> list[Region]:
    return [region for region in (prompt.drawing, prompt.rectangle, *prompt.clicks) if region is not None]


def _decoded(body: bytes) -> object:
    try:
        return read_json(body)
    except ValueError:
        raise PromptError("the request is not valid JSON.") from None
