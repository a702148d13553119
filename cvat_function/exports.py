"""CVAT's XML export ("CVAT for images 1.1") as a data set: masks and polygons become regions.

In a project's export the subset is part of a photo's name and of its path (``images/Train/0001.jpg``).
Regions may overlap: the order in which CVAT stacks shapes (``z_order``) is not read. Where one label per
pixel is needed, as in training, the smaller region is taken to be in front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from fcfi_core import masks
from fcfi_core.datasets.folder import BoolMask
from fcfi_core.datasets.regions import PhotoFinder, RegionDataset, RegionPhoto, listed
from fcfi_core.errors import DataError
from fcfi_core.masks import cvat

_READ = ("mask", "polygon")
_ACCEPTED = "export a task or project as 'CVAT for images 1.1', with masks or polygons"


def read_export(path: Path, images: Path | None) -> RegionDataset | None:
    """Return the data set in ``path``, or None if that is no XML file.

    Args:
        path: ``annotations.xml`` of an unpacked export.
        images: folder of the photos; None: the folder of the file.

    Raises:
        DataError: if the file is damaged, not CVAT's or holds no mask or polygon, or a photo is missing.
    """
    if path.suffix.lower() != ".xml":
        return None
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise DataError(f"{path} is not a readable XML file ({error}); {_ACCEPTED}.") from None
    if root.tag != "annotations":
        raise DataError(f"{path} is no CVAT export: it holds <{root.tag}>, not <annotations>; {_ACCEPTED}.")
    left_out = Counter(shape.tag for shape in (*root.iterfind("image/*"), *root.iterfind("track")))
    for kind in _READ:
        del left_out[kind]
    finder = PhotoFinder(images or path.parent)
    photos = [photo for image in root.iter("image") if (photo := _photo(image, path, finder)) is not None]
    if not photos:
        but = f", but {listed(left_out)}" if left_out else ""
        raise DataError(f"{path} holds no mask or polygon on an image{but}; {_ACCEPTED}.")
    kinds = {f"shapes of type {kind}": count for kind, count in left_out.items()}
    return RegionDataset(path.stem, photos, left_out=kinds)


def _photo(image: ElementTree.Element, path: Path, finder: PhotoFinder) -> RegionPhoto | None:
    """Return the photo of an ``<image>`` with its regions, or None if it has none.

    Raises:
        DataError: if the element is not of CVAT's form, or the photo is missing.
    """
    shapes = [shape for shape in image if shape.tag in _READ]
    if not shapes:
        return None
    name = "/".join(filter(None, (image.get("subset"), image.get("name"))))
    try:
        width, height = int(image.attrib["width"]), int(image.attrib["height"])
        regions = tuple(_region(shape, width, height) for shape in shapes)
        return RegionPhoto(name, finder.find(name), width, height, regions)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}, image {name!r}: not of the form 'CVAT for images 1.1' ({error}); {_ACCEPTED}."
        ) from None


def _region(shape: ElementTree.Element, width: int, height: int) -> Callable[[], BoolMask]:
    if shape.tag == "mask":
        runs = [int(run) for run in shape.attrib["rle"].split(",")]
        left, top = int(shape.attrib["left"]), int(shape.attrib["top"])
        right, bottom = left + int(shape.attrib["width"]) - 1, top + int(shape.attrib["height"]) - 1
        return partial(cvat.decode, [*runs, left, top, right, bottom], width, height)
    points = [[float(number) for number in pair.split(",")] for pair in shape.attrib["points"].split(";")]
    return partial(masks.from_polygons, [masks.Polygon(np.asarray(points))], width, height)
