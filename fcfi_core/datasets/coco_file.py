"""COCO instance files: what annotation tools and public data sets exchange.

``{"images": [{"id", "file_name", "width", "height"}], "annotations": [{"id", "image_id",
"segmentation", "iscrowd"}]}``. A segmentation is a list of polygons (flat lists x, y, x, y ... in the
plane where pixel 0 spans 0..1; a pixel belongs to the object if its centre is in any of them) or a
run-length code, compressed or not.

Photos are looked for by their ``file_name`` in the folder given, else beside the file, in ``images/``
beside it, and in the same two places one folder up; then by their names below ``images/``, beside the
file, and in the folder of the subset (``train`` of ``instances_train.json``; CVAT exports to
``images/<subset>/``), also without the prefix that Label Studio gives to uploads.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from fcfi_core.datasets.regions import UPLOAD_PREFIX, PhotoFinder
from fcfi_core.errors import DataError

_ACCEPTED = "give a COCO instance file, or what Label Studio exports as JSON (not JSON-MIN)"
# What datumaro, which writes CVAT's COCO exports, puts at the head of every file.
_DATUMARO = {
    "info": dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), ""),
    "licenses": [{"name": "", "id": 0, "url": ""}],
}


@dataclass(frozen=True)
class CocoImage:
    """One entry of ``images``."""

    id: Any
    file_name: str
    width: int
    height: int


class CocoFile:
    """A parsed COCO file: photos, the annotations of each, category names.

    Args:
        path: of the JSON file.
        photos: folder of the photos; None: look beside the file.

    Raises:
        DataError: if the file is not of this form.
    """

    def __init__(self, path: str | Path, photos: str | Path | None = None) -> None:
        self.path = Path(path)
        beside, subset = self.path.resolve().parent, self._subset
        if photos is None:
            self._folders = [beside, beside / "images", beside.parent, beside.parent / "images"]
            self._roots = [beside / "images", beside.parent / "images", beside]
            self._roots += [beside.parent / subset] if subset else []
        else:
            self._folders = self._roots = [Path(photos)]
        self._finders: dict[Path, PhotoFinder] = {}
        self._located: dict[Any, Path | None] = {}
        content = _read_json(self.path)
        try:
            self.images = tuple(
                CocoImage(one["id"], str(one["file_name"]), int(one["width"]), int(one["height"]))
                for one in content["images"]
            )
            self.annotations: dict[Any, list[dict[str, Any]]] = {image.id: [] for image in self.images}
            for annotation in content.get("annotations", ()):
                self.annotations[annotation["image_id"]].append(annotation)
            self.categories = {one["id"]: str(one["name"]) for one in content.get("categories", ())}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.path} is no COCO file: {type(error).__name__} {error}; every image needs id, "
                "file_name, width, height, every annotation the image_id of one of them."
            ) from None
        if len(self.annotations) != len(self.images):
            raise DataError(f"{self.path}: several images have the same id; give every image its own.")
        self.content = content

    def is_crowd(self, annotation: Mapping[str, Any]) -> bool:
        """Return whether an annotation is a region to ignore, a crowd, rather than an object.

        COCO marks regions of many objects with ``iscrowd`` 1. By CVAT's manual ("COCO export") the same
        mark only tells that the segmentation is a run-length code, and datumaro, which writes the file,
        gives it to every mask (``coco/exporter.py``, ``is_crowd = mask is not None``). So a marked
        run-length code is an object if

        - its ``attributes`` hold ``occluded``: CVAT sets it for every shape
          (``dataset_manager/bindings.py``), COCO's annotations have no attributes; or
        - datumaro wrote the file, and no category has a supercategory: datumaro keeps those of a set that
          it merely converts, such as COCO's, whose crowds are real.
        """
        if not annotation.get("iscrowd"):
            return False
        if not isinstance(annotation.get("segmentation"), Mapping):
            return True
        attributes = annotation.get("attributes")
        drawn = isinstance(attributes, Mapping) and "occluded" in attributes
        return not drawn and not self._drawn_for_datumaro

    @cached_property
    def _drawn_for_datumaro(self) -> bool:
        written = all(self.content.get(key) == value for key, value in _DATUMARO.items())
        return written and not any(one.get("supercategory") for one in self.content.get("categories", ()))

    @property
    def _subset(self) -> str:
        """``train`` of ``instances_train.json``, the folder of its photos by COCO's and CVAT's custom."""
        return self.path.stem.removeprefix("instances_") if self.path.stem.startswith("instances_") else ""

    def photo(self, image: CocoImage) -> Path:
        """Return where the photo of ``image`` lies.

        Raises:
            DataError: if it is in none of the places, several different ones fit equally well, or the one
                that fits by its name alone is another image's.
        """
        path = self._exact(image) or self._below(image)
        if path is None:
            names = dict.fromkeys(PurePosixPath(one).name for one in _references(image.file_name))
            raise DataError(
                f"photo {' or '.join(names)} of {self.path} is not in "
                f"{' or '.join(map(str, self._roots))}, nor below; name the folder of the photos (--images)."
            )
        if self._exact(image) is None:
            for other in self._by_bare_name[_bare_name(image.file_name)]:
                if other.file_name != image.file_name and path == (self._exact(other) or self._below(other)):
                    raise DataError(
                        f"photos {other.file_name!r} and {image.file_name!r} of {self.path} would both be "
                        f"{path}; name a folder that holds them both."
                    )
        return path

    @cached_property
    def _by_bare_name(self) -> Mapping[str, list[CocoImage]]:
        found = defaultdict(list)
        for image in self.images:
            found[_bare_name(image.file_name)].append(image)
        return found

    def _finder(self, root: Path) -> PhotoFinder:
        if root not in self._finders:
            self._finders[root] = PhotoFinder(root)
        return self._finders[root]

    def _exact(self, image: CocoImage) -> Path | None:
        paths = (folder / image.file_name for folder in self._folders)
        return next((path for path in paths if path.is_file()), None)

    def _below(self, image: CocoImage) -> Path | None:
        """Return the photo that fits by its name, and best by its folders."""
        if image.id not in self._located:
            references = _references(image.file_name)
            wanted = [str(PurePosixPath(self._subset, reference)) for reference in references]
            found = (self._finder(root).there(*wanted) for root in self._roots)
            bare = (folder / PurePosixPath(name).name for folder in self._folders for name in references)
            self._located[image.id] = next(filter(None, found), None) or next(
                (path for path in bare if path.is_file()), None
            )
        return self._located[image.id]


def _references(file_name: str) -> tuple[str, ...]:
    """Return the names or paths that a file name may stand for, likeliest first."""
    written = PurePosixPath(file_name.replace("\\", "/"))
    paths = [written, PurePosixPath(unquote(str(written)))]
    paths += [path.with_name(UPLOAD_PREFIX.sub("", path.name)) for path in paths if path.name]
    return tuple(dict.fromkeys(map(str, paths)))


def _bare_name(file_name: str) -> str:
    return PurePosixPath(_references(file_name)[-1]).name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}); {_ACCEPTED}.") from None
    try:
        content = json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith(("{", "[")):
            raise DataError(f"{path} is damaged ({error}); export it again.") from None
        raise DataError(f"{path} cannot be read as JSON ({error}); {_ACCEPTED}.") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(
            f"{path} is no COCO file: it has no list 'images', but {_seen(content)}; {_ACCEPTED}."
        )
    return content


def _seen(content: Any) -> str:
    """Return what a JSON file holds, in a few words."""
    if isinstance(content, list) and content:
        return f"{len(content)} entries, the first with {_seen(content[0])}"
    if isinstance(content, dict) and content:
        return f"the keys {', '.join(map(repr, list(content)[:6]))}"
    return "a single value or nothing"
