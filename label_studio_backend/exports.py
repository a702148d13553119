"""Label Studio's JSON export as a data set: brush and polygon results become regions.

Of each task the newest annotation that was not cancelled counts. Key points that hold an ``rle`` (an
artefact of "keep label selected") repeat a brush region and are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from fcfi_core import masks
from fcfi_core.errors import DataError
from fcfi_core.evaluation.datasets import IMAGE_SUFFIXES, BoolMask
from fcfi_core.evaluation.regions import PhotoFinder, RegionDataset, RegionPhoto
from fcfi_core.masks import label_studio

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def read_export(path: Path, images: Path | None) -> RegionDataset | None:
    """Return the data set in the JSON export ``path``, or None if that is no Label Studio export.

    Args:
        path: file made by Export > JSON.
        images: folder of the photos; None: the folder of the export.

    Raises:
        DataError: if no task holds a brush or polygon region, or a photo is missing.
    """
    tasks = read_tasks(path)
    if tasks is None:
        return None
    finder = PhotoFinder(images or path.parent)
    photos = [photo for task in tasks if (photo := _photo(task, finder)) is not None]
    if not photos:
        raise DataError(
            f"{path} holds no brush or polygon region; accept and submit some masks, then export again."
        )
    return RegionDataset(path.stem, photos)


def read_tasks(path: Path) -> list[Mapping[str, Any]] | None:
    """Return the tasks in the JSON export ``path``, or None if that is no Label Studio export."""
    if path.suffix.lower() != ".json":
        return None
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return tasks if isinstance(tasks, list) and tasks and all(_is_task(task) for task in tasks) else None


def newest_results(task: Mapping[str, Any]) -> list[Any]:
    """Return the results of the task's newest annotation that was not cancelled; [] if there is none."""
    annotations = [one for one in task["annotations"] if not one.get("was_cancelled")]
    if not annotations:
        return []
    return list(max(annotations, key=lambda one: str(one.get("updated_at", ""))).get("result", []))


def _is_task(task: object) -> bool:
    return (
        isinstance(task, Mapping)
        and isinstance(task.get("data"), Mapping)
        and {"id", "annotations"} <= task.keys()
    )


def _photo(task: Mapping[str, Any], finder: PhotoFinder) -> RegionPhoto | None:
    """Return the task's photo with its regions; None if it has no region.

    Raises:
        DataError: if the regions lie on several pictures, or lack the picture's size.
    """
    results = [result for result in newest_results(task) if _has_region(result)]
    if not results:
        return None
    _check_one_picture(task, results)
    try:
        width, height = int(results[0]["original_width"]), int(results[0]["original_height"])
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"task {task['id']}: a region lacks original_width and original_height; "
            "open and save the task in Label Studio, then export again."
        ) from None
    return RegionPhoto(
        name=f"task-{task['id']}",
        path=finder.find(*photo_references(task)),
        width=width,
        height=height,
        regions=tuple(_region(result, width, height) for result in results),
    )


def _check_one_picture(task: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
    """Make sure that it is clear which picture the regions are of: an export does not tell."""
    shown = {str(result.get("to_name", "")) for result in results}
    pages = {result.get("item_index", 0) for result in results}
    pictures = {key for key, value in task["data"].items() if _photo_path(value) is not None}
    if len(shown) > 1 or len(pages) > 1 or len(pictures) > 1:
        raise DataError(
            f"task {task['id']} shows several pictures ({', '.join(sorted(pictures or shown))}), and an "
            "export does not tell which regions are of which; take a project with one picture per task."
        )


def _has_region(result: Mapping[str, Any]) -> bool:
    value = result.get("value", {})
    if result.get("type") in ("brushlabels", "brush"):
        return "rle" in value
    return result.get("type") in ("polygonlabels", "polygon") and len(value.get("points", ())) >= 3


def _region(result: Mapping[str, Any], width: int, height: int) -> Callable[[], BoolMask]:
    if "rle" in result["value"]:
        return partial(label_studio.decode, result["value"]["rle"], width, height)
    return partial(_polygon, result["value"]["points"], width, height)


def _polygon(points: list[list[float]], width: int, height: int) -> BoolMask:
    ring = np.asarray(points, np.float64) * (width / 100, height / 100)
    return masks.from_polygons([masks.Polygon(ring)], width, height)


def photo_references(task: Mapping[str, Any]) -> list[str]:
    """Return the names or paths under which the task's photo may lie in a folder, likeliest first."""
    found = []
    for value in (task.get("file_upload"), *task["data"].values()):
        path = _photo_path(value)
        if path is not None:
            # Uploads get a random prefix; the annotator's own folder has the name without it.
            found += [str(path), str(path.with_name(_UPLOAD_PREFIX.sub("", path.name)))]
    return found or [f"(task {task['id']} names none)"]


def _photo_path(value: object) -> PurePosixPath | None:
    """Return the path of the photo that a task's entry refers to, or None if it refers to none."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    # A local file's path stands in the query.
    for text in (*parse_qs(parts.query).get("d", ()), unquote(parts.path)):
        path = PurePosixPath(text)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return path
    return None
