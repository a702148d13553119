"""Opens a data set by what it is.

Platform packages announce readers of their export formats as ``readers`` of their plugin: functions
``(annotations) -> Dataset | None`` that return None for what is not their own. They are asked first. Readers
of the earlier entry-point group ``fcfi.datasets``, functions ``(path, images)`` whose data sets have
``name``, ``image_names``, ``areas`` and ``read``, are asked, too.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from fcfi_core import plugins
from fcfi_core.datasets import coco, datumaro, earlier, folder, foreign, labelme, tables, voc, voc_masks, yolo
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.stores import Stored

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


def open_dataset(path: str | Path | Stored, images: str | Path | Stored | None = None) -> Dataset:
    """Return the data set at ``path``, which holds masks.

    Args:
        path: of a file or folder in one of the formats of this package, or of an installed platform package;
            or of one file in a store.
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


def open_annotations(path: str | Path | Stored, images: str | Path | Stored | None = None) -> Dataset:
    """Return the data set at ``path``, whether it holds masks, boxes or clicks; see :func:`open_dataset`."""
    dataset = _opened(path, images)
    dataset.require_photos()
    return dataset


def _opened(path: str | Path | Stored, images: str | Path | Stored | None) -> Dataset:
    if isinstance(path, Stored):
        return _fetched(path, images)
    path = Path(path)
    store = images if isinstance(images, Stored) else None
    folder = None if images is None or isinstance(images, Stored) else Path(images)
    if not path.exists():
        raise DataError(f"data set {path} does not exist; check the path.")
    if folder is not None and not folder.is_dir():
        raise DataError(f"the folder of photos {folder} does not exist; check the path.")
    annotations = Annotations(path, folder, store)
    foreign.require_known(annotations)
    for reader in (*_announced(), *READERS):
        dataset = reader(annotations)
        if dataset is not None:
            return dataset
    raise foreign.refusal(annotations)


def _fetched(path: Stored, images: str | Path | Stored | None) -> Dataset:
    """Return the data set of one file in a store, whose photos lie beside it, or in ``images``.

    A copy of the file lies here as long as the data set is in use.
    """
    content = path.read()
    folder = tempfile.mkdtemp(prefix="fcfi-")
    local = Path(folder, path.name)
    try:
        local.write_bytes(content)
        dataset = _opened(local, path.parent if images is None else images)
    except FcfiError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise type(error)(str(error).replace(str(local), str(path))) from None
    weakref.finalize(dataset, shutil.rmtree, folder, ignore_errors=True)
    return dataset


def _announced() -> Iterator[Reader]:
    """Yield the readers of other packages."""
    yield from plugins.loaded("readers")
    for reader in plugins.loaded("datasets"):
        yield earlier.reader(reader)
