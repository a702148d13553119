"""Prompts as lines of text: CSV (a click per row) and JSON lines (an object per line)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import (
    UNNAMED,
    AnnotatedObject,
    AnnotatedPhoto,
    BoolMask,
    Damaged,
    Given,
    Marks,
    located,
)
from fcfi_core.datasets.shapes import parse_clicks
from fcfi_core.errors import DataError, FcfiError, PromptError
from fcfi_core.prompt import Prompt

_TRUE, _FALSE = ("1", "true", "yes", "+", "positive", ""), ("0", "false", "no", "-", "negative")
_CORNERS = ("x1", "y1", "x2", "y2")
_NEEDED = ("image", "x", "y")
_COLUMNS = (*_NEEDED, "positive", "object", "label", "x1", "y1", "x2", "y2")
_SEPARATORS = ",;\t"
_DAMAGED_LINES = "lines that cannot be read"

Found = dict[tuple[str, str], "tuple[str, Marks]"]
"""{(image, object): (label, marks)}, in the order of the file."""


def read_csv(annotations: Annotations) -> Dataset | None:
    """Return the clicks (and boxes) of a CSV file with a header line; None if it is called otherwise.

    Columns may be separated by commas, semicolons or tabs.

    Raises:
        DataError: naming the line, if no object can be used.
    """
    if annotations.suffix not in (".csv", ".tsv"):
        return None
    path = annotations.path
    left_out = LeftOut()
    rows: dict[tuple[str, str], list[tuple[int, Mapping[str, str]]]] = {}
    text = annotations.text
    head = text.lstrip("\n").split("\n", 1)[0]
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise DataError(
                f"{path} lacks the column {missing[0]!r}; its first line must name image, x, y and must "
                "separate them by commas (for boxes: image, x, y, x1, y1, x2, y2)."
            )
        twice = [name for name in columns if name in _COLUMNS and columns.count(name) > 1]
        if twice:
            raise DataError(f"{path} has the column {twice[0]!r} {columns.count(twice[0])} times; keep one.")
        for row in reader:
            if not (row.get("image") or "").strip():
                left_out.add("lines without an image", f"line {reader.line_num}")
                continue
            key = (row["image"].strip(), row.get("object") or "1")
            rows.setdefault(key, []).append((reader.line_num, row))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num + 1}: {error}; repair or remove it.") from None
    found = {key: _of_rows(several) for key, several in rows.items()}
    return _dataset(annotations, found, left_out)


def read_json_lines(annotations: Annotations) -> Dataset | None:
    """Return the objects of a JSON-lines file; None if it is called otherwise.

    Raises:
        DataError: naming the line, if no object can be used.
    """
    if annotations.suffix not in (".jsonl", ".ndjson"):
        return None
    found: Found = {}
    left_out = LeftOut()
    folder = annotations.images or annotations.path.parent
    for number, line in enumerate(annotations.text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            image, name, label, marks = _of_line(json.loads(line), number, folder)
        except (ValueError, DataError, RecursionError) as error:
            left_out.add(_DAMAGED_LINES, f"line {number}: {error}")
            continue
        if (image, name) in found:
            marks = Damaged(f"line {number}: object {name!r} of {image} comes twice.")
        found[image, name] = (label, marks)
    return _dataset(annotations, found, left_out)


def _dataset(annotations: Annotations, found: Found, left_out: LeftOut) -> Dataset:
    path = annotations.path
    problems = [one.problem for _, one in found.values() if isinstance(one, Damaged)]
    if len(problems) == len(found):
        first = next(iter([*left_out.firsts.values(), *problems]), "").removesuffix(".")
        if first:
            raise DataError(f"{path}, {first}; no line holds a prompt.")
        raise DataError(f"{path} holds no prompt; give at least one line.")
    by_image: dict[str, list[AnnotatedObject]] = {}
    for (image, name), (label, marks) in found.items():
        objects = by_image.setdefault(image, [])
        drawn = isinstance(marks, PictureOfMask)
        objects.append(
            AnnotatedObject(
                len(objects) + 1, marks, name=name, label=label, drawn=drawn, kind="boxes or clicks"
            )
        )
    paths = annotations.photos().find_all([[name] for name in by_image])
    return Dataset(
        annotations.name,
        [
            AnnotatedPhoto(name, name, *located(photo), annotated=tuple(objects), source=str(path))
            for (name, objects), photo in zip(by_image.items(), paths, strict=True)
        ],
        place=path,
        left_out=left_out,
        digest=annotations.digest,
        wanted="mask",
        advice="`fcfi annotate` makes masks of boxes and clicks",
    )


# --- CSV -------------------------------------------------------------------------------------------------


def _of_rows(rows: Sequence[tuple[int, Mapping[str, str]]]) -> tuple[str, Marks]:
    """Return label and marks of one object; a row that cannot be read spoils the object."""
    label, box = UNNAMED, None
    clicks: list[Click] = []
    for number, row in rows:
        label = (row.get("label") or "").strip() or label
        try:
            box = _box(row) or box
            clicks += _clicks(row)
        except (PromptError, ValueError) as error:
            return label, Damaged(f"line {number}: {error}")
    prompt = Prompt(tuple(clicks), box)
    if prompt.is_empty:
        return label, Damaged(f"line {rows[0][0]}: there is neither a click nor a box.")
    return label, Given(prompt)


def _box(row: Mapping[str, str]) -> Box | None:
    corners = [(row.get(corner) or "").strip() for corner in _CORNERS]
    if not any(corners):
        return None
    if not all(corners):
        raise PromptError("a box needs all of x1, y1, x2, y2.")
    return Box.nearest(*map(_number, corners))


def _clicks(row: Mapping[str, str]) -> Iterator[Click]:
    x, y = ((row.get(name) or "").strip() for name in ("x", "y"))
    if not (x or y):
        return
    if not (x and y):
        raise PromptError(f"a click needs both x and y, here {'y' if x else 'x'} is missing.")
    word = (row.get("positive") or "").strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise PromptError(f"positive is {word!r}; give 1 or 0.")
    yield Click.nearest(_number(x), _number(y), word in _TRUE)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PromptError(f"{text[:40]!r} is no number.") from None


# --- JSON lines ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PictureOfMask:
    """Marks: a mask in a picture file, object where it is not black; clicks and a box beside it."""

    path: Path
    asked: Prompt

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return everything; raises DataError unless the picture has the photo's size."""
        return Prompt(self.asked.clicks, self.asked.box, _read_mask(self.path, width, height))


