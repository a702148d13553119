"""Prompts as lines of text: CSV (a click per row) and JSON lines (an object per line)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import DataError, PromptError
from fcfi_core.pipelines.prompts import (
    UNNAMED,
    BoolMask,
    ImagePrompts,
    ObjectPrompt,
    OpenedImage,
    PromptSource,
    numbered,
)

_TRUE, _FALSE = ("1", "true", "yes", "+", "positive", ""), ("0", "false", "no", "-", "negative")
_CORNERS = ("x1", "y1", "x2", "y2")


def read_csv(path: Path, images: Path | None) -> PromptSource:
    """Return the clicks (and boxes) of a CSV file with a header line.

    Raises:
        DataError: naming the line, if one cannot be understood.
    """
    objects: dict[tuple[str, str], ObjectPrompt] = {}
    with io.StringIO(_text(path), newline="") as file:
        rows = csv.DictReader(file)
        missing = {"image", "x", "y"} - set(rows.fieldnames or ())
        if missing:
            raise DataError(
                f"{path} lacks the column {sorted(missing)[0]!r}; its first line must name image, x, y."
            )
        for row in rows:
            try:
                name = (row["image"], row.get("object") or "1")
                objects[name] = _with_row(objects.get(name, ObjectPrompt(name[1])), row)
            except (PromptError, ValueError, TypeError) as error:
                raise DataError(f"{path}, line {rows.line_num}: {error}") from None
    return _source(path, images, objects)


def read_json_lines(path: Path, images: Path | None) -> PromptSource:
    """Return the objects of a JSON-lines file.

    Raises:
        DataError: naming the line, if one cannot be understood.
    """
    objects: dict[tuple[str, str], ObjectPrompt] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            image, prompt = _from_line(json.loads(line), str(number), images or path.parent)
        except (PromptError, ValueError, TypeError, KeyError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise DataError(f"{path}, line {number}: {what}") from None
        if (image, prompt.name) in objects:
            raise DataError(f"{path}, line {number}: object {prompt.name!r} of {image} comes twice.")
        objects[image, prompt.name] = prompt
    return _source(path, images, objects)


def parse_clicks(values: Any) -> tuple[Click, ...]:
    """Return clicks written as ``[[x, y], [x, y, positive], ...]``, positive true/false or 1/0.

    Raises:
        PromptError: if they are not of this form.
    """
    try:
        return tuple(Click.nearest(x, y, not rest or bool(rest[0])) for x, y, *rest in values)
    except (TypeError, ValueError):
        raise PromptError(f"clicks {values!r} are not of the form [[x, y, positive], ...].") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error}); save it as UTF-8.") from None


def _with_row(prompt: ObjectPrompt, row: Mapping[str, str]) -> ObjectPrompt:
    """Return ``prompt`` with what a CSV row adds."""
    if row.get("label"):
        prompt = replace(prompt, label=row["label"])
    corners = [row.get(corner) or "" for corner in _CORNERS]
    if any(corners):
        if not all(corners):
            raise PromptError("a box needs all of x1, y1, x2, y2.")
        prompt = replace(prompt, box=Box.nearest(*map(float, corners)))
    if row["x"] or row["y"]:
        word = (row.get("positive") or "").strip().lower()
        if word not in (*_TRUE, *_FALSE):
            raise PromptError(f"positive is {word!r}; give 1 or 0.")
        click = Click.nearest(float(row["x"]), float(row["y"]), word in _TRUE)
        prompt = replace(prompt, clicks=(*prompt.clicks, click))
    return prompt


def _from_line(content: Mapping[str, Any], number: str, folder: Path) -> tuple[str, ObjectPrompt]:
    """Return image name and object of one JSON line."""
    box = content.get("box")
    mask = content.get("mask")
    return str(content["image"]), ObjectPrompt(
        name=str(content.get("object", number)),
        label=str(content.get("label") or UNNAMED),
        clicks=parse_clicks(content.get("clicks") or ()),
        box=Box.nearest(*box) if box else None,
        prior_mask=partial(_read_mask, folder / str(mask)) if mask else None,
    )


def _source(path: Path, images: Path | None, objects: Mapping[tuple[str, str], ObjectPrompt]) -> PromptSource:
    by_image: dict[str, list[ObjectPrompt]] = {}
    for (image, _), prompt in objects.items():
        by_image.setdefault(image, []).append(prompt)
    if not by_image:
        raise DataError(f"{path} holds no prompt; give at least one line.")
    folder = images or path.parent
    found = tuple(
        ImagePrompts(name, partial(OpenedImage, folder / name, tuple(prompts)))
        for name, prompts in by_image.items()
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PromptSource(path.stem, digest, found, numbered([prompt.label for prompt in objects.values()]))


def _read_mask(path: Path) -> BoolMask:
    """Return the mask in a picture file: object where it is not black."""
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture if picture.mode.startswith("I") else picture.convert("L"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PromptError(f"prior mask {path} cannot be read ({error}).") from None
    found: BoolMask = values != 0
    return found
