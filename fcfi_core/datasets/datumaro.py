"""Datumaro's JSON: ``items`` with their annotations, and the labels in ``categories``.

Polygons and masks give masks, boxes boxes, points clicks; annotations of one group are one object. Others
(captions, lines, labels of whole photos) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fcfi_core.clicks import Click
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import UNNAMED, AnnotatedObject, AnnotatedPhoto, located
from fcfi_core.datasets.parts import prompt_of_parts
from fcfi_core.datasets.shapes import coco_box, mask_of_rings, mask_of_segmentation, whole_number
from fcfi_core.errors import DataError
from fcfi_core.prompt import Prompt

_DRAWN = ("polygon", "mask")
_READ = (*_DRAWN, "bbox", "points")


def read(annotations: Annotations) -> Dataset | None:
    """Return the data set of a Datumaro file; None for anything else.

    Raises:
        DataError: if no item can be used.
    """
    content = annotations.json
    if not isinstance(content, dict) or not isinstance(content.get("items"), list):
        return None
    left_out = LeftOut()
    labels = _labels(content)
    items = [item for item in content["items"] if isinstance(item, dict) and isinstance(item.get("id"), str)]
    if len(items) < len(content["items"]):
        left_out.add("items without an id", count=len(content["items"]) - len(items))
    # Photos lie in images/<subset>/, the subset being the file's name.
    photos_of = annotations.photos(annotations.name)
    found = photos_of.find_all([[_path(item), item["id"]] for item in items])
    photos = []
    for item, path in zip(items, found, strict=True):
        where, missing = located(path)
        groups = _groups(item, left_out)
        objects = tuple(_object(number, group, labels) for number, group in enumerate(groups, start=1))
        photos.append(
            AnnotatedPhoto(
                item["id"], _path(item), where, missing, _size(item), objects, source=str(annotations.path)
            )
        )
    return Dataset(
        annotations.name,
        photos,
        place=annotations.path,
        left_out=left_out,
        categories={number + 1: label for number, label in labels.items()},
        digest=annotations.digest,
        wanted="polygon or mask",
        advice="`fcfi annotate` makes masks of boxes and points",
    )


def _labels(content: Mapping[str, Any]) -> dict[int, str]:
    try:
        entries = content["categories"]["label"]["labels"]
        return {number: str(entry["name"]) for number, entry in enumerate(entries)}
    except (KeyError, TypeError):
        return {}


def _media(item: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("image", "media"):
        if isinstance(item.get(key), dict):
            return item[key]  # type: ignore[no-any-return]
    return {}


def _path(item: Mapping[str, Any]) -> str:
    """Return the photo's path; the item's id, which is that path without a suffix, if it has none."""
    return str(_media(item).get("path") or item["id"])


def _size(item: Mapping[str, Any]) -> tuple[int, int] | None:
    size = _media(item).get("size")
    if not isinstance(size, list) or len(size) != 2:
        return None
    height, width = map(whole_number, size)
    return (width, height) if width and height else None


def _groups(item: Mapping[str, Any], left_out: LeftOut) -> list[list[Mapping[str, Any]]]:
    """Return the annotations of each object."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    entries = item.get("annotations")
    for number, one in enumerate(entries if isinstance(entries, list) else ()):
        kind = one.get("type") if isinstance(one, dict) else "unknown"
        if kind not in _READ:
            left_out.add(f"annotations of type {kind!s:.40}", str(item["id"]))
            continue
        group = one.get("group")
        alone = not isinstance(group, int) or not group
        found.setdefault(("alone", number) if alone else ("group", group), []).append(one)
    return list(found.values())


def _object(number: int, group: Sequence[Mapping[str, Any]], labels: Mapping[int, str]) -> AnnotatedObject:
    first = group[0]
    category = whole_number(first.get("label_id"))
    known = category is not None and category in labels
    return AnnotatedObject(
        number,
        ItemMarks(tuple(group)),
        label=labels[category] if known else UNNAMED,  # type: ignore[index]
        category=category + 1 if known else None,  # type: ignore[operator]
        drawn=any(one["type"] in _DRAWN for one in group),
        kind=f"annotations of type {first['type']}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class ItemMarks:
    """Marks: the annotations of one object, as in the file."""

    group: tuple[Mapping[str, Any], ...]

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return clicks, box and mask; a damaged annotation is left out if there is another."""
        return prompt_of_parts(
            self.group,
            lambda one: _prompt(one, width, height, note),
            note,
            "damaged annotations of an object",
        )


def _prompt(one: Mapping[str, Any], width: int, height: int, note: Note) -> Prompt:
    kind = one["type"]
    if kind == "polygon":
        return Prompt(mask=mask_of_rings([one.get("points")], width, height, note))
    if kind == "mask":
        if not isinstance(one.get("rle"), dict):
            raise DataError("a mask lacks its run-length code, 'rle'.")
        return Prompt(mask=mask_of_segmentation(one["rle"], width, height, note))
    if kind == "bbox":
        return Prompt(box=coco_box(one.get("bbox")))
    return Prompt(_clicks(one))


def _clicks(one: Mapping[str, Any]) -> tuple[Click, ...]:
    """Return the points that are marked as visible (2) or hidden (1), not as absent (0)."""
    points = one.get("points")
    try:
        pairs = np.asarray(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise DataError("the points of an annotation are no list of x, y, x, y, ...") from None
    visibility = one.get("visibility")
    seen = visibility if isinstance(visibility, list) and len(visibility) == len(pairs) else [2] * len(pairs)
    clicks = (Click.nearest(x - 0.5, y - 0.5) for (x, y), v in zip(pairs.tolist(), seen, strict=True) if v)
    return tuple(clicks)
