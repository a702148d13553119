"""What ``fcfi rank`` found, as prediction scores of tasks.

Label Studio's data manager sorts tasks by the scores of their predictions, and its *uncertainty sampling*
hands out those of the lowest score first. So each task gets one prediction without regions, whose score is
one minus the need. A repeated run replaces the predictions of the last one and leaves all others alone.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from fcfi_core.datasets.photos import UPLOAD_PREFIX
from fcfi_core.errors import DataError
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.projects import entries_of, stored_name, tasks_of
from label_studio_backend.settings import as_mapping

MODEL_VERSION = "fcfi-rank"
"""Of these predictions; they are told from others by it."""

_BATCH = 500


@dataclass(frozen=True)
class Ranked:
    """One row of the table.

    Args:
        image: name of the picture in the source.
        id: the source's number of it, as it stands there; "" without.
        need: 0 to 1.
    """

    image: str
    id: str
    need: float


@dataclass(frozen=True)
class Sent:
    """What came of it: numbers of tasks.

    Args:
        scored: that got a score.
        unknown: rows that no task has the picture of.
        unclear: rows whose picture several tasks have.
        shown: the model version whose predictions the project shows and sorts by.
    """

    scored: int
    unknown: int
    unclear: int
    shown: str


def read(path: Path) -> list[Ranked]:
    """Return the rows of a table of ``fcfi rank``, without those that could not be judged.

    Raises:
        DataError: if it is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                Ranked(row["image"], row["id"], min(max(float(row["need"]), 0.0), 1.0))
                for row in csv.DictReader(file)
                if not row["error"]
            ]
        if any(math.isnan(one.need) for one in rows):
            raise ValueError("a need is no number")
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error.strerror}; give the table of `fcfi rank`."
        ) from None
    except (KeyError, ValueError, TypeError, csv.Error):
        raise DataError(
            f"{str(path)!r} is no table of `fcfi rank`; make it with `fcfi rank --out`."
        ) from None
    if not rows:
        raise DataError(f"{str(path)!r} holds no image that could be judged.")
    return rows


def send(server: LabelStudio, project: int, ranked: Sequence[Ranked]) -> Sent:
    """Give the tasks of ``project`` their scores.

    A task is known by its picture's name; where several have one name, by its number too, which a table made
    from an export of the project holds.

    Raises:
        DataError: if Label Studio refuses.
    """
    tasks: dict[str, list[int]] = defaultdict(list)
    for task in tasks_of(server, project):
        for value in as_mapping(task.get("data")).values():
            if isinstance(value, str):
                name = PurePosixPath(unquote(urlsplit(value).path)).name
                tasks[UPLOAD_PREFIX.sub("", name)].append(int(task["id"]))
    found: dict[int, float] = {}
    unknown = unclear = 0
    for one in ranked:
        name = PurePosixPath(one.image).name
        numbers = tasks.get(UPLOAD_PREFIX.sub("", name)) or tasks.get(stored_name(name)) or []
        mine = [number for number in numbers if str(number) == one.id] or numbers
        if len(mine) == 1:
            found[mine[0]] = one.need
        elif mine:
            unclear += 1
        else:
            unknown += 1
    if found:
        _forget(server, project)
    entries = [
        {"task": task, "result": [], "score": round(1 - need, 4), "model_version": MODEL_VERSION}
        for task, need in found.items()
    ]
    for start in range(0, len(entries), _BATCH):
        server.post(f"/api/projects/{project}/import/predictions", entries[start : start + _BATCH])
    return Sent(len(found), unknown, unclear, _chosen(server, project) if found else "")


def _chosen(server: LabelStudio, project: int) -> str:
    """Return the version whose scores the project sorts by: ours, unless somebody chose another one."""
    path = f"/api/projects/{project}"
    version = as_mapping(server.get(path)).get("model_version")
    if version:
        return str(version)
    server.patch(path, {"model_version": MODEL_VERSION})
    return MODEL_VERSION


def _forget(server: LabelStudio, project: int) -> None:
    """Delete the predictions of an earlier run."""
    for entry in entries_of(server.get(f"/api/predictions?project={project}")):
        if entry.get("model_version") == MODEL_VERSION:
            server.delete(f"/api/predictions/{int(entry['id'])}")
