"""Opens a data set by what it is: a folder, a COCO file, or an export of an annotation platform.

Platform packages announce readers of their export formats as ``readers`` of their plugin.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath

from fcfi_core import plugins
from fcfi_core.datasets.coco import CocoDataset
from fcfi_core.datasets.folder import Dataset, Folder, read_ids
from fcfi_core.errors import DataError


def open_dataset(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Return the data set at ``path``.

    Args:
        path: a folder with ``images/`` and ``masks/``, a COCO JSON file, or a file that an installed
            platform package can read.
        images: folder of the photos that a file refers to; by default they are looked for beside it.

    Raises:
        DataError: if ``path`` or ``images`` does not exist, or nothing can read ``path``.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"data set {path} does not exist; check the path.")
    if images is not None and not Path(images).is_dir():
        raise DataError(f"the folder of photos {images} does not exist; check the path.")
    if path.is_dir():
        _check_no_unpacked_export(path)
        folder = Folder(path)
        _check_not_black_and_white(path)
        return folder
    _check_no_archive(path)
    for read in plugins.loaded("readers"):
        dataset: Dataset | None = read(path, None if images is None else Path(images))
        if dataset is not None:
            return dataset
    return CocoDataset(path, None if images is None else Path(images))


def _check_no_unpacked_export(path: Path) -> None:
    """Refuse the folder of an unpacked export, naming the file to give instead."""
    if (path / "masks").is_dir():
        return
    found = _annotation_files([*path.glob("*.*"), *path.glob("*/*.*")])
    if found:
        raise DataError(f"{path} is a folder; name the annotation file in it: {' or '.join(found)}.")


def _check_not_black_and_white(path: Path) -> None:
    """Refuse masks in which "ignore" is the only number; reads them up to the first that holds an object."""
    white = 0
    for file in sorted((path / "masks").glob("*.png")):
        ids, ignored = read_ids(file)
        if ((ids != 0) & (ids != ignored)).any():
            return
        white = white or (ignored if ids.any() else 0)
    if white:
        raise DataError(
            f"the masks of {path} hold nothing but 0 and {white}, which means 'ignore'; number the objects "
            "1, 2, 3 ... in each mask."
        )


def _check_no_archive(path: Path) -> None:
    """Refuse a packed export, naming the file to give when it is unpacked."""
    if not zipfile.is_zipfile(path):
        if path.suffix.lower() == ".zip":
            raise DataError(f"{path} is a damaged archive; export it again.")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            found = _annotation_files(map(PurePath, archive.namelist()))
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is a damaged archive ({error}); export it again.") from None
    inside = (
        f"annotation file in it ({' or '.join(found)})" if found else "folder that holds images/ and masks/"
    )
    raise DataError(f"{path} is an archive; unpack it and name the {inside}.")


def _annotation_files(paths: Iterable[PurePath]) -> list[str]:
    """Return up to three of ``paths`` that may be annotations of a platform, likeliest first."""
    found = [
        path
        for path in paths
        if path.name == "annotations.xml"
        or (path.suffix.lower() == ".json" and not path.name.startswith("."))
    ]
    likeliest = sorted(found, key=lambda path: (path.suffix != ".xml", "instances" not in path.name, path))
    return [str(path) for path in likeliest[:3]]
