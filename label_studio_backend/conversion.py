"""Label Studio's JSON export in the formats that training needs: COCO, YOLO-seg, COCO panoptic, PNG maps.

Label Studio's own converter knows a class only from some tags (``BrushLabels``, ``PolygonLabels``, ...), and
gives some masks in no format but PNG. Here every region that is drawn counts, with the class of its own or of
the ``Labels`` result beside it, and no photo is needed.

Pictures are named as the tasks name them, without the random prefix of an upload where that is clear.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcfi_core import masks
from fcfi_core.datasets.photos import UPLOAD_PREFIX
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.masks import coco
from fcfi_core.masks.extent import Mask
from fcfi_core.masks.polygons import to_polygons
from fcfi_core.outputs import replaced, write
from label_studio_backend.controls import same_word
from label_studio_backend.exports import newest_results, photo_references, read_tasks, regions_of
from label_studio_backend.prompts import Region
from label_studio_backend.settings import as_mapping

UNNAMED = "object"
"""The class of regions that have none."""

_TOLERANCE = 0.5
_DRAWN = ("brush", "bitmask", "polygon", "rectangle")
_COLOURS = np.random.default_rng(7).permuted(np.arange(1, 256 * 3 + 1) * 37 % 256).reshape(256, 3)


@dataclass(frozen=True)
class Object:
    """One region: its class, and how to get its mask."""

    label: str
    region: Region

    def mask(self, picture: Picture) -> Mask:
        """Return the (H, W) bool mask; raises FcfiError if the region is damaged."""
        width, height = picture.width, picture.height
        if self.region.shape != "rectangle":
            return self.region.mask(width, height)
        box = self.region.box(width, height)
        mask = np.zeros((height, width), bool)
        mask[box.y1 : box.y2 + 1, box.x1 : box.x2 + 1] = True
        return mask


@dataclass(frozen=True)
class Picture:
    """One picture with its objects, in the order in which they were drawn.

    Args:
        name: of the file, with its suffix.
        width, height: as displayed, pixels.
        objects: at least one, none of them damaged or empty.
    """

    name: str
    width: int
    height: int
    objects: tuple[Object, ...]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem


@dataclass(frozen=True)
class Annotated:
    """An export.

    Args:
        pictures: with at least one object each.
        left_out: what is not among them -> how many.
    """

    pictures: tuple[Picture, ...]
    left_out: Mapping[str, int]

    @property
    def classes(self) -> list[str]:
        """All classes, sorted."""
        return sorted({one.label for picture in self.pictures for one in picture.objects})


def read(path: Path, background: str = "") -> Annotated:
    """Return what the JSON export ``path`` holds.

    Args:
        path: file made by Export > JSON.
        background: the label of the switch for negative clicks: beside a class it does not count.

    Raises:
        DataError: if it is no such export, or holds no region.
    """
    tasks = read_tasks(path)
    if tasks is None:
        raise DataError(f"{path} is no JSON export of Label Studio; choose JSON under Export.")
    left_out: Counter[str] = Counter()
    pictures = [picture for task in tasks for picture in _pictures(task, background, left_out)]
    if not pictures:
        but = ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
        raise DataError(
            f"{path} holds no brush, bitmask, polygon or rectangle region{' (' + but + ')' if but else ''}; "
            "accept and submit some masks, then export again."
        )
    return Annotated(tuple(_named_apart(pictures)), left_out)


def _pictures(task: Any, background: str, left_out: Counter[str]) -> Iterator[Picture]:
    def note(kind: str) -> None:
        left_out[kind] += 1

    results = newest_results(task, note)
    if results is None:
        return
    regions = regions_of(results, note, background)
    for result in results:
        kind = str(as_mapping(result).get("type"))
        if kind not in ("labels", "relation", "choices") and not kind.startswith(_DRAWN):
            left_out[f"regions of type {kind}"] += 1
    drawn = [region for region in regions if region.shape in _DRAWN]
    if len({(region.target, region.item_index) for region in drawn}) > 1:
        left_out["tasks with regions on several pictures"] += 1
        return
    if not drawn:
        return
    size = drawn[0].size
    if size is None:
        left_out["tasks whose regions lack original_width and original_height"] += 1
        return
    name = PurePosixPath(photo_references(task)[0]).name
    picture = Picture(name, *size, tuple(_object(region, background) for region in drawn))
    sound = tuple(one for one in picture.objects if _is_sound(one, picture, left_out))
    if sound:
        yield Picture(name, *size, sound)


def _object(region: Region, background: str) -> Object:
    labels = [label for label in region.labels if not same_word(label, background)] or region.labels
    return Object(next(iter(labels), UNNAMED), region)


def _is_sound(one: Object, picture: Picture, left_out: Counter[str]) -> bool:
    try:
        if one.mask(picture).any():
            return True
        left_out["empty regions"] += 1
    except FcfiError:
        left_out["damaged regions"] += 1
    return False


def _named_apart(pictures: Sequence[Picture]) -> Iterator[Picture]:
    """Yield the pictures without the prefix of uploads, as long as no two get one name."""
    bare = [UPLOAD_PREFIX.sub("", picture.name) for picture in pictures]
    stems = Counter(PurePosixPath(name).stem.casefold() for name in bare)
    seen: Counter[str] = Counter()
    for picture, name in zip(pictures, bare, strict=True):
        name = name if stems[PurePosixPath(name).stem.casefold()] == 1 else picture.name
        path = PurePosixPath(name)
        seen[path.stem.casefold()] += 1
        again = seen[path.stem.casefold()]
        name = name if again == 1 else f"{path.stem}-{again}{path.suffix}"
        yield Picture(name, picture.width, picture.height, picture.objects)


def write_coco(annotated: Annotated, folder: Path) -> None:
    """Write ``instances.json``: COCO instances, masks as run-length codes, exact to the pixel."""
    numbers = {label: number for number, label in enumerate(annotated.classes, 1)}
    annotations: list[dict[str, Any]] = []
    for image, picture in enumerate(annotated.pictures, 1):
        for one in picture.objects:
            mask = one.mask(picture)
            box = masks.box_of(mask)
            assert box is not None
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": numbers[one.label],
                    "segmentation": coco.encode(mask),
                    "bbox": [box.x1, box.y1, box.width, box.height],
                    "area": int(np.count_nonzero(mask)),
                    "iscrowd": 0,
                }
            )
    _write_json(
        folder / "instances.json",
        {
            "images": _images(annotated),
            "annotations": annotations,
            "categories": [{"id": number, "name": label} for label, number in numbers.items()],
        },
    )


def write_yolo(annotated: Annotated, folder: Path) -> None:
    """Write ``data.yaml`` and ``labels/*.txt``: YOLO-seg, one polygon a line, one line for each part.

    A hole is joined to its outline by a cut of no width.
    """
    for picture in annotated.pictures:
        lines = []
        for one in picture.objects:
            number = annotated.classes.index(one.label)
            for polygon in to_polygons(one.mask(picture), tolerance=_TOLERANCE, holes="bridge"):
                shares = np.clip(polygon.exterior / (picture.width, picture.height), 0, 1).ravel().tolist()
                lines.append(" ".join((str(number), *(f"{share:.6g}" for share in shares))))
        _write_text(folder / "labels" / f"{picture.stem}.txt", "".join(f"{line}\n" for line in lines))
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(annotated.classes))
    _write_text(folder / "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{names}")


def write_panoptic(annotated: Annotated, folder: Path) -> None:
    """Write ``panoptic.json`` and ``panoptic/*.png``: COCO panoptic; the later of two objects is on top."""
    numbers = {label: number for number, label in enumerate(annotated.classes, 1)}
    annotations = []
    for image, picture in enumerate(annotated.pictures, 1):
        ids = _painted(picture, range(1, len(picture.objects) + 1), np.uint32)
        segments = []
        for number, one in enumerate(picture.objects, 1):
            box = masks.box_of(ids == number)
            if box is not None:  # else covered by later ones
                area = int((ids == number).sum())
                where = {"bbox": [box.x1, box.y1, box.width, box.height], "area": area, "iscrowd": 0}
                segments.append({"id": number, "category_id": numbers[one.label], **where})
        name = f"{picture.stem}.png"
        colours = np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=2).astype(np.uint8)
        _write_picture(folder / "panoptic" / name, Image.fromarray(colours))
        annotations.append({"image_id": image, "file_name": name, "segments_info": segments})
    categories = [{"id": number, "name": label, "isthing": 1} for label, number in numbers.items()]
    _write_json(
        folder / "panoptic.json",
        {"images": _images(annotated), "annotations": annotations, "categories": categories},
    )


def write_png(annotated: Annotated, folder: Path) -> None:
    """Write ``masks/*.png`` of class numbers (0: none), and ``classes.txt``; the later object is on top.

    Raises:
        DataError: for more than 255 classes.
    """
    classes = annotated.classes
    if len(classes) > 255:
        raise DataError(f"the export has {len(classes)} classes; a PNG map holds at most 255.")
    for picture in annotated.pictures:
        values = [classes.index(one.label) + 1 for one in picture.objects]
        image = Image.fromarray(_painted(picture, values, np.uint8), "P")
        image.putpalette([0, 0, 0, *_COLOURS[1:].ravel().tolist()])
        _write_picture(folder / "masks" / f"{picture.stem}.png", image)
    _write_text(
        folder / "classes.txt", "".join(f"{number} {name}\n" for number, name in enumerate(classes, 1))
    )


FORMATS: Mapping[str, Callable[[Annotated, Path], None]] = {
    "coco": write_coco,
    "yolo": write_yolo,
    "panoptic": write_panoptic,
    "png": write_png,
}
"""Name of a format -> what writes it to a folder."""

_FILES = {
    "coco": ("instances.json", "", ""),
    "yolo": ("data.yaml", "labels", ".txt"),
    "panoptic": ("panoptic.json", "panoptic", ".png"),
    "png": ("classes.txt", "masks", ".png"),
}


def outputs(to: str, annotated: Annotated, folder: Path) -> list[Path]:
    """Return the files that format ``to`` writes."""
    single, many, suffix = _FILES[to]
    pictures = annotated.pictures if many else ()
    return [folder / single, *(folder / many / f"{picture.stem}{suffix}" for picture in pictures)]


def _painted(picture: Picture, values: Sequence[int], depth: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    """Return (H, W): the value of the last object on each pixel, 0 where there is none."""
    pixels = np.zeros((picture.height, picture.width), depth)
    for one, value in zip(picture.objects, values, strict=True):
        pixels[one.mask(picture)] = value
    return pixels


def _images(annotated: Annotated) -> list[dict[str, Any]]:
    return [
        {"id": number, "file_name": picture.name, "width": picture.width, "height": picture.height}
        for number, picture in enumerate(annotated.pictures, 1)
    ]


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as file:
        file.write(text)


def _write_picture(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write(path, buffer.getvalue())
