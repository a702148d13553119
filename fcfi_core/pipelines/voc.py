"""Boxes in Pascal VOC's XML: one file per image, corners counted from 1 and inclusive."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from fcfi_core.clicks import Box
from fcfi_core.errors import DataError, PromptError
from fcfi_core.pipelines.prompts import (
    UNNAMED,
    ImagePrompts,
    ObjectPrompt,
    OpenedImage,
    PromptSource,
    numbered,
)


def is_voc(path: Path) -> bool:
    """Return whether ``path`` is an XML file, or a folder of such, that VOC's reader has to judge.

    Other exports in XML have another root than ``annotation``; damaged files are this reader's to refuse.
    """
    file = min(path.glob("*.xml"), default=None) if path.is_dir() else path
    if file is None or file.suffix.lower() != ".xml":
        return False
    content = file.read_bytes()
    try:
        return b"<!DOCTYPE" in content or ElementTree.fromstring(content).tag == "annotation"
    except ElementTree.ParseError:
        return True


def read(path: Path, images: Path | None) -> PromptSource:
    """Return the boxes of one XML file, or of all in a folder.

    Images are looked for in ``images``, else beside the XML files or in ``../JPEGImages``.

    Raises:
        DataError: naming the file, if one cannot be understood.
    """
    files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    found: list[ImagePrompts] = []
    labels: list[str] = []
    for file in files:
        content = file.read_bytes()
        digest.update(content)
        name, objects = _parse(content, file)
        labels += [one.label for one in objects]
        found.append(ImagePrompts(name, partial(_open, file, images, name, objects)))
    if len({one.name for one in found}) != len(found):
        raise DataError(f"two XML files in {path} name the same image; every image needs one file.")
    return PromptSource(path.stem, digest.hexdigest(), tuple(found), numbered(labels))


def _parse(content: bytes, file: Path) -> tuple[str, tuple[ObjectPrompt, ...]]:
    """Return image name and objects of one XML file."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DataError(f"{file} declares a document type, which VOC files do not need; remove it.")
    try:
        root = ElementTree.fromstring(content)
        objects = tuple(_object(number, node) for number, node in enumerate(root.iter("object"), start=1))
    except (ElementTree.ParseError, ValueError, PromptError) as error:
        raise DataError(f"{file} is no VOC annotation: {error}.") from None
    return root.findtext("filename", default="").strip() or f"{file.stem}.jpg", objects


def _object(number: int, node: ElementTree.Element) -> ObjectPrompt:
    corners = [
        node.findtext(f"bndbox/{name}", default="nothing") for name in ("xmin", "ymin", "xmax", "ymax")
    ]
    x1, y1, x2, y2 = (float(corner) - 1 for corner in corners)
    label = node.findtext("name", default="").strip() or UNNAMED
    return ObjectPrompt(str(number), label, box=Box.nearest(max(x1, 0), max(y1, 0), x2, y2))


def _open(file: Path, images: Path | None, name: str, objects: tuple[ObjectPrompt, ...]) -> OpenedImage:
    folders = [images] if images else [file.parent, file.parent.parent / "JPEGImages"]
    for folder in folders:
        if (folder / name).is_file():
            return OpenedImage(folder / name, objects)
    raise DataError(f"image {name} of {file.name} is not in {' or '.join(map(str, folders))}.")
