"""The folder of photos and masks.

``DIR/images/NAME.jpg`` (or another picture) and ``DIR/masks/NAME.png``, one channel of region ids at the size
of the upright photo: 0 background, 1..n objects; the largest number of the depth (255 in 8 bits, 65535 in 16
bits) marks pixels that count neither way. Palette PNGs count by palette index. Folders below both agree. The
masks decide which photos belong to the set; a photo without a mask is left out. ``DIR/manifest.json`` may
give the set another name than its folder's (``{"name": ...}``).

A mask is decoded once. What stays is its runs, some kilobytes, under one cap: a 32nd of the memory
that is set aside for reading and drawing.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcfi_core.allowance import PROCESS
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.left_out import Note
from fcfi_core.datasets.objects import AnnotatedObject, AnnotatedPhoto, BoolMask, located
from fcfi_core.datasets.photos import Photos, path_below
from fcfi_core.errors import DataError
from fcfi_core.memo import Memo
from fcfi_core.prompt import Prompt
from fcfi_core.stores import Stored

_BITS_OF_MODE = {"1": 8, "L": 8, "P": 8, "I;16": 16, "I;16B": 16, "I": 16}
DAMAGE = (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError)
_SHARE = 32
"""The decoded masks of a folder may take one of so many parts of the process's memory for reading."""


def read(annotations: Annotations) -> Dataset | None:
    """Return the data set of a folder with ``masks/*.png``; None for anything else."""
    root = annotations.path
    if not any((root / "masks").rglob("*.png")):
        return None
    return Folder(root, annotations.store or annotations.images)


