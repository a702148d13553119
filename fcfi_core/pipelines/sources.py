"""Opens a source of prompts by what it is.

=====================  ============================================================================
COCO JSON              per annotation: polygons or run-length code (mask), ``bbox`` (box),
                       ``keypoints`` with v > 0 or ``clicks`` [[x, y, positive], ...] (clicks)
CSV                    columns image, x, y; and if wanted positive (1/0), object, label,
                       x1, y1, x2, y2 (box). Rows of one image and object are its clicks, in order
JSON lines             an object per line: image, clicks, box, mask (PNG path), object, label
VOC XML                a file or a folder of them: ``object/bndbox`` (box), ``object/name``
data set               a folder with images/ and masks/: every object's mask
=====================  ============================================================================

Other packages announce further formats as ``prompts`` of their plugin. Their ``readers`` of data sets serve
as well: their regions are masks to start from.

Paths of images are relative to the folder given, else to the file's own folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fcfi_core import plugins
from fcfi_core.clicks import Click
from fcfi_core.datasets.coco import decode_segmentation
from fcfi_core.datasets.coco_file import CocoFile, CocoImage
from fcfi_core.datasets.folder import Dataset
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.errors import DataError, PromptError
from fcfi_core.pipelines import tables, voc
from fcfi_core.pipelines.prompts import (
    UNNAMED,
    ImagePrompts,
    ObjectPrompt,
    OpenedImage,
    PromptSource,
    coco_box,
    numbered,
)

_READERS: dict[str, Callable[[Path, Path | None], PromptSource]] = {
    ".csv": tables.read_csv,
    ".jsonl": tables.read_json_lines,
}


def open_source(path: str | Path, images: str | Path | None = None) -> PromptSource:
    """Return the prompts at ``path``.

    Args:
        path: see the module's text.
        images: folder of the images; None: beside the source.

    Raises:
        DataError: if ``path`` or ``images`` does not exist, or nothing can read the source.
    """
    path, folder = Path(path), None if images is None else Path(images)
    if not path.exists():
        raise DataError(f"source {path} does not exist; check the path.")
    if folder is not None and not folder.is_dir():
        raise DataError(f"image folder {folder} does not exist; check the path.")
    for read in plugins.loaded("prompts"):
        source: PromptSource | None = read(path, folder)
        if source is not None:
            return source
    if path.suffix.lower() in _READERS:
        return _READERS[path.suffix.lower()](path, folder)
    if voc.is_voc(path):
        return voc.read(path, folder)
    if path.suffix.lower() == ".json" and _is_coco(path):
        return read_coco(path, folder)
    return from_dataset(open_dataset(path, folder), path)


def read_coco(path: Path, images: Path | None) -> PromptSource:
    """Return the annotations of a COCO file as prompts, keeping its numbers.

    Raises:
        DataError: if the file is not of this form, or its images have no numbers of their own.
    """
    file = CocoFile(path, images)
    categories = file.categories or {1: UNNAMED}
    for number in [*categories, *(image.id for image in file.images)]:
        if not isinstance(number, int):
            raise DataError(
                f"{path} has the id {number!r}; ids of images and categories must be whole numbers."
            )
    found = tuple(
        ImagePrompts(image.file_name, partial(_coco_image, file, image), image.id) for image in file.images
    )
    return PromptSource(path.stem, digest_of(path), found, categories)


def from_dataset(dataset: Dataset, path: Path) -> PromptSource:
    """Return the objects of a data set as prompts: each starts from its mask."""
    found = tuple(ImagePrompts(name, partial(_dataset_image, dataset, name)) for name in dataset.image_names)
    return PromptSource(dataset.name, digest_of(path), found, numbered([]))


def digest_of(path: Path) -> str:
    """Return a digest of a source: of a file's content; of a folder's file names and sizes."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    listing = [
        f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("".join(listing).encode()).hexdigest()


def _is_coco(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "images" in content


def _coco_image(file: CocoFile, image: CocoImage) -> OpenedImage:
    objects = [
        _coco_object(file, image, number, one)
        for number, one in enumerate(file.annotations[image.id], start=1)
        if not file.is_crowd(one)
    ]
    return OpenedImage(file.photo(image), tuple(objects))


def _coco_object(file: CocoFile, image: CocoImage, number: int, annotation: dict[str, Any]) -> ObjectPrompt:
    own, segmentation, box = (annotation.get(key) for key in ("id", "segmentation", "bbox"))
    return ObjectPrompt(
        name=str(number if own is None else own),
        label=file.categories.get(annotation.get("category_id"), UNNAMED),
        clicks=_coco_clicks(annotation),
        box=coco_box(box) if box else None,
        prior_mask=partial(decode_segmentation, segmentation, image.height, image.width)
        if segmentation
        else None,
        id=own if isinstance(own, int) else None,
    )


def _coco_clicks(annotation: dict[str, Any]) -> tuple[Click, ...]:
    """Return the clicks of an annotation: its ``clicks``, else the labelled ones of its ``keypoints``."""
    if annotation.get("clicks"):
        return tables.parse_clicks(annotation["clicks"])
    flat = annotation.get("keypoints") or []
    if len(flat) % 3:
        raise PromptError(f"keypoints of annotation {annotation.get('id')} are not triples x, y, v.")
    return tuple(
        Click.nearest(x, y) for x, y, v in zip(flat[::3], flat[1::3], flat[2::3], strict=True) if v > 0
    )


def _dataset_image(dataset: Dataset, name: str) -> OpenedImage:
    photo = dataset.read(name)
    objects = [
        ObjectPrompt(str(number), prior_mask=partial(photo.mask, number), id=None)
        for number in dataset.areas(name)
    ]
    return OpenedImage(photo.pixels, tuple(objects))
