"""Label Studio's JSON export as a data set.

Brush, bitmask and polygon regions give masks; rectangles, ellipses and key points give boxes and clicks,
which pipelines can start from. The key points of one class together are one object. Of each task the newest
annotation that was not cancelled counts. Key points that hold an ``rle`` (an artefact of "keep label
selected") repeat a brush region and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import UNNAMED, AnnotatedObject, AnnotatedPhoto, located
from fcfi_core.datasets.photos import Photo, Photos, is_photo
from fcfi_core.datasets.shapes import whole_number
from fcfi_core.errors import DataError, PromptError
from fcfi_core.prompt import Prompt
from label_studio_backend.prompts import Region, read_regions, resolve_polarity
from label_studio_backend.settings import as_list, as_mapping

_DRAWN = ("brush", "bitmask", "polygon")
_BOXES = ("rectangle", "ellipse")
_BRUSHES = ("brushlabels", "brush", "magicwand")
_OTHER_REGIONS = ("vector", "vectorlabels")
_UNLIKE = "tasks that are not as Label Studio exports them"


def read_export(annotations: Annotations) -> Dataset | None:
    """Return the data set of a file made by Export > JSON; None if it is something else.

    Raises:
        DataError: if it is a JSON-MIN export, or no task of it can be used.
    """
    path = annotations.path
    tasks = tasks_of(annotations)
    if tasks is None:
        return None
    left_out = LeftOut()
    photos = annotations.photos()
    read = [one for task in tasks if (one := _task(task, photos, left_out)) is not None]
    found = photos.find_all([one.references for one in read])
    dataset = Dataset(
        annotations.name,
        [_photo(one, photo, path) for one, photo in zip(read, found, strict=True)],
        place=path,
        left_out=left_out,
        digest=annotations.digest,
        wanted="brush or polygon region",
        advice="accept and submit some masks, then export again",
    )
    if not read:
        dataset.require_masks()
    return dataset


def read_tasks(path: Path) -> list[Any] | None:
    """Return the tasks in the file at ``path``; see :func:`tasks_of`."""
    return tasks_of(Annotations(path))


def tasks_of(annotations: Annotations) -> list[Any] | None:
    """Return the tasks of a JSON export, and whatever stands among them; None if this is no export.

    Raises:
        DataError: if it is Label Studio's, but JSON-MIN or without a task.
    """
    if annotations.suffix != ".json":
        return None
    path, content = annotations.path, annotations.json
    tasks = [content] if isinstance(content, Mapping) else content
    if not isinstance(tasks, list):
        return None
    if not tasks:
        raise DataError(f"{path} holds no task; annotate some, then export again.")
    if any(_is_task(task) for task in tasks):
        return tasks
    if all(isinstance(task, Mapping) and "annotation_id" in task for task in tasks):
        raise DataError(f"{path} is a JSON-MIN export, which lacks what a region needs; export as JSON.")
    return None


def _is_task(task: object) -> bool:
    return (
        isinstance(task, Mapping)
        and isinstance(task.get("data"), Mapping)
        and {"id", "annotations"} <= task.keys()
    )


@dataclass(frozen=True)
class _Task:
    """One task: its id, the names under which its photo may lie, and its objects."""

    id: Any
    references: Sequence[str]
    size: tuple[int, int] | None
    objects: tuple[AnnotatedObject, ...]


def _task(task: Any, photos: Photos, left_out: LeftOut) -> _Task | None:
    """Return what a task asks for, or None (and count why) if that is nothing."""
    note = left_out.at(f"task {as_mapping(task).get('id')!s:.40}")
    results = newest_results(task, note)
    if results is None:
        return None
    entries = [
        {**entry, "to_name": str(entry.get("to_name", ""))} if isinstance(entry, Mapping) else entry
        for entry in results
    ]
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        kind = str(entry.get("type"))
        if kind in _BRUSHES:
            value = as_mapping(entry.get("value"))
            label = value.get(kind)
            entry |= {"type": "brush", "value": {"labels": label, **value} if label else value}
        elif kind in _OTHER_REGIONS:
            note(f"regions of type {kind}")
    regions = regions_of(entries, note)
    if not regions:
        return None
    try:
        references = _references(task, regions, photos)
    except DataError as error:
        left_out.add("tasks whose photo is not clear", str(error).removesuffix("."))
        return None
    size = next((region.size for region in regions if region.size is not None), None)
    return _Task(task["id"], references, size, _objects(regions, note))


def newest_results(task: Any, note: Note) -> list[Any] | None:
    """Return the results of the task's newest annotation that was not cancelled; None, and noted, if none is.

    Args:
        task: whatever stands among the tasks of an export.
        note: is told what is left out.
    """
    annotations = task["annotations"] if _is_task(task) else None
    sound = [one for one in as_list(annotations) if isinstance(one, Mapping) and _holds_results(one)]
    if not isinstance(annotations, list) or (annotations and not sound):
        note(_UNLIKE)
        return None
    for _ in range(len(annotations) - len(sound)):
        note("annotations that are none")
    submitted = [one for one in sound if not one.get("was_cancelled")]
    newest = max(submitted, key=lambda one: str(one.get("updated_at", "")), default={})
    if not newest.get("result"):
        note("tasks without a submitted annotation")
        return None
    return list(newest["result"])


def _holds_results(annotation: Mapping[str, Any]) -> bool:
    return isinstance(annotation.get("result", []), list)


def regions_of(results: Sequence[Any], note: Note, background: str = "") -> list[Region]:
    """Return the regions of an annotation that can be read; see :func:`prompts.read_regions`.

    What is none, or says what no region can say, is left out and noted.
    """
    entries = [entry for entry in results if isinstance(entry, Mapping)]
    for _ in range(len(results) - len(entries)):
        note("entries that are no regions")
    try:
        return read_regions(entries, background)
    except PromptError:
        return read_regions([entry for entry in entries if _can_be_read(entry, note)], background)


def _can_be_read(entry: Mapping[str, Any], note: Note) -> bool:
    try:
        read_regions([entry])
    except PromptError as error:
        note(f"regions that cannot be read, because {str(error).removesuffix('.')}")
        return False
    return True


def _photo(task: _Task, found: Photo | DataError, export: Path) -> AnnotatedPhoto:
    path, missing = located(found)
    return AnnotatedPhoto(
        f"task-{task.id}",
        PurePosixPath(task.references[0]).name if path is None else path.name,
        path,
        missing and f"task {task.id}: {missing}",
        task.size,
        task.objects,
        whole_number(task.id),
        source=f"{export}, task {task.id},",
    )


def _objects(regions: Sequence[Region], note: Note) -> tuple[AnnotatedObject, ...]:
    """Return each rectangle and drawn region as an object, then the key points of each class."""
    dots: dict[tuple[str, int | None, str], list[Region]] = {}
    alone = []
    for region in regions:
        if region.shape == "click":
            dots.setdefault((region.target, region.item_index, _label(region)), []).append(region)
        else:
            alone.append((region,))
    found: list[AnnotatedObject] = []
    for group in (*alone, *_asked(dots.values(), note)):
        first = group[0]
        if first.shape == "click" and not any(region.positive for region in group):
            continue  # nothing can be cut from nothing
        found.append(
            AnnotatedObject(
                len(found) + 1,
                RegionMarks(tuple(group)),
                label=_label(first),
                drawn=first.shape in _DRAWN,
                kind=f"regions of type {first.shape}labels" if first.shape in _BOXES else "",
            )
        )
    return tuple(found)


def _asked(dots: Iterable[Sequence[Region]], note: Note) -> Iterator[tuple[Region, ...]]:
    """Yield the key points of each class that count; those that are too many are left out and noted."""
    for several in dots:
        try:
            yield resolve_polarity(several)
        except PromptError as error:
            note(f"key points of a class, because {str(error).removesuffix('.')}")


def _label(region: Region) -> str:
    """Return the first of a region's labels."""
    return next(iter(region.labels), UNNAMED)


