"""Names what nobody here reads, and what to export instead."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.files import is_hidden
from fcfi_core.datasets.photos import is_photo
from fcfi_core.errors import DataError

ACCEPTED = (
    "give COCO, LabelMe or Datumaro JSON, CSV, JSON lines, VOC XML or masks, a YOLO folder, a folder with "
    "images/ and masks/, or the export of an annotation platform"
)
_INSTEAD = "export COCO JSON"

_BY_SUFFIX = {
    ".tfrecord": "a TFRecord",
    ".record": "a TFRecord",
    ".parquet": "a Parquet table",
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".npz": "a NumPy archive",
    ".npy": "a NumPy array",
    ".mat": "a MATLAB file",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
    ".xlsx": "a spreadsheet",
    ".shp": "a shape file of maps",
    ".geojson": "a GeoJSON of maps",
    ".txt": "a text file",
}
_ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z")

# Keys that tell a format: of the whole, or (where it is a list) of its first entry.
_BY_KEYS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(("_via_img_metadata",)), "a project of the VGG image annotator"),
    (frozenset(("filename", "regions")), "the JSON of the VGG image annotator"),
    (frozenset(("data_row",)), "an export of Labelbox"),
    (frozenset(("Labeled Data",)), "an export of Labelbox"),
    (frozenset(("objects", "size", "tags")), "an annotation of Supervisely"),
    (frozenset(("item", "annotations", "version")), "the Darwin JSON of V7"),
    (frozenset(("instances", "metadata")), "the JSON of SuperAnnotate"),
    (frozenset(("imgHeight", "imgWidth", "objects")), "the polygons of Cityscapes"),
    (frozenset(("type", "features")), "a GeoJSON of maps"),
    (frozenset(("image", "annotations")), "CreateML's JSON"),
    (frozenset(("labels", "name")), "the JSON of BDD100K or Scalabel"),
    (frozenset(("asset", "regions")), "the JSON of VoTT"),
)


def require_known(annotations: Annotations) -> None:
    """Raise DataError for archives, pictures and formats that are known by their suffix alone.

    Comes before any reader opens the file, which may be large.
    """
    path, suffix = annotations.path, annotations.suffix
    if path.is_dir():
        return
    require_no_archive(path)
    if is_photo(path):
        raise DataError(f"{path} is a picture; {ACCEPTED}.")
    if suffix in _ARCHIVES:
        raise DataError(f"{path} is an archive; unpack it and name the annotation file in it.")
    if suffix in _BY_SUFFIX:
        raise DataError(f"{path} is {_BY_SUFFIX[suffix]}, which is not read; {_INSTEAD}.")


def refusal(annotations: Annotations) -> DataError:
    """Return what to tell of something that no reader took."""
    path = annotations.path
    if path.is_dir():
        found = annotation_files([*path.glob("*.*"), *path.glob("*/*.*")])
        if found and not (path / "masks").is_dir():
            return DataError(f"{path} is a folder; name the annotation file in it: {' or '.join(found)}.")
        return DataError(
            f"{path} is no data set: it needs images/NAME.jpg and masks/NAME.png (no mask found), or the "
            f"text files of YOLO; {ACCEPTED}."
        )
    if not annotations.content.strip():
        return DataError(f"{path} is empty; export it again.")
    content = annotations.json
    if content is not None:
        known = _known(content)
        if known:
            return DataError(f"{path} is {known}, which is not read; {_INSTEAD}.")
        return DataError(f"{path} is JSON of no known form: it holds {_seen(content)}; {ACCEPTED}.")
    root = annotations.xml
    if root is not None:
        return DataError(f"{path} is XML of no known form: it holds <{root.tag}>; {ACCEPTED}.")
    return DataError(f"{path} cannot be read as JSON, XML or a table; {ACCEPTED}.")


def _known(content: Any) -> str:
    """Return what JSON of another format is; "" if nobody knows."""
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        first = next(iter(content["annotations"]), None)
        if isinstance(first, dict) and "segments_info" in first:
            return "a COCO panoptic file"
    entries: list[Any] = [content]
    if isinstance(content, list):
        entries = content[:1]
    elif isinstance(content, dict):
        entries += list(content.values())[:1]
    for entry in entries:
        if isinstance(entry, dict):
            for keys, known in _BY_KEYS:
                if keys <= entry.keys():
                    return known
    return ""


def _seen(content: Any) -> str:
    """Return what a JSON file holds, in a few words."""
    if isinstance(content, list) and content:
        return f"{len(content)} entries, the first with {_seen(content[0])}"
    if isinstance(content, dict) and content:
        return f"the keys {', '.join(f'{key!r:.40}' for key in list(content)[:6])}"
    return "a single value or nothing"


def require_no_archive(path: Path) -> None:
    """Refuse a packed export, naming the file to give when it is unpacked."""
    if not zipfile.is_zipfile(path):
        if path.suffix.lower() == ".zip":
            raise DataError(f"{path} is a damaged archive; export it again.")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            found = annotation_files(map(PurePath, archive.namelist()))
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is a damaged archive ({error}); export it again.") from None
    inside = (
        f"annotation file in it ({' or '.join(found)})" if found else "folder that holds images/ and masks/"
    )
    raise DataError(f"{path} is an archive; unpack it and name the {inside}.")


def annotation_files(paths: Iterable[PurePath]) -> list[str]:
    """Return up to three of ``paths`` that may be annotations of a platform, likeliest first."""
    found = [
        path
        for path in paths
        if not is_hidden(path) and (path.name == "annotations.xml" or path.suffix.lower() == ".json")
    ]
    likeliest = sorted(found, key=lambda path: (path.suffix != ".xml", "instances" not in path.name, path))
    return [str(path) for path in likeliest[:3]]
