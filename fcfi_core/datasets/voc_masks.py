"""Masks in Pascal VOC's layout, which other tools export, too.

``SegmentationObject/NAME.png`` has another colour for each object, ``SegmentationClass/NAME.png`` one for
each class, and ``labelmap.txt`` says which (``cell:128,0,0::``). The photos lie in ``JPEGImages`` or
``images`` there, or where a user says. Black is the background; (224, 224, 192) is the line around objects in
the original set, which counts neither way. Palette pictures are read by their palette, so both kinds of files
mean the same. A folder that holds XML in ``Annotations``, too, is read as boxes; name its
``SegmentationObject`` to have the masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcfi_core.datasets.annotations import Annotations, decoded
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.folder import DAMAGE, Decoded, IdMap, MaskedPhoto, Numbered
from fcfi_core.datasets.objects import UNNAMED, AnnotatedObject, located
from fcfi_core.datasets.photos import Photos
from fcfi_core.errors import DataError

_OBJECTS, _CLASSES, _BOXES, _LABELS = "SegmentationObject", "SegmentationClass", "Annotations", "labelmap.txt"
_PHOTOS = "JPEGImages", "images"
_IGNORED = 65535
_BORDER = (224, 224, 192)
"""Number 255 of the layout's own colours."""


def read(annotations: Annotations) -> Dataset | None:
    """Return the masks in a folder of this layout; None for anything else."""
    root = annotations.path
    if root.name == _OBJECTS:
        annotations, root = Annotations(root.parent, annotations.images), root.parent
    elif any((root / _BOXES).glob("*.[xX][mM][lL]")):
        return None
    files = files_of(root / _OBJECTS, "**/*.png")
    if not files:
        return None
    names = [file.relative_to(root / _OBJECTS).with_suffix("").as_posix() for file in files]
    # Not beside the masks, which are pictures of the same names.
    places = [annotations.images] if annotations.images else [root / name for name in _PHOTOS]
    found_photos = Photos(places, places).find_all([[name] for name in names])
    labels, store = _labels(root / _LABELS), Decoded()
    photos = []
    for file, name, found in zip(files, names, found_photos, strict=True):
        path, missing = located(found)
        photos.append(
            ColouredPhoto(
                name,
                name if path is None else f"{name}{path.suffix}",
                path,
                missing,
                source=f"mask {file}",
                mask=ColourMap(file, store),
                classes=root / _CLASSES / f"{name}.png",
                labels=labels,
            )
        )
    return Dataset(
        root.resolve().name,
        photos,
        place=root,
        digest=lambda: Annotations(root).digest,
        wanted="mask",
        advice="export it with its photos, or give their folder (--images)",
    )


@dataclass(frozen=True, slots=True, eq=False)
class ColouredPhoto(MaskedPhoto):
    """A photo whose objects are colours in one picture.

    Args:
        classes: the picture of classes; it may be missing.
        labels: {colour: class} of ``labelmap.txt``, colours as :func:`_numbered` has them.
    """

    classes: Path = field(kw_only=True)
    labels: Mapping[int, str] = field(kw_only=True)

    @property
    def objects(self) -> Sequence[AnnotatedObject]:
        """The colours in the order of the layout's own, each with the class of most of its pixels."""
        classes = _colours(self.classes) if self.labels and self.classes.is_file() else None
        found = []
        for number in self.mask.areas():
            label = UNNAMED
            if classes is not None and classes.shape == self.mask.shape:
                values, counts = np.unique(classes[self.mask.pixels(number)], return_counts=True)
                label = self.labels.get(int(values[counts.argmax()]), UNNAMED)
            found.append(AnnotatedObject(number, Numbered(self.mask, number), label=label))
        if self.mask.holds_ignored:
            found.append(AnnotatedObject(_IGNORED, Numbered(self.mask, _IGNORED), crowd=True))
        return found


@dataclass(frozen=True, eq=False)
class ColourMap(IdMap):
    """A picture of one colour an object; numbered 1, 2, 3 ... in the order of the layout's colours."""

    def _read(self) -> tuple[NDArray[np.uint16], int]:
        colours = _colours(self.path)
        present, places = np.unique(colours, return_inverse=True)
        objects = present[(present != 0) & (present != _numbered(_BORDER))]
        if objects.size >= _IGNORED:
            raise DataError(f"mask {self.path} has {objects.size} colours; save one colour for each object.")
        ids = np.zeros(present.size, np.uint16)
        ids[np.isin(present, objects)] = np.arange(1, objects.size + 1)
        ids[present == _numbered(_BORDER)] = _IGNORED
        return ids[places].reshape(colours.shape), _IGNORED


def _colours(path: Path) -> NDArray[np.uint32]:
    """Return each pixel's colour as its place in the layout's order of colours, (H, W); 0 is black.

    Raises:
        DataError: if the file is no picture.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.uint32)
    except DAMAGE as error:
        raise DataError(f"mask {path} cannot be read ({error}); export it again as PNG.") from None
    return _numbers(pixels)


def _numbers(pixels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the places of colours, (..., 3) 0..255, in the layout's order: their bits in turn."""
    found = np.zeros(pixels.shape[:-1], np.uint32)
    for bit in range(8):
        for channel in range(3):
            found |= (pixels[..., channel] >> (7 - bit) & 1) << (3 * bit + channel)
    return found


def _numbered(colour: Sequence[int]) -> int:
    """Return the place of one colour, as in :func:`_numbers`."""
    return int(_numbers(np.array(colour, np.uint32)))


def _labels(path: Path) -> dict[int, str]:
    """Return {colour: class} of a ``labelmap.txt``; {} without one.

    Raises:
        DataError: if it is no text, or a colour in it is none.
    """
    if not path.is_file():
        return {}
    found = {}
    for line in decoded(path.read_bytes(), path).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        # A class may hold colons; what follows it does not.
        words = line.rsplit(":", 3)
        try:
            red, green, blue = (int(word) for word in words[1].split(","))
            if len(words) != 4 or not all(0 <= one <= 255 for one in (red, green, blue)):
                raise ValueError
        except (ValueError, IndexError):
            raise DataError(f"{path} says {line!r:.80}; it needs lines such as 'cell:128,0,0::'.") from None
        found[_numbered((red, green, blue))] = words[0].strip()
    return found
