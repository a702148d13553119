"""Opens a data set by what it is: a folder, a COCO file, or an export of an annotation platform.

Platform packages announce readers of their export formats through the entry-point group
``fcfi.datasets``: a function ``(path, images) -> Dataset | None`` that returns None for what is not its
own.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from fcfi_core.errors import DataError
from fcfi_core.evaluation.coco import CocoDataset
from fcfi_core.evaluation.datasets import Dataset, Folder


def open_dataset(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Return the data set at ``path``.

    Args:
        path: a folder with ``images/`` and ``masks/``, a COCO JSON file, or a file that an installed
            platform package can read.
        images: folder of the photos that a file refers to; by default they are looked for beside it.

    Raises:
        DataError: if ``path`` does not exist, or nothing can read it.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"data set {path} does not exist; check the path.")
    if path.is_dir():
        return Folder(path)
    for entry_point in sorted(entry_points(group="fcfi.datasets"), key=lambda entry: entry.name):
        dataset: Dataset | None = entry_point.load()(path, None if images is None else Path(images))
        if dataset is not None:
            return dataset
    return CocoDataset(path, None if images is None else Path(images))