class Folder(Dataset):
    """The ``images/`` + ``masks/`` layout; see the module's text.

    Args:
        path: the folder that holds both.
        images: folder of the photos, if ``path`` holds none.

    Raises:
        DataError: if the folder has no masks.
    """

    def __init__(self, path: str | Path, images: str | Path | Stored | None = None) -> None:
        root = Path(path)
        beside = root / "images"
        shown: Path | Stored = beside
        if images is not None and not beside.is_dir():
            shown = images if isinstance(images, Stored) else Path(images)
        files = files_of(root / "masks", "**/*.png")
        if not files:
            raise DataError(
                f"{root} is no data set: it needs images/NAME.jpg and masks/NAME.png (no mask found)."
            )
        names = [file.relative_to(root / "masks").with_suffix("").as_posix() for file in files]
        found = Photos([shown], [shown]).find_all([[name] for name in names])
        store = Decoded()
        photos = []
        for file, name, photo in zip(files, names, found, strict=True):
            if not isinstance(photo, DataError):
                file_name = path_below(photo, shown)
                missing = ""
            else:
                file_name = name
                missing = f"mask {file} has no photo {shown / name}.jpg; add it or remove the mask."
            photos.append(
                MaskedPhoto(
                    name,
                    file_name,
                    located(photo)[0],
                    missing,
                    source=f"mask {file}",
                    mask=IdMap(file, store),
                )
            )
        super().__init__(
            _manifest_name(root),
            photos,
            place=root,
            digest=lambda: Annotations(root).digest,
            wanted="mask",
            advice="number the objects 1, 2, 3 ... (255 in 8-bit and 65535 in 16-bit masks mean 'ignore')",
        )

    def require_numbers(self) -> None:
        """Raise DataError if "ignore" is the only number; looks up to the first mask with an object."""
        white = 0
        for photo in self.photos:
            assert isinstance(photo, MaskedPhoto)
            try:
                if photo.mask.areas():
                    return
                white = white or (photo.mask.ignored if photo.mask.holds_ignored else 0)
            except DataError:
                continue
        if white:
            raise DataError(
                f"the masks of {self._place} hold nothing but 0 and {white}, which means 'ignore'; number "
                "the objects 1, 2, 3 ... in each mask."
            )


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPhoto(AnnotatedPhoto):
    """A photo whose objects are numbers in one picture, so they never overlap.

    Args:
        mask: the picture of numbers.
    """

    mask: IdMap = field(kw_only=True)

    @property
    def objects(self) -> Sequence[AnnotatedObject]:
        """The numbers in the mask, and the pixels to be ignored as a crowd; decodes the mask."""
        found = [AnnotatedObject(number, Numbered(self.mask, number)) for number in self.mask.areas()]
        if self.mask.holds_ignored:
            ignored = self.mask.ignored
            found.append(AnnotatedObject(ignored, Numbered(self.mask, ignored), crowd=True))
        return found

    @property
    def holds_masks(self) -> bool:
        """Yes, without looking at it."""
        return True

    def without_masks(self) -> Counter[str]:
        """Nothing."""
        return Counter()

    def _require_size(self, width: int, height: int) -> None:
        rows, columns = self.mask.shape
        if (rows, columns) != (height, width):
            raise DataError(
                f"{self.source} has {columns} x {rows} pixels, its upright photo {width} x {height}; export "
                "masks at the photo's size."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Numbered:
    """Marks: the pixels of one number."""

    mask: IdMap
    number: int

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return the pixels as a mask."""
        return Prompt(mask=self.mask.pixels(self.number))


@dataclass(frozen=True, eq=False)
class _Runs:
    """A picture of numbers: in reading order the numbers of its runs, and where each run ends."""

    shape: tuple[int, int]
    ignored: int
    numbers: NDArray[np.uint16]
    lengths: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        return self.numbers.nbytes + self.lengths.nbytes + 500


class Decoded(Memo):
    """The decoded masks of one folder, under one cap; another process begins with an empty one."""

    def __init__(self) -> None:
        super().__init__(int(min(PROCESS.capacity, sys.maxsize)) // _SHARE, seconds=math.inf)

    def __reduce__(self) -> tuple[type[Decoded], tuple[()]]:
        return Decoded, ()


@dataclass(frozen=True, eq=False)
class IdMap:
    """A picture of numbers on disk, decoded when it is first needed.

    Args:
        path: of the PNG file.
        store: keeps what was decoded.

    All but the arguments raise DataError if the file is no one-channel PNG of at most 16 bits.
    """

    path: Path
    store: Memo

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), from the header as long as that is enough."""
        runs: _Runs | None = self.store.get(self.path)
        return _size_of(self.path) if runs is None else runs.shape

    @property
    def ignored(self) -> int:
        """The number that counts neither way, by the bit depth."""
        return self._runs().ignored

    @property
    def holds_ignored(self) -> bool:
        """Whether there are such pixels."""
        return bool((self._runs().numbers == self.ignored).any())

    def areas(self) -> dict[int, int]:
        """Return ``{number: pixels}`` of the objects, in ascending order."""
        runs = self._runs()
        counts = np.bincount(runs.numbers, weights=runs.lengths)
        return {
            int(number): int(counts[number])
            for number in np.flatnonzero(counts)
            if number not in (0, runs.ignored)
        }

    def pixels(self, number: int) -> BoolMask:
        """Return where ``number`` stands, (H, W) bool."""
        runs = self._runs()
        return np.repeat(runs.numbers == number, runs.lengths).reshape(runs.shape)

    def _read(self) -> tuple[NDArray[np.uint16], int]:
        return read_ids(self.path)

    def _runs(self) -> _Runs:
        runs: _Runs | None = self.store.get(self.path)
        if runs is None:
            ids, ignored = self._read()
            flat = ids.ravel()
            ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
            runs = _Runs(ids.shape, ignored, flat[ends - 1], np.diff(ends, prepend=0))
            self.store.put(self.path, runs, runs.nbytes)
        return runs


def _size_of(path: Path) -> tuple[int, int]:
    """Return (H, W) of a picture by its header."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except DAMAGE as error:
        raise DataError(f"mask {path} cannot be read ({error}); export it again as PNG.") from None


def read_ids(path: Path) -> tuple[NDArray[np.uint16], int]:
    """Return a mask's ids, (H, W) uint16, and the id that means 'ignore' (255 or 65535 by bit depth).

    Raises:
        DataError: if the file is no one-channel PNG of at most 16 bits.
    """
    try:
        with Image.open(path) as image:
            bits = _BITS_OF_MODE.get(image.mode)
            ids = np.asarray(image)
    except DAMAGE as error:
        raise DataError(f"mask {path} cannot be read ({error}); export it again as PNG.") from None
    if bits is None or ids.ndim != 2 or ids.size == 0 or not 0 <= int(ids.min()) <= int(ids.max()) <= 65535:
        raise DataError(
            f"mask {path} is not one channel of ids (its mode is {image.mode}); save it as a grey PNG."
        )
    return ids.astype(np.uint16), 255 if bits == 8 else 65535


def _manifest_name(root: Path) -> str:
    """Return the set's name: the manifest's, else the folder's."""
    manifest = root / "manifest.json"
    if manifest.is_file():
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{manifest} is not valid JSON ({error}); repair or remove it.") from None
        if isinstance(content, dict) and isinstance(content.get("name"), str) and content["name"]:
            return str(content["name"])
    return Path(os.path.realpath(root)).name
