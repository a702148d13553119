"""Opens a data set by what it is.

Platform packages announce readers of their export formats as ``readers`` of their plugin: functions
``(annotations) -> Dataset | None`` that return None for what is not their own. They are asked first. Readers
of the earlier entry-point group ``fcfi.datasets``, functions ``(path, images)`` whose data sets have
``name``, ``image_names``, ``areas`` and ``read``, are asked, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fcfi_core import plugins
from fcfi_core.datasets import coco, datumaro, earlier, folder, foreign, labelme, tables, voc, voc_masks, yolo
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.errors import DataError

Reader = Callable[[Annotations], Dataset | None]

READERS: tuple[Reader, ...] = (
    folder.read,
    tables.read_csv,
    tables.read_json_lines,
    voc_masks.read,
    voc.read,
    labelme.read,
    yolo.read,
    coco.read,
    datumaro.read,
)
"""Ours, in the order in which they are asked."""


def open_dataset(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Return the data set at ``path``, which holds masks.

    Args:
        path: of a file or folder in one of the formats of this package, or of an installed platform package.
        images: folder of the photos that a file refers to; by default they are looked for beside it.

    Raises:
        DataError: if ``path`` or ``images`` does not exist, nothing can read ``path``, it holds no mask, or
            no photo was found.
    """
    dataset = _opened(path, images)
    if isinstance(dataset, folder.Folder):
        dataset.require_numbers()
    dataset.require_masks()
    return dataset


def open_annotations(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Return the data set at ``path``, whether it holds masks, boxes or clicks; see :func:`open_dataset`."""
    dataset = _opened(path, images)
    dataset.require_photos()
    return dataset


def _opened(path: str | Path, images: str | Path | None) -> Dataset:
    path, images = Path(path), None if images is None else Path(images)
    if not path.exists():
        raise DataError(f"data set {path} does not exist; check the path.")
    if images is not None and not images.is_dir():
        raise DataError(f"the folder of photos {images} does not exist; check the path.")
    annotations = Annotations(path, images)
    foreign.require_known(annotations)
    for reader in (*_announced(), *READERS):
        dataset = reader(annotations)
        if dataset is not None:
            return dataset
    raise foreign.refusal(annotations)


def _announced() -> Iterator[Reader]:
    """Yield the readers of other packages."""
    yield from plugins.loaded("readers")
    for reader in plugins.loaded("datasets"):
        yield earlier.reader(reader)
