"""Opens a source of prompts: every data set is one (:mod:`fcfi_core.datasets`).

=====================  ============================================================================
COCO JSON              per annotation: polygons or run-length code (mask), ``bbox`` (box),
                       ``keypoints`` with v > 0 or ``clicks`` [[x, y, positive], ...] (clicks)
CSV                    columns image, x, y; and if wanted positive (1/0), object, label,
                       x1, y1, x2, y2 (box). Rows of one image and object are its clicks, in order
JSON lines             an object per line: image, clicks, box, mask (PNG path), object, label
VOC XML                a file or a folder of them: ``object/bndbox`` (box), ``object/name``
YOLO                   a folder or its YAML file: boxes, polygons (mask), key points (clicks)
LabelMe JSON           a file or a folder of them: polygons, circles, masks, rectangles (box), points
Datumaro JSON          polygons, masks, boxes, points
folder                 images/ and masks/: every object's mask
=====================  ============================================================================

Sources of the earlier entry-point group ``fcfi.prompts``, functions ``(path, images) -> PromptSource |
None``, are read, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import overload

from fcfi_core import plugins
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.folder import Folder
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.objects import UNNAMED, AnnotatedPhoto
from fcfi_core.datasets.opening import open_annotations
from fcfi_core.datasets.shapes import numbered
from fcfi_core.pipelines.prompts import ImagePrompts, PromptSource, opened
from fcfi_core.stores import Stored


def open_source(
    path: str | Path | Stored, images: str | Path | Stored | None = None, max_pixels: int | None = None
) -> PromptSource:
    """Return the prompts at ``path``.

    Args:
        path: see the module's text; also one file in a store.
        images: folder of the images, here or in a store; None: beside the source.
        max_pixels: most pixels of an image, None for 200 million.

    Raises:
        DataError: if ``path`` or ``images`` does not exist, nothing can read the source, or no image of it
            was found.
    """
    if not isinstance(path, Stored) and not isinstance(images, Stored) and Path(path).exists():
        for read in plugins.loaded("prompts"):
            source: PromptSource | None = read(Path(path), None if images is None else Path(images))
            if source is not None:
                return source
    return from_dataset(open_annotations(path, images), max_pixels)


def from_dataset(dataset: Dataset, max_pixels: int | None = None) -> PromptSource:
    """Return the objects of a data set as prompts: each starts from what its marks hold."""
    found = _Images(dataset.photos, max_pixels)
    left_out = LeftOut(dataset.unread)
    labels = []
    if not isinstance(dataset, Folder):  # whose objects have no labels, and stand in its masks
        for photo in dataset.photos:
            labels += [one.label for one in photo.objects if one.category is None and not one.crowd]
            if crowds := sum(one.crowd for one in photo.objects):
                left_out.add("crowd regions", photo.file_name, crowds)
    categories = dict(dataset.categories)
    for label in numbered(labels).values():
        if label not in categories.values():
            categories[max(categories, default=0) + 1] = label
    return PromptSource(dataset.name, dataset.digest, found, categories or {1: UNNAMED}, left_out)


@dataclass(frozen=True, eq=False)
class _Images(Sequence[ImagePrompts]):
    """The images of a data set, each made when it is asked for: of 100,000 they would take 40 MB."""

    photos: Sequence[AnnotatedPhoto]
    max_pixels: int | None

    def __len__(self) -> int:
        return len(self.photos)

    @overload
    def __getitem__(self, index: int) -> ImagePrompts: ...

    @overload
    def __getitem__(self, index: slice) -> list[ImagePrompts]: ...

    def __getitem__(self, index: int | slice) -> ImagePrompts | list[ImagePrompts]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        photo = self.photos[index]
        return ImagePrompts(photo.file_name, partial(opened, photo, self.max_pixels), photo.id)
