"""Label Studio's JSON export as a data set: brush, bitmask and polygon results become regions.

Of each task the newest annotation that was not cancelled counts. Key points that hold an ``rle`` (an
artefact of "keep label selected") repeat a brush region and are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from fcfi_core import masks
from fcfi_core.datasets.folder import IMAGE_SUFFIXES, BoolMask
from fcfi_core.datasets.regions import UPLOAD_PREFIX, PhotoFinder, RegionDataset, RegionPhoto, listed
from fcfi_core.errors import DataError
from fcfi_core.masks import label_studio
from label_studio_backend import bitmask

_OTHER_REGIONS = frozenset(("rectangle", "rectanglelabels", "ellipse", "ellipselabels", "vectorlabels"))


def read_export(path: Path, images: Path | None) -> RegionDataset | None:
    """Return the data set in the JSON export ``path``, or None if that is no Label Studio export.

    Args:
        path: file made by Export > JSON.
        images: folder of the photos; None: the folder of the export.

    Raises:
        DataError: if no task holds a brush or polygon region, a task is malformed, or a photo is missing.
    """
    tasks = read_tasks(path)
    if tasks is None:
        return None
    finder = PhotoFinder(images or path.parent)
    photos = []
    left_out: Counter[str] = Counter()
    for task in tasks:
        try:
            photo, others = _photo(task, finder)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}, task {task['id']}: not as Label Studio exports it ({error!r}); "
                "export as JSON again."
            ) from None
        left_out.update(others)
        if photo is not None:
            photos.append(photo)
    if not photos:
        but = f", but {listed(left_out)}" if left_out else ""
        raise DataError(
            f"{path} holds no brush or polygon region{but}; accept and submit some masks, then export again."
        )
    return RegionDataset(path.stem, photos, left_out=left_out)


def read_tasks(path: Path) -> list[Mapping[str, Any]] | None:
    """Return the tasks in the JSON export ``path``, or None if that is no Label Studio export.

    Raises:
        DataError: if it is Label Studio's, but JSON-MIN or without a task.
    """
    if path.suffix.lower() != ".json":
        return None
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    if isinstance(tasks, Mapping):
        tasks = [tasks]
    if not isinstance(tasks, list) or not all(isinstance(task, Mapping) for task in tasks):
        return None
    if not tasks:
        raise DataError(f"{path} holds no task; annotate some, then export again.")
    if all(_is_task(task) for task in tasks):
        return tasks
    if all("annotation_id" in task for task in tasks):
        raise DataError(f"{path} is a JSON-MIN export, which lacks what a region needs; export as JSON.")
    return None


def newest_results(task: Mapping[str, Any]) -> list[Any]:
    """Return the results of the task's newest annotation that was not cancelled; [] if there is none."""
    annotations = [one for one in task["annotations"] if not one.get("was_cancelled")]
    if not annotations:
        return []
    return list(max(annotations, key=lambda one: str(one.get("updated_at", ""))).get("result", []))


def _is_task(task: Mapping[str, Any]) -> bool:
    return isinstance(task.get("data"), Mapping) and {"id", "annotations"} <= task.keys()


def _photo(task: Mapping[str, Any], finder: PhotoFinder) -> tuple[RegionPhoto | None, list[str]]:
    """Return the task's photo with its regions, or None if it has none, and the kinds of what is left out.

    Raises:
        DataError: if the regions lie on several pictures, or lack the picture's size.
    """
    found = newest_results(task)
    results = [result for result in found if _has_region(result)]
    if not found:
        return None, ["tasks without a submitted annotation"]
    others = [str(result.get("type")) for result in found if not _has_region(result)]
    left_out = [f"regions of type {kind}" for kind in others if kind in _OTHER_REGIONS]
    if not results:
        return None, left_out
    path = _picture(task, results, finder)
    try:
        width, height = int(results[0]["original_width"]), int(results[0]["original_height"])
    except KeyError:
        raise DataError(
            f"task {task['id']}: a region lacks original_width and original_height; "
            "open and save the task in Label Studio, then export again."
        ) from None
    return (
        RegionPhoto(
            name=f"task-{task['id']}",
            path=path,
            width=width,
            height=height,
            regions=tuple(_region(result, width, height) for result in results),
        ),
        left_out,
    )


def _picture(task: Mapping[str, Any], results: Sequence[Mapping[str, Any]], finder: PhotoFinder) -> Path:
    """Return the photo that the regions are of, if that is clear.

    An export does not tell which entry of a task an image tag shows; often they have the same name.

    Raises:
        DataError: if the regions lie on several pictures, or on one of several that are there.
    """
    shown = {str(result.get("to_name", "")) for result in results}
    pages = {result.get("item_index", 0) for result in results}
    pictures = {key: path for key, value in task["data"].items() if (path := _photo_path(value)) is not None}
    if len(shown) == len(pages) == 1:
        path = pictures.get(shown.pop())
        if path is not None:
            return finder.find(*_spellings(path))
        there = {finder.there(*_spellings(path)) for path in pictures.values()} - {None}
        if len(there) <= 1:
            return finder.find(*photo_references(task))
    raise DataError(
        f"task {task['id']} shows several pictures ({', '.join(sorted(pictures or shown))}), and an export "
        "does not tell which regions are of which; take a project with one picture per task."
    )


def _has_region(result: Mapping[str, Any]) -> bool:
    value = result.get("value", {})
    if result.get("type") in ("brushlabels", "brush", "magicwand"):
        return "rle" in value
    if result.get("type") in ("bitmasklabels", "bitmask"):
        return "imageDataURL" in value
    return result.get("type") in ("polygonlabels", "polygon") and len(value.get("points", ())) >= 3


def _region(result: Mapping[str, Any], width: int, height: int) -> Callable[[], BoolMask]:
    if "rle" in result["value"]:
        return partial(label_studio.decode, result["value"]["rle"], width, height)
    if "imageDataURL" in result["value"]:
        return partial(bitmask.from_data_url, result["value"]["imageDataURL"], width, height)
    ring = np.asarray(result["value"]["points"], np.float64) * (width / 100, height / 100)
    return partial(masks.from_polygons, [masks.Polygon(ring)], width, height)


def photo_references(task: Mapping[str, Any]) -> list[str]:
    """Return the names or paths under which the task's photo may lie in a folder, likeliest first."""
    found = []
    for value in (task.get("file_upload"), *task["data"].values()):
        if (path := _photo_path(value)) is not None:
            found += _spellings(path)
    return found or [f"(task {task['id']} names none)"]


def _spellings(path: PurePosixPath) -> list[str]:
    """Return ``path`` as it is, and without the random prefix that uploads get."""
    return [str(path), str(path.with_name(UPLOAD_PREFIX.sub("", path.name)))]


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
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return path
    return None
