"""Projects in Label Studio: made where they are not there yet, so that setting up can be repeated."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from fcfi_core.datasets.photos import UPLOAD_PREFIX
from fcfi_core.errors import DataError
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.settings import as_list, as_mapping

SHOWN = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
"""Suffixes of pictures that Label Studio takes as uploads; one file of another kind makes it refuse a whole
request."""

_PAGE = 100
_BATCH_FILES = 50
_BATCH_BYTES = 50_000_000


def find(server: LabelStudio, title: str) -> dict[str, Any] | None:
    """Return the project called ``title``, as Label Studio describes it; the newest of several, or None."""
    path = f"/api/projects?title={quote(title)}&include=id,title,label_config&page_size={_PAGE}"
    found = [project for project in _pages(server, path, "results") if project.get("title") == title]
    return max(found, key=lambda project: int(project["id"]), default=None)


def find_or_create(server: LabelStudio, title: str, config: str) -> tuple[int, bool]:
    """Return (number, whether it is new) of the project called ``title`` with the config ``config``.

    Raises:
        DataError: if there is one with another config: annotations may depend on it.
    """
    known = find(server, title)
    if known is None:
        return int(server.post("/api/projects", {"title": title, "label_config": config})["id"]), True
    number = int(known["id"])
    if not _same_config(str(known.get("label_config") or ""), config):
        raise DataError(
            f"project {number} is called {title!r} already, with another labelling config; give another "
            "--title, or change its config in Label Studio (Settings > Labeling Interface)."
        )
    return number, False


def _same_config(one: str, other: str) -> bool:
    """Return whether two configs say the same, however they are indented."""

    def parts(text: str) -> list[Any]:
        return [
            (element.tag, sorted(element.attrib.items())) for element in ElementTree.fromstring(text).iter()
        ]

    try:
        return parts(one) == parts(other)
    except ElementTree.ParseError:
        return False


def missing(server: LabelStudio, project: int, files: Sequence[Path]) -> list[Path]:
    """Return those of ``files`` of whose name the project holds no image yet."""
    there: Counter[str] = Counter()
    for task in tasks_of(server, project):
        for value in as_mapping(task.get("data")).values():
            if isinstance(value, str):
                name = PurePosixPath(unquote(urlsplit(value).path)).name
                there[UPLOAD_PREFIX.sub("", name)] += 1
    found = []
    for file in files:
        name = stored_name(file.name)
        if there[name] > 0:
            there[name] -= 1
        else:
            found.append(file)
    return found


def tasks_of(server: LabelStudio, project: int) -> Iterator[dict[str, Any]]:
    """Yield the tasks of ``project``: their numbers and data."""
    yield from _pages(server, f"/api/tasks?project={project}&fields=task_only&page_size={_PAGE}", "tasks")


def entries_of(answer: Any) -> list[dict[str, Any]]:
    """Return the entries of a list that Label Studio gave at once."""
    return [dict(as_mapping(entry)) for entry in as_list(answer)]


def stored_name(name: str) -> str:
    """Return what Label Studio makes of a file's name."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def upload(server: LabelStudio, project: int, files: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """Import ``files`` and yield (files sent, tasks made of them) after each request."""
    batch: list[tuple[str, bytes]] = []
    for number, file in enumerate(files, 1):
        batch.append((file.name, file.read_bytes()))
        size = sum(len(content) for _, content in batch)
        if len(batch) == _BATCH_FILES or size > _BATCH_BYTES or number == len(files):
            yield len(batch), server.upload(project, batch)
            batch = []


def _pages(server: LabelStudio, path: str, field: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list that Label Studio gives page by page, or all at once as older ones do."""
    for page in range(1, 100_000):
        answer = server.get(f"{path}&page={page}")
        entries = as_list(answer) or as_list(as_mapping(answer).get(field))
        yield from (dict(as_mapping(entry)) for entry in entries)
        if len(entries) < _PAGE or isinstance(answer, list):
            return
