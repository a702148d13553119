"""Boxes in Pascal VOC's XML: one file per photo, corners counted from 1 and inclusive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from fcfi_core.clicks import Box
from fcfi_core.datasets.annotations import Annotations, begins_as_xml, parse_xml
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.datasets.objects import (
    UNNAMED,
    AnnotatedObject,
    AnnotatedPhoto,
    Damaged,
    Given,
    Marks,
    located,
)
from fcfi_core.datasets.photos import Photo, is_photo
from fcfi_core.datasets.shapes import whole_number
from fcfi_core.errors import DataError, PromptError
from fcfi_core.prompt import Prompt

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FOLDER = "Annotations"
_FOR_ALL = "annotations.xml"
"""The name of other formats' one file for all photos."""


def read(annotations: Annotations) -> Dataset | None:
    """Return the boxes of one XML file, or of all in a folder (or in ``Annotations`` in it).

    Raises:
        DataError: if no file can be used.
    """
    files = _files(annotations.path)
    if not files:
        return None
    left_out = LeftOut()
    digest = hashlib.sha256()
    parsed: list[tuple[Path, ElementTree.Element]] = []
    for file in files:
        try:
            content = file.read_bytes()
            if not begins_as_xml(content):
                raise DataError(f"{file} is no XML.")
            root = parse_xml(content, file)
        except (OSError, DataError) as error:
            left_out.add("files that cannot be read", str(error).removesuffix("."))
            continue
        if root.tag != "annotation":
            if len(files) == 1:
                return None
            left_out.add("XML files of another kind", f"{file.name} holds <{root.tag}>")
            continue
        digest.update(content)
        parsed.append((file, root))
    if not parsed:
        raise DataError(f"{left_out.firsts.get('files that cannot be read', annotations.path)}.")
    names = [_written(file, root) for file, root in parsed]
    found = annotations.photos().find_all([[name] for name in names])
    photos: dict[str, AnnotatedPhoto] = {}
    for (file, root), name, path in zip(parsed, names, found, strict=True):
        if name in photos:
            left_out.add("files of a photo that another file describes", f"{file.name}: {name}")
            continue
        where, missing = located(path)
        photos[name] = AnnotatedPhoto(
            name,
            _file_name(name, where),
            where,
            missing and f"{file.name}: {missing}",
            _size(root),
            tuple(_objects(root, file)),
            source=str(file),
        )
    return Dataset(
        annotations.name,
        tuple(photos.values()),
        place=annotations.path,
        left_out=left_out,
        digest=digest.hexdigest(),
        wanted="mask",
        advice="VOC's XML holds boxes: `fcfi annotate` makes masks of them",
    )


def _files(path: Path) -> list[Path]:
    """Return the XML files meant by ``path``; [] if it is something else."""
    if path.is_dir():
        for folder in (path, path / _FOLDER):
            files = [one for one in files_of(folder, "*.[xX][mM][lL]") if one.name != _FOR_ALL]
            if files:
                return files
        return []
    return [path] if path.suffix.lower() == ".xml" else []


def _written(file: Path, root: ElementTree.Element) -> str:
    """Return what the file says of its photo; its own name without a suffix if it says nothing."""
    return (root.findtext("filename") or root.findtext("path") or "").strip() or file.stem


def _file_name(written: str, path: Photo | None) -> str:
    """Return what to call the photo: a whole path by its end, a name without a suffix as in the folder."""
    name = written.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":":
        name = name.rsplit("/", 1)[-1] or written
    return name if path is None or is_photo(Path(name)) else path.name


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return (width, height) if the file tells both; some tools write zeros."""
    width, height = (
        whole_number((root.findtext(f"size/{side}") or "").strip()) for side in ("width", "height")
    )
    return (width, height) if width and height else None


def _objects(root: ElementTree.Element, file: Path) -> Iterator[AnnotatedObject]:
    for number, node in enumerate(root.iter("object"), start=1):
        yield AnnotatedObject(
            number,
            _marks(node, file),
            label=(node.findtext("name") or "").strip() or UNNAMED,
            drawn=False,
            kind="boxes",
        )


def _marks(node: ElementTree.Element, file: Path) -> Marks:
    corners = [(node.findtext(f"bndbox/{name}") or "").strip() for name in _CORNERS]
    try:
        x1, y1, x2, y2 = (float(corner) - 1 for corner in corners)
        return Given(Prompt(box=Box.nearest(max(x1, 0), max(y1, 0), x2, y2)))
    except (ValueError, PromptError):
        written = ", ".join(f"{name} {corner!r}" for name, corner in zip(_CORNERS, corners, strict=True))
        return Damaged(f"{file.name} holds no box of it ({written}).")
