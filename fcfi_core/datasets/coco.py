"""COCO instance files: what annotation tools and public data sets exchange.

``{"images": [{"id", "file_name", "width", "height"}], "annotations": [{"id", "image_id", "category_id",
"segmentation", "bbox", "keypoints", "clicks", "iscrowd"}], "categories": [{"id", "name"}]}``. A segmentation
is a list of polygons (flat lists x, y, x, y ... in the plane where pixel 0 spans 0..1; a pixel belongs to the
object if its centre is in any of them) or a run-length code, compressed or not. ``clicks`` are our own:
``[[x, y, positive], ...]``.

Ids may be text, sizes may be missing. Crowds count neither way (:mod:`~fcfi_core.datasets.crowds`). Objects
may overlap; where one label per pixel is needed, as in training, the smaller one is taken to be in front.
"""

from __future__ import annotations

import marshal
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from fcfi_core.clicks import Click
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.crowds import Crowds
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import UNNAMED, AnnotatedObject, AnnotatedPhoto, Damaged, Marks, located
from fcfi_core.datasets.shapes import (
    clicks_of_keypoints,
    coco_box,
    decode_segmentation,
    mask_of_segmentation,
    parse_clicks,
    whole_number,
)
from fcfi_core.errors import DataError, FcfiError, PromptError
from fcfi_core.prompt import Prompt

__all__ = ["CocoDataset", "decode_segmentation", "read"]

_UNSEGMENTED = "annotations without a segmentation"

_PACKING = 4
"""The form of marshal that every Python from 3.4 on reads, whichever a worker on another machine has."""


def read(annotations: Annotations) -> Dataset | None:
    """Return the data set of a COCO file; None if it is no such file.

    Raises:
        DataError: if no image of it can be used.
    """
    return CocoDataset(annotations) if _is_coco(annotations.json) else None


class CocoDataset(Dataset):
    """The objects of a COCO file, by annotation.

    Args:
        source: path of the JSON file, or its annotations.
        photos: folder of the photos; None: look beside the file.

    Raises:
        DataError: if the file is not of this form.
    """

    def __init__(self, source: str | Path | Annotations, photos: str | Path | None = None) -> None:
        if not isinstance(source, Annotations):
            source = Annotations(Path(source), None if photos is None else Path(photos))
        reader = _Reader(source)
        super().__init__(
            source.name,
            reader.photos,
            place=source.path,
            left_out=reader.left_out,
            categories=reader.categories,
            digest=source.digest,
            wanted="segmentation of an object",
            advice="polygons or run-length codes are needed",
        )


