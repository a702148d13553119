"""YOLO and YOLO-seg: a text file per photo, a line per object.

``class x y width height`` (centre and sides of a box, as shares of the photo's), or ``class x1 y1 x2 y2 ...``
(a polygon). With ``kpt_shape`` in the YAML file key points follow the box; the visible ones are clicks. A
sixth number after a box, a confidence or the number of a track, is passed over.

The text files lie in ``labels`` where the photos lie in ``images``, or beside the photos. Class names stand
in ``data.yaml`` (or another YAML file with ``names``), ``obj.names`` or ``classes.txt``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcfi_core.clicks import Click
from fcfi_core.datasets.annotations import Annotations
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.files import files_of
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.datasets.objects import (
    AnnotatedObject,
    AnnotatedPhoto,
    Damaged,
    Marks,
    located,
)
from fcfi_core.datasets.photos import Photos
from fcfi_core.datasets.shapes import box_of_edges, mask_of_rings, whole_number
from fcfi_core.errors import DataError
from fcfi_core.prompt import Prompt

_YAML = (".yaml", ".yml")
_LISTS = ("classes.txt", "obj.names")
_OTHER_TEXTS = ("train", "val", "valid", "test", "classes", "notes", "readme")


def read(annotations: Annotations) -> Dataset | None:
    """Return the objects of a YOLO folder, or of the folder of a YOLO YAML file; None for anything else.

    Raises:
        DataError: if its YAML file or names cannot be read.
    """
    settings, root = _settings(annotations)
    if settings is None:
        return None
    files = _label_files(root)
    names = _class_names(settings, root)
    left_out = LeftOut()
    folder = annotations.store or annotations.images or root
    written = [_reference(file, root) for file in files]
    found = Photos([folder, folder / "images"], [folder]).find_all([[name] for name in written])
    photos = []
    digest = hashlib.sha256()
    for file, name, path in zip(files, written, found, strict=True):
        try:
            content = file.read_bytes()
            objects = tuple(_objects(content.decode("utf-8-sig"), names, _points_each(settings)))
        except (OSError, UnicodeDecodeError) as error:
            left_out.add("files that cannot be read", f"{file}: {error}")
            continue
        digest.update(f"{name}\n".encode("utf-8", "surrogateescape") + content)
        file_name = (
            f"{name.removesuffix(Path(name).name)}{path.name}" if not isinstance(path, DataError) else name
        )
        photos.append(AnnotatedPhoto(name, file_name, *located(path), annotated=objects, source=str(file)))
    return Dataset(
        Path(os.path.realpath(root)).name,
        photos,
        place=annotations.path,
        left_out=left_out,
        digest=digest.hexdigest(),
        wanted="polygon",
        advice="boxes are for `fcfi annotate`, which makes masks of them",
    )


@dataclass(frozen=True, slots=True, eq=False)
class ShareOfPhoto:
    """Marks in shares of the photo's width and height.

    Args:
        box: (x, y, width, height), x and y of the centre; or None.
        ring: x1, y1, x2, y2, ...
        points: (x, y) each.
    """

    box: tuple[float, float, float, float] | None = None
    ring: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()

    def prompt(self, width: int, height: int, note: Note) -> Prompt:
        """Return them on the photo; raises FcfiError for what is no place on it."""
        if self.ring:
            return Prompt(mask=mask_of_rings([self.ring], width, height, note, (width, height)))
        assert self.box is not None
        x, y, across, down = self.box
        edges = np.array([x - across / 2, y - down / 2, x + across / 2, y + down / 2])
        x1, y1, x2, y2 = (edges * (width, height, width, height)).tolist()
        clicks = [Click.nearest(x * width - 0.5, y * height - 0.5) for x, y in self.points]
        return Prompt(tuple(clicks), box_of_edges(x1, y1, x2, y2))


def _objects(text: str, names: Mapping[int, str], points_each: int) -> Iterator[AnnotatedObject]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for number, words in enumerate(lines, start=1):
        category = whole_number(words[0])
        marks = _marks(words, points_each)
        drawn = isinstance(marks, ShareOfPhoto) and bool(marks.ring)
        label = words[0] if category is None else names.get(category, words[0])
        yield AnnotatedObject(number, marks, label=label, drawn=drawn, kind="boxes")


def _marks(words: list[str], points_each: int) -> Marks:
    try:
        values = tuple(float(word) for word in words[1:])
    except ValueError:
        return Damaged(f"the line {' '.join(words)[:60]!r} holds what is no number.")
    if points_each and len(values) > 4:
        rest = [values[start : start + points_each] for start in range(4, len(values), points_each)]
        seen = [
            one for one in rest if len(one) == points_each and (points_each == 2 or one[2] > 0) and any(one)
        ]
        return ShareOfPhoto(box=values[:4], points=tuple((one[0], one[1]) for one in seen))  # type: ignore[arg-type]
    if len(values) in (4, 5):
        return ShareOfPhoto(box=values[:4])  # type: ignore[arg-type]
    if len(values) >= 6 and len(values) % 2 == 0:
        return ShareOfPhoto(ring=values)
    return Damaged(f"the line {' '.join(words)[:60]!r} is neither a box (5 numbers) nor a polygon.")


def _settings(annotations: Annotations) -> tuple[dict[str, Any] | None, Path]:
    """Return what the YAML file says ({} without one) and the root; None if this is no YOLO set."""
    path = annotations.path
    if annotations.suffix in _YAML:
        settings = _read_yaml(path)
        if "names" not in settings:
            raise DataError(f"{path} holds no 'names'; name the YAML file of a YOLO set.")
        return settings, path.parent
    if not path.is_dir():
        return None, path
    for file in (one for one in files_of(path, "*.y*ml") if one.suffix in _YAML):
        settings = _read_yaml(file)
        if "names" in settings:
            return settings, path
    root = path.parent if path.name == "labels" else path
    if any((root / name).is_file() for name in _LISTS) or next(iter(_label_files(root)), None):
        return {}, root
    return None, root


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError:
        raise DataError(f"{path} is read with PyYAML, which is missing; pip install 'fcfi[yolo]'.") from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        sentence = " ".join(str(error).split())
        raise DataError(f"{path} is no readable YAML ({sentence:.120}); repair it.") from None
    return content if isinstance(content, dict) else {}


def _label_files(root: Path) -> list[Path]:
    """Return the text files of a set: those in folders called ``labels``, else those beside photos."""
    texts = files_of(root, "**/*.txt")
    inside = [file for file in texts if "labels" in file.relative_to(root).parts[:-1]]
    if inside:
        return inside
    return [file for file in texts if file.stem.lower() not in _OTHER_TEXTS and _is_label_file(file)]


def _is_label_file(file: Path) -> bool:
    """Return whether the file is empty or its first line begins with a class and four numbers."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            words = opened.readline(4096).split()
            return not words or (len(words) >= 5 and [float(word) for word in words] != [])
    except (OSError, ValueError):
        return False


def _reference(file: Path, root: Path) -> str:
    """Return the photo's path without a suffix, as the path of its text file tells it."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    if "labels" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("labels")] = "images"
    return "/".join(parts)


def _class_names(settings: Mapping[str, Any], root: Path) -> dict[int, str]:
    names = settings.get("names")
    if isinstance(names, dict):
        return {number: str(name) for key, name in names.items() if (number := whole_number(key)) is not None}
    if isinstance(names, list):
        return dict(enumerate(map(str, names)))
    for name in _LISTS:
        if (root / name).is_file():
            try:
                lines = (root / name).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{root / name} cannot be read ({error}); save it as UTF-8.") from None
            return dict(enumerate(line.strip() for line in lines if line.strip()))
    return {}


def _points_each(settings: Mapping[str, Any]) -> int:
    """Return how many numbers a key point has; 0 if objects have none."""
    shape = settings.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2 and shape[1] in (2, 3):
        return int(shape[1])
    return 0