def _of_line(content: Any, number: int, folder: Path) -> tuple[str, str, str, Marks]:
    """Return image, name, label and marks of one line.

    Raises:
        DataError: if it names no image.
    """
    if not isinstance(content, dict):
        raise DataError("it is no object in braces.")
    if not isinstance(content.get("image"), str) or not content["image"]:
        raise DataError("it lacks 'image'.")
    name = str(content.get("object", number))
    label = str(content.get("label") or UNNAMED)
    box, mask = content.get("box"), content.get("mask")
    try:
        if box is not None and not (isinstance(box, list) and len(box) == 4):
            raise PromptError(f"box {box!r:.80} is not of the form [x1, y1, x2, y2].")
        asked = Prompt(parse_clicks(content.get("clicks") or ()), Box.nearest(*box) if box else None)
        if mask:
            return content["image"], name, label, PictureOfMask(folder / str(mask), asked)
        if asked.is_empty:
            raise PromptError("there is no click, no box and no mask.")
    except FcfiError as error:
        return content["image"], name, label, Damaged(f"line {number}: {error}")
    return content["image"], name, label, Given(asked)


def _read_mask(path: Path, width: int, height: int) -> BoolMask:
    try:
        with Image.open(path) as picture:
            if picture.size != (width, height):
                raise DataError(
                    f"prior mask {path} has {picture.width} x {picture.height} pixels, the photo {width} x "
                    f"{height}; give one of the photo's size."
                )
            values = np.asarray(picture if picture.mode.startswith("I") else picture.convert("L"))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"prior mask {path} cannot be read ({error}).") from None
    found: BoolMask = values != 0
    return found
