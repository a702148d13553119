"""CVAT's XML export ("CVAT for images 1.1") as a data set: masks and polygons become regions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from fcfi_core import masks
from fcfi_core.errors import DataError
from fcfi_core.evaluation.datasets import BoolMask
from fcfi_core.evaluation.regions import PhotoFinder, RegionDataset, RegionPhoto
from fcfi_core.masks import cvat


def read_export(path: Path, images: Path | None) -> RegionDataset | None:
    """Return the data set in ``path``, or None if that is no CVAT XML file.

    Args:
        path: ``annotations.xml`` of an unpacked export.
        images: folder of the photos; None: the folder of the file.

    Raises:
        DataError: if the file is damaged or holds no mask or polygon, or a photo is missing.
    """
    if path.suffix.lower() != ".xml":
        return None
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise DataError(f"{path} is not a readable XML file ({error}); export the task again.") from None
    if root.tag != "annotations":
        return None
    finder = PhotoFinder(images or path.parent)
    try:
        photos = [photo for image in root.iter("image") if (photo := _photo(image, finder)) is not None]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is not of the form 'CVAT for images 1.1' ({error}); export it so.") from None
    if not photos:
        raise DataError(f"{path} holds no mask or polygon on an image; export as 'CVAT for images 1.1'.")
    return RegionDataset(path.stem, photos)


def _photo(image: ElementTree.Element, finder: PhotoFinder) -> RegionPhoto | None:
    width, height = int(image.attrib["width"]), int(image.attrib["height"])
    regions = [_region(shape, width, height) for shape in image if shape.tag in ("mask", "polygon")]
    if not regions:
        return None
    name = image.attrib["name"]
    return RegionPhoto(name, finder.find(name), width, height, tuple(regions))


def _region(shape: ElementTree.Element, width: int, height: int) -> Callable[[], BoolMask]:
    if shape.tag == "mask":
        runs = [int(run) for run in shape.attrib["rle"].split(",")]
        left, top = int(shape.attrib["left"]), int(shape.attrib["top"])
        right, bottom = left + int(shape.attrib["width"]) - 1, top + int(shape.attrib["height"]) - 1
        return partial(cvat.decode, [*runs, left, top, right, bottom], width, height)
    points = [[float(number) for number in pair.split(",")] for pair in shape.attrib["points"].split(";")]
    return partial(masks.from_polygons, [masks.Polygon(np.asarray(points))], width, height)
