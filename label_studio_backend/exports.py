"""Label Studio's JSON export as a data set: brush and polygon results become regions.

Of each task the newest annotation that was not cancelled counts. Key points that hold an ``rle`` (an
artefact of "keep label selected") repeat a brush region and are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from fcfi_core import masks
from fcfi_core.errors import DataError
from fcfi_core.evaluation.datasets import BoolMask
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
    """Return the task's photo with its regions; None if it has no region."""
    results = [result for result in newest_results(task) if _has_region(result)]
    if not results:
        return None
    width, height = int(results[0]["original_width"]), int(results[0]["original_height"])
    return RegionPhoto(
        name=f"task-{task['id']}",
        path=finder.find(*file_names(task)),
        width=width,
        height=height,
        regions=tuple(_region(result, width, height) for result in results),
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


def file_names(task: Mapping[str, Any]) -> list[str]:
    """Return the names under which the task's photo may lie in a folder, likeliest first."""
    names = []
    for reference in _references(task):
        parts = urlsplit(reference)
        target = parse_qs(parts.query).get("d", [parts.path])[0]
        name = PurePosixPath(unquote(target)).name
        # Uploads get a random prefix; the annotator's own folder has the name without it.
        names += [name, _UPLOAD_PREFIX.sub("", name)]
    return names or ["(no file name in the task)"]


def _references(task: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(task.get("file_upload"), str):
        yield task["file_upload"]
    yield from (value for value in task["data"].values() if isinstance(value, str))
