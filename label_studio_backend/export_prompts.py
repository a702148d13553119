"""Label Studio's JSON export as prompts for ``fcfi annotate``: rectangles, polygons and key points.

Of each task the newest annotation that was not cancelled counts. Each rectangle
and polygon is an object, the key points of one class together are another; brush regions are masks
already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from fcfi_core.datasets.regions import PhotoFinder
from fcfi_core.errors import DataError, PromptError
from fcfi_core.pipelines.prompts import (
    UNNAMED,
    ImagePrompts,
    ObjectPrompt,
    OpenedImage,
    PromptSource,
    numbered,
)
from label_studio_backend.exports import newest_results, photo_references, read_tasks
from label_studio_backend.prompts import Prompt, from_annotation


def read_prompts(path: Path, images: Path | None) -> PromptSource | None:
    """Return the prompts in the JSON export ``path``, or None if that is no Label Studio export.

    An export of brush regions only is None too: its regions serve as masks to start from.

    Args:
        path: file made by Export > JSON.
        images: folder of the photos; None: the folder of the export.

    Raises:
        DataError: if a prompt cannot be understood.
    """
    tasks = read_tasks(path)
    if tasks is None:
        return None
    finder = PhotoFinder(images or path.parent)
    found: list[ImagePrompts] = []
    labels: list[str] = []
    for task in tasks:
        try:
            objects = tuple(
                _object(number, prompt)
                for number, prompt in enumerate(from_annotation(newest_results(task)), 1)
            )
        except PromptError as error:
            raise DataError(f"{path}, task {task['id']}: {error}") from None
        if objects:
            labels += [one.label for one in objects]
            found.append(ImagePrompts(_name(finder, task), partial(_open, finder, task, objects), task["id"]))
    if not found:
        return None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PromptSource(path.stem, digest, tuple(found), numbered(labels))


def _name(finder: PhotoFinder, task: Mapping[str, Any]) -> str:
    """Return the name of the task's photo in the folder; what the task says if it is not there."""
    try:
        return finder.find(*photo_references(task)).name
    except DataError:
        return PurePosixPath(photo_references(task)[0]).name


def _open(finder: PhotoFinder, task: Mapping[str, Any], objects: tuple[ObjectPrompt, ...]) -> OpenedImage:
    return OpenedImage(finder.find(*photo_references(task)), objects)


def _object(number: int, prompt: Prompt) -> ObjectPrompt:
    """Return one object, its percentages turned into pixels of the displayed picture.

    Raises:
        PromptError: if Label Studio does not say how large that is.
    """
    if prompt.newest.size is None:
        raise PromptError("a region lacks original_width and original_height; export as JSON, not JSON-MIN.")
    width, height = prompt.newest.size
    return ObjectPrompt(
        name=str(number),
        label=prompt.label or UNNAMED,
        clicks=tuple(region.click(width, height) for region in prompt.clicks),
        box=prompt.rectangle.box(width, height) if prompt.rectangle else None,
        prior_mask=partial(prompt.drawing.mask, width, height) if prompt.drawing else None,
    )
