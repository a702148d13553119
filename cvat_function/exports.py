"""CVAT's XML export ("CVAT for images 1.1") as a data set.

Masks and polygons give masks; rectangles, ellipses and points give boxes and clicks, which pipelines can
start from. In a project's export the subset is part of a photo's name and of its path
(``images/Train/0001.jpg``). Shapes may overlap: the order in which CVAT stacks them (``z_order``) is not
read. Where one label per pixel is needed, as in training, the smaller one is taken to be in front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from fcfi_core.clicks import Click
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import (
    UNNAMED,
    AnnotatedObject,
    AnnotatedPhoto,
    BoolMask,
    located,
)
from fcfi_core.datasets.shapes import box_of_edges, mask_of_rings, whole_number
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.masks import cvat
from fcfi_core.prompt import Prompt

_DRAWN = ("mask", "polygon")
_READ = (*_DRAWN, "box", "ellipse", "points")
_ACCEPTED = "export a task or project as 'CVAT for images 1.1', with masks or polygons"


def read_export(annotations: Annotations) -> Dataset | None:
    """Return the data set of ``annotations.xml`` of an unpacked export; None if it is something else.

    Raises:
        DataError: if the file is damaged, or holds no shape on an image.
    """
    root = annotations.xml if annotations.suffix == ".xml" else None
    if root is None or root.tag != "annotations":
        return None
    left_out = LeftOut()
    for track in root.iterfind("track"):
        left_out.add("shapes of type track", str(track.get("label")))
    images = [image for image in root.iter("image") if image.get("name")]
    names = ["/".join(filter(None, (image.get("subset"), image.get("name")))) for image in images]
    found = annotations.photos().find_all([[name] for name in names])
    photos = []
    for image, name, path in zip(images, names, found, strict=True):
        objects = _objects(image, name, left_out)
        if objects:
            where, missing = located(path)
            number = whole_number(image.get("id"))
            photos.append(
                AnnotatedPhoto(
                    name, name, where, missing, _size(image), objects, number, source=str(annotations.path)
                )
            )
    dataset = Dataset(
        annotations.name,
        photos,
        place=annotations.path,
        left_out=left_out,
        digest=annotations.digest,
        wanted="mask or polygon on an image",
        advice=_ACCEPTED,
    )
    if not photos:
        dataset.require_masks()
    return dataset


def _size(image: Element) -> tuple[int, int] | None:
    width, height = whole_number(image.get("width")), whole_number(image.get("height"))
    return (width, height) if width and height else None


def _objects(image: Element, name: str, left_out: LeftOut) -> tuple[AnnotatedObject, ...]:
    found: list[AnnotatedObject] = []
    for shape in image:
        if shape.tag not in _READ:
            left_out.add(f"shapes of type {shape.tag}", name)
            continue
        found.append(
            AnnotatedObject(
                len(found) + 1,
                Shape(shape.tag, dict(shape.attrib)),
                label=shape.get("label") or UNNAMED,
                drawn=shape.tag in _DRAWN,
                kind=f"shapes of type {shape.tag}",
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Marks: one shape with its attributes as in the file.

    Args:
        kind: mask, polygon, box, ellipse or points.
        attributes: of the element.
    """

    kind: str
    attributes: Mapping[str, str]

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return it on the photo; raises DataError if it is not of CVAT's form."""
        try:
            if self.kind == "mask":
                return Prompt(mask=self._mask(width, height))
            if self.kind == "polygon":
                return Prompt(mask=mask_of_rings([self._points()], width, height, note))
            if self.kind == "points":
                return Prompt(tuple(Click.nearest(x - 0.5, y - 0.5) for x, y in self._points()))
            return Prompt(box=box_of_edges(*self._edges()))
        except KeyError as error:
            raise DataError(f"the {self.kind} lacks {error}; export it again.") from None
        except (ValueError, OverflowError, FcfiError) as error:
            raise DataError(f"the {self.kind} cannot be read: {error}") from None

    def _points(self) -> list[tuple[float, float]]:
        written = self.attributes["points"]
        try:
            return [(float(x), float(y)) for x, y in (pair.split(",") for pair in written.split(";"))]
        except ValueError:
            raise DataError(f"its points are {written[:60]!r}, and should be x,y;x,y;...") from None

    def _edges(self) -> tuple[float, float, float, float]:
        """Return the upright rectangle around a (turned) rectangle or ellipse."""
        if self.kind == "box":
            left, top, right, bottom = (float(self.attributes[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
            x, y, across, down = (
                (left + right) / 2,
                (top + bottom) / 2,
                (right - left) / 2,
                (bottom - top) / 2,
            )
        else:
            x, y, across, down = (float(self.attributes[name]) for name in ("cx", "cy", "rx", "ry"))
        turn = math.radians(float(self.attributes.get("rotation", 0)))
        sine, cosine = abs(math.sin(turn)), abs(math.cos(turn))
        if self.kind == "box":
            half_width, half_height = across * cosine + down * sine, across * sine + down * cosine
        else:
            half_width = math.hypot(across * cosine, down * sine)
            half_height = math.hypot(across * sine, down * cosine)
        return x - half_width, y - half_height, x + half_width, y + half_height

    def _mask(self, width: int, height: int) -> BoolMask:
        """Return the runs in their box, as far as that lies on the photo."""
        left, top, across, down = (int(self.attributes[side]) for side in ("left", "top", "width", "height"))
        # Tools draw over the border by a pixel; a larger box is another photo's, or meant to fill the memory.
        if not (0 < across <= width + 2 and 0 < down <= height + 2):
            raise DataError(f"its box has {across} x {down} pixels, the photo {width} x {height}.")
        written = self.attributes["rle"]
        try:
            runs = [int(run) for run in written.split(",")]
        except ValueError:
            raise DataError(f"its rle is {written[:60]!r}, and should be whole numbers") from None
        part = cvat.decode([*runs, 0, 0, across - 1, down - 1], across, down)
        found: BoolMask = np.zeros((height, width), np.bool_)
        x, y = max(left, 0), max(top, 0)
        right, bottom = min(left + across, width), min(top + down, height)
        if right <= x or bottom <= y:
            raise DataError(f"its box begins at ({left}, {top}), which is not on the photo.")
        found[y:bottom, x:right] = part[y - top : bottom - top, x - left : right - left]
        return found