@dataclass(frozen=True, slots=True, eq=False)
class RegionMarks:
    """Marks: one region, or the key points of a class."""

    regions: tuple[Region, ...]

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return it on the photo; positions are percent of that."""
        first = self.regions[0]
        if first.shape == "click":
            return Prompt(tuple(region.click(width, height) for region in self.regions))
        if first.shape in _BOXES:
            return Prompt(box=first.box(width, height))
        return Prompt(mask=first.mask(width, height))


# --- photos ----------------------------------------------------------------------------------------------


def _references(task: Mapping[str, Any], regions: Sequence[Region], photos: Photos) -> list[str]:
    """Return the names or paths under which the photo of the regions may lie, likeliest first.

    An export does not tell which entry of a task an image tag shows; often they have the same name.

    Raises:
        DataError: if the regions lie on several pictures, or on one of several that are there.
    """
    shown = {region.target for region in regions}
    pages = {region.item_index or 0 for region in regions}
    pictures = {key: path for key, value in task["data"].items() if (path := _photo_path(value)) is not None}
    if len(shown) == len(pages) == 1:
        path = pictures.get(next(iter(shown)))
        if path is not None:
            return [str(path)]
        if len({found for path in pictures.values() if (found := _there(path, photos)) is not None}) <= 1:
            return photo_references(task)
    raise DataError(
        f"task {task['id']} shows several pictures ({', '.join(sorted(pictures or shown))}), and an export "
        "does not tell which regions are of which; take a project with one picture per task."
    )


def _there(path: PurePosixPath, photos: Photos) -> Photo | None:
    try:
        return photos.find(str(path))
    except DataError:
        return None


def photo_references(task: Mapping[str, Any]) -> list[str]:
    """Return the paths that a task's entries name, likeliest first."""
    values = (task.get("file_upload"), *task["data"].values())
    found = [str(path) for value in values if (path := _photo_path(value)) is not None]
    return found or [f"(task {task['id']} names none)"]


def _photo_path(value: object) -> PurePosixPath | None:
    """Return the path of the photo that a task's entry refers to, or None if it refers to none."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    # A local file's path stands in the query; a storage's key may hold what ends the path of a URL.
    queries = [value for values in parse_qs(parts.query).values() for value in values]
    ends = (parts.path,) if parts.scheme in ("", "http", "https") else (parts.path, value)
    for text in (*queries, *map(unquote, ends)):
        path = PurePosixPath(text)
        if is_photo(path):
            return path
    return None