@dataclass(frozen=True, slots=True, eq=False)
class CocoMarks:
    """Marks: one annotation as in the file.

    Args:
        packed: its segmentation, bbox, keypoints, clicks and area. As lists of numbers they would take four
            times the memory, all the time that a run takes.
    """

    packed: bytes

    @classmethod
    def of(cls, annotation: Mapping[str, Any]) -> Marks:
        """Return the marks of an annotation, plain JSON."""
        fields = [annotation.get(key) for key in ("segmentation", "bbox", "keypoints", "clicks", "area")]
        try:
            return cls(marshal.dumps(fields, _PACKING))
        except ValueError:
            return Damaged("the annotation is nested too deeply; it is damaged.")

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return clicks, box and mask; a part that is damaged is left out if there is another."""
        segmentation, bbox, keypoints, marked, area = marshal.loads(self.packed)
        problems: list[FcfiError] = []
        mask, box = None, None
        clicks: tuple[Click, ...] = ()
        if segmentation:
            try:
                mask = mask_of_segmentation(segmentation, width, height, note, area)
            except FcfiError as error:
                problems.append(error)
        if bbox:
            try:
                box = coco_box(bbox)
            except PromptError as error:
                problems.append(error)
        try:
            clicks = parse_clicks(marked) if marked else clicks_of_keypoints(keypoints or [])
        except PromptError as error:
            problems.append(error)
        prompt = Prompt(clicks, box, mask)
        if prompt.is_empty:
            raise (
                problems[0] if problems else PromptError("the annotation has no segmentation, box or click.")
            )
        for _ in problems:
            note("damaged parts of annotations")
        return prompt


class _Reader:
    """Takes the content of a file apart."""

    def __init__(self, source: Annotations) -> None:
        self._path = source.path
        content = source.json
        if not _is_coco(content):
            raise DataError(
                f"{source.path} is no COCO file: it has no list 'images'; give a COCO instance file."
            )
        self.left_out = LeftOut()
        images, first = self._images(content["images"])
        entries = _listed(content.get("annotations"))
        annotations = [one for one in entries if isinstance(one, dict)]
        if len(annotations) < len(entries):
            self.left_out.add("annotations that are none", count=len(entries) - len(annotations))
        if not isinstance(content.get("annotations", []), list):
            self.left_out.add("entries of a file whose 'annotations' is no list")
        by_image: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for one in annotations:
            key = _key(one.get("image_id"))
            key = first.get(key, key) if key is not None else None
            if key in images:
                by_image[key].append(one)
            else:
                self.left_out.add("annotations of no image in the file", f"annotation {one.get('id')}")
        self._crowds = Crowds(content, annotations)
        self._number_of, self.categories = self._categories(_listed(content.get("categories")), annotations)
        place = str(source.path)
        del content, annotations, entries
        source.forget()
        # Packed one by one, before anything else is made: a large source should not be in memory twice, and
        # what is kept should not lie scattered in the memory of what is not.
        counts = [len(by_image.get(key, ())) for key in images]
        packed = [self._packed(one) for key in images for one in by_image.pop(key, ())]
        objects = iter(packed)
        names = _short_names([image["file_name"] for image in images.values()])
        paths = source.photos(_subset(source.path)).find_all([[one["file_name"]] for one in images.values()])
        self.photos = tuple(
            AnnotatedPhoto(
                name,
                image["file_name"],
                *located(path),
                size=_size(image),
                annotated=tuple(self._object(*numbered) for numbered in enumerate(islice(objects, count), 1)),
                id=whole_number(image["id"]),
                source=place,
            )
            for image, count, name, path in zip(images.values(), counts, names, paths, strict=True)
        )

    def _images(self, entries: Iterable[Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Return the usable entries by id, and the id of the first entry of a photo by those of further ones.

        Raises:
            DataError: if there are entries and none is usable.
        """
        found: dict[str, dict[str, Any]] = {}
        of_file: dict[str, str] = {}
        first: dict[str, str] = {}
        unclear: set[str] = set()
        problem = ""
        for entry in entries:
            key = _key(entry.get("id")) if isinstance(entry, dict) else None
            if key is None or not isinstance(entry.get("file_name"), str | int):
                problem = problem or f"every image needs id and file_name, but there is {entry!r:.80}"
                self.left_out.add("images without id or file_name", f"{entry!r:.80}")
                continue
            name = str(entry["file_name"])
            known = found.get(of_file.get(name, ""))
            if known is not None and _size(known) == _size(entry):
                self.left_out.add("further entries of a photo, taken with the first", name)
                another = key in found and key != of_file[name]
                if another or first.setdefault(key, of_file[name]) != of_file[name]:
                    unclear.add(key)
            elif key in found or key in first:
                unclear.add(key)
            elif known is not None:
                self.left_out.add("further entries of a photo, of another size", name)
            else:
                found[key], of_file[name] = {**entry, "file_name": name}, key
        for key in unclear:
            problem = problem or f"several images have the same id, {key}"
            self.left_out.add("images whose id others have", f"id {key}")
            found.pop(key, None)
            first.pop(key, None)
        if problem and not found:
            raise DataError(f"{self._path} is no COCO file: {problem}.")
        return found, first

    def _categories(
        self, entries: Iterable[Any], annotations: Iterable[Mapping[str, Any]]
    ) -> tuple[dict[str, int], dict[int, str]]:
        """Return {id as written: number} and {number: label}; what only annotations name is added."""
        names: dict[str, str] = {}
        for entry in entries:
            key = _key(entry.get("id")) if isinstance(entry, dict) else None
            if key is not None:
                names.setdefault(key, str(entry.get("name") or UNNAMED))
        for one in annotations:
            key = _key(one.get("category_id"))
            if key is not None:
                names.setdefault(key, str(one.get("category_name") or UNNAMED))
        given = [whole_number(key) for key in names]
        kept = None not in given and len(set(given)) == len(names)
        numbers = [number for number in given if number is not None] if kept else range(1, len(names) + 1)
        number_of = dict(zip(names, numbers, strict=True))
        return number_of, {number_of[key]: name for key, name in names.items()}

    def _packed(self, one: Mapping[str, Any]) -> bytes | tuple[Any, ...]:
        """Return what is kept of an annotation; as it is if it cannot be packed."""
        own, category = one.get("id"), self._number_of.get(_key(one.get("category_id")) or "")
        name = None if own is None else str(own)
        kept = name, whole_number(own), category, bool(one.get("segmentation")), one in self._crowds
        marks = CocoMarks.of(one)
        return (
            marshal.dumps((marks.packed, *kept), _PACKING) if isinstance(marks, CocoMarks) else (marks, *kept)
        )

    def _object(self, number: int, packed: bytes | tuple[Any, ...]) -> AnnotatedObject:
        fields = marshal.loads(packed) if isinstance(packed, bytes) else packed
        marks, name, own, category, drawn, crowd = fields
        return AnnotatedObject(
            number,
            CocoMarks(marks) if isinstance(marks, bytes) else marks,
            name=str(number) if name is None else name,
            label=UNNAMED if category is None else self.categories[category],
            category=category,
            id=own,
            drawn=drawn,
            kind=_UNSEGMENTED,
            crowd=crowd,
        )


def _is_coco(content: object) -> bool:
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _key(value: object) -> str | None:
    """Return an id so that 7 and "7" are the same; None if it is none."""
    if type(value) is int:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    number = whole_number(value)
    return str(value) if number is None else str(number)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (width, height) if the entry tells both."""
    width, height = whole_number(image.get("width")), whole_number(image.get("height"))
    return (width, height) if width and height else None


def _subset(path: Path) -> str:
    """``train`` of ``instances_train.json``, the folder of its photos by custom; "" of other names."""
    return path.stem.removeprefix("instances_") if path.stem.startswith("instances_") else ""


def _short_names(file_names: list[str]) -> list[str]:
    """Return short names: the stem of the file, or the whole name where stems repeat."""
    stems = [PurePosixPath(name).stem for name in file_names]
    occurrences = Counter(stems)
    return [stem if occurrences[stem] == 1 else name for stem, name in zip(stems, file_names, strict=True)]
