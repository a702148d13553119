"""LabelMe's JSON: a file per photo with ``shapes``.

Polygons, circles and masks give masks; rectangles boxes; points clicks. Shapes of one ``group_id`` are one
object, and so are the points of one label that have no group. Lines are left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fcfi_core.clicks import Click
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import UNNAMED, AnnotatedObject, AnnotatedPhoto, BoolMask, located
from fcfi_core.datasets.parts import prompt_of_parts
from fcfi_core.datasets.shapes import box_of_edges, mask_of_rings, whole_number
from fcfi_core.errors import DataError
from fcfi_core.prompt import Prompt

_DRAWN = ("polygon", "circle", "mask")
_POINTS = ("point", "points")
_READ = (*_DRAWN, *_POINTS, "rectangle")
_DAMAGED = "files that cannot be read"


def read(annotations: Annotations) -> Dataset | None:
    """Return the objects of a LabelMe file, or of all in a folder; None for anything else.

    Raises:
        DataError: if no photo of it can be used.
    """
    if not annotations.path.is_dir():
        parsed = [(annotations.path, annotations.json)] if _is_labelme(annotations.json) else []
        left_out, digest = LeftOut(), annotations.digest
    else:
        parsed, left_out, digest = _parse(annotations.path)
    if not parsed:
        return None
    written = [str(content.get("imagePath") or file.stem) for file, content in parsed]
    found = annotations.photos().find_all(
        [[name, file.stem] for (file, _), name in zip(parsed, written, strict=True)]
    )
    photos = []
    for (file, content), name, path in zip(parsed, written, found, strict=True):
        where, missing = located(path)
        groups = _groups(content["shapes"], file, left_out)
        objects = tuple(_object(number, shapes) for number, shapes in enumerate(groups, start=1))
        file_name = name.replace("\\", "/").rsplit("/", 1)[-1]
        photos.append(
            AnnotatedPhoto(file.stem, file_name, where, missing, _size(content), objects, source=str(file))
        )
    return Dataset(
        annotations.name,
        photos,
        place=annotations.path,
        left_out=left_out,
        digest=digest,
        wanted="polygon, circle or mask",
        advice="`fcfi annotate` makes masks of rectangles and points",
    )


def _parse(folder: Path) -> tuple[list[tuple[Path, dict[str, Any]]], LeftOut, str]:
    """Return the LabelMe files of a folder, what is left out, and a digest."""
    parsed, damaged = [], []
    digest = hashlib.sha256()
    for file in files_of(folder, "*.json"):
        one = Annotations(file)
        try:
            if _is_labelme(one.json):
                parsed.append((file, one.json))
                digest.update(one.content)
        except DataError as error:
            damaged.append(str(error).removesuffix("."))
    left_out = LeftOut()
    if parsed:
        for problem in damaged:
            left_out.add(_DAMAGED, problem)
    return parsed, left_out, digest.hexdigest()


def _is_labelme(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("shapes"), list)
        and ("imagePath" in content or "imageData" in content)
    )


def _size(content: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = whole_number(content.get("imageWidth")), whole_number(content.get("imageHeight"))
    return (width, height) if width and height else None


def _groups(shapes: Sequence[Any], file: Path, left_out: LeftOut) -> list[list[Mapping[str, Any]]]:
    """Return the shapes of each object."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for number, shape in enumerate(shapes, start=1):
        if not isinstance(shape, dict):
            left_out.add("shapes that are none", f"{file.name}, shape {number}")
            continue
        kind = shape.get("shape_type") or "polygon"
        if kind not in _READ:
            left_out.add(f"shapes of type {kind!s:.40}", f"{file.name}, shape {number}")
            continue
        label, group = str(shape.get("label")), shape.get("group_id")
        if isinstance(group, int | str):
            key: tuple[Any, ...] = ("group", label, str(group))
        else:
            key = ("points", label) if kind in _POINTS else ("alone", number)
        found.setdefault(key, []).append({**shape, "shape_type": kind})
    return list(found.values())


def _object(number: int, shapes: Sequence[Mapping[str, Any]]) -> AnnotatedObject:
    kinds = [shape["shape_type"] for shape in shapes]
    return AnnotatedObject(
        number,
        Shapes(tuple((shape["shape_type"], shape.get("points"), shape.get("mask")) for shape in shapes)),
        label=str(shapes[0].get("label") or UNNAMED),
        drawn=any(kind in _DRAWN for kind in kinds),
        kind=f"shapes of type {kinds[0]}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Marks: the shapes of one object.

    Args:
        parts: (type, points, mask) each, as in the file.
    """

    parts: tuple[tuple[str, Any, Any], ...]

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return clicks, box and mask; a damaged shape is left out if there is another."""
        return prompt_of_parts(
            self.parts, lambda part: _prompt(*part, width, height, note), note, "damaged shapes of an object"
        )


def _prompt(kind: str, points: Any, mask: Any, width: int, height: int, note: Note) -> Prompt:
    if kind == "polygon":
        return Prompt(mask=mask_of_rings([points], width, height, note))
    try:
        pairs = np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        pairs = np.empty(0)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all() or np.abs(pairs).max() > 1e7:
        raise DataError(f"the points of a {kind} are no list of [x, y].")
    if kind in _POINTS:
        return Prompt(tuple(Click.nearest(x - 0.5, y - 0.5) for x, y in pairs.tolist()))
    if len(pairs) < 2:
        raise DataError(f"a {kind} has {len(pairs)} points; it needs two.")
    if kind == "circle":
        return Prompt(mask=_disk(pairs[0], float(np.hypot(*(pairs[1] - pairs[0]))), width, height))
    if kind == "mask":
        return Prompt(mask=_placed(mask, pairs, width, height))
    return Prompt(box=box_of_edges(*pairs.min(axis=0).tolist(), *pairs.max(axis=0).tolist()))


def _disk(centre: Any, radius: float, width: int, height: int) -> BoolMask:
    columns, rows = np.arange(width) + 0.5 - centre[0], np.arange(height) + 0.5 - centre[1]
    found: BoolMask = columns**2 + rows[:, None] ** 2 <= radius**2
    return found


def _placed(mask: Any, corners: Any, width: int, height: int) -> BoolMask:
    """Return the picture of a mask, whose first corner says where it lies, on the photo."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(mask, validate=True))) as picture:
            if picture.width > width or picture.height > height:
                raise DataError(
                    f"a mask has {picture.width} x {picture.height} pixels, the photo {width} x {height}."
                )
            part = np.asarray(picture.convert("L")) != 0
    except (TypeError, ValueError, OSError, binascii.Error, SyntaxError, UnidentifiedImageError) as error:
        raise DataError(f"a mask is no picture ({error!s:.80}).") from None
    left, top = (int(value) for value in np.floor(corners.min(axis=0)))
    found: BoolMask = np.zeros((height, width), np.bool_)
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + part.shape[1], width), min(top + part.shape[0], height)
    if right > x and bottom > y:
        found[y:bottom, x:right] = part[y - top : bottom - top, x - left : right - left]
    return found
