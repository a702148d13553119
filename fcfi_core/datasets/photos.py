"""The one rule by which all readers find the photos that annotations name.

1. The path as it is written, below each of the folders.
2. Else the photo of that name anywhere below them; of several the one whose folders agree with the path for
   longest, seen from its end.

Names agree as they are written; else in another letter case; else after the cleaning that upload forms do
(``my cow (2).png`` becomes ``my_cow_2.png``); else a name without a picture's suffix means any. Backslashes
count as slashes, drives and the addresses of stores are taken off, percent signs are resolved. A prefix of
eight hexadecimal digits, which stores put before the names of uploads, may be missing in the folder.
Accents may be composed or not. Hidden files (``._a.jpg`` of macOS) are no photos.

Unless a folder of photos is given they are looked for beside the annotations, in ``images`` and
``JPEGImages`` there, and in the same places one folder up.
"""

from __future__ import annotations

import filecmp
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from fcfi_core.errors import DataError
from fcfi_core.images import READABLE_SUFFIXES

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What stores put before the name of an uploaded photo; the annotator's own folder is without it."""

_NAMES_OF_FOLDERS = ("images", "JPEGImages")
_DRIVE = re.compile(r"^[A-Za-z]:")


def is_photo(path: Path | PurePosixPath) -> bool:
    """Return whether ``path`` is called like a picture that can be read."""
    return path.suffix.lower() in READABLE_SUFFIXES and not path.name.startswith(".")


class Photos:
    """The photos that a source may mean.

    Args:
        folders: where a path may begin, likeliest first.
        roots: below which photos are looked for by their names, likeliest first.
        subset: folder that the paths of the source leave out, as far as it is there.
    """

    def __init__(self, folders: Iterable[Path], roots: Iterable[Path], subset: str = "") -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._roots = tuple(dict.fromkeys(roots))
        self._subset = subset
        self._indexes: dict[Path, _Index] = {}

    @classmethod
    def of(cls, annotations: Path, images: Path | None = None, subset: str = "") -> Photos:
        """Return the photos of the file (or folder) ``annotations``.

        Args:
            images: folder of the photos; None: look beside the annotations.
            subset: folder that the paths leave out (``train`` of ``instances_train.json``).
        """
        if images is not None:
            return cls([images], [images], subset)
        beside = Path(os.path.realpath(annotations))
        beside = beside if beside.is_dir() else beside.parent
        near = [folder / name for folder in (beside, beside.parent) for name in _NAMES_OF_FOLDERS]
        above = [beside.parent / subset] if subset else []
        return cls([beside, *near[:2], beside.parent, *near[2:]], [*near, beside, *above], subset)

    def find(self, *references: str) -> Path:
        """Return the photo that one of the ``references`` (names, paths or addresses, likeliest first) means.

        Raises:
            DataError: if there is none, or several different ones agree equally well.
        """
        written = _spellings(references)
        path = self._exact(written) or self._by_name(written)
        if path is None:
            raise self._missing(written)
        return path

    def find_all(self, wanted: Sequence[Sequence[str]]) -> list[Path | DataError]:
        """Return what :meth:`find` gives for each list of references, or why there is no such photo.

        A photo found by its name alone is not given to two different references.
        """
        found: list[Path | DataError] = []
        by_name: list[bool] = []
        users: dict[Path, tuple[tuple[str, ...], ...]] = {}
        for references in wanted:
            written = _spellings(references)
            path: Path | DataError | None = self._exact(written)
            by_name.append(path is None)
            try:
                path = path or self._by_name(written) or self._missing(written)
            except DataError as error:
                path = error
            found.append(path)
            if isinstance(path, Path) and written not in (known := users.get(path, ())):
                users[path] = (*known, written)
        for index, (path, references) in enumerate(zip(found, wanted, strict=True)):
            if isinstance(path, Path) and by_name[index] and len(users[path]) > 1:
                others = [one[0] for one in users[path] if one != _spellings(references)]
                found[index] = DataError(
                    f"photos {references[0]!r} and {others[0]!r} would both be {path}; name a folder that "
                    "holds them both (--images)."
                )
        return found

    def _exact(self, written: Sequence[str]) -> Path | None:
        paths = (os.path.join(folder, reference) for reference in written for folder in self._folders)
        # Not Path.is_file, which raises for names that are too long.
        return next((Path(path) for path in paths if os.path.isfile(path)), None)

    def _by_name(self, written: Sequence[str]) -> Path | None:
        for reference in written:
            wanted = PurePosixPath(self._subset, reference.lstrip("/"))
            for root in self._roots:
                if (path := self._index(root).find(wanted)) is not None:
                    return path
        bare = [PurePosixPath(reference).name for reference in written]
        return self._exact([name for name in bare if name])

    def _index(self, root: Path) -> _Index:
        if root not in self._indexes:
            self._indexes[root] = _Index(root)
        return self._indexes[root]

    def _missing(self, written: Sequence[str]) -> DataError:
        names = dict.fromkeys(PurePosixPath(reference).name for reference in written)
        places = [str(root) for root in self._roots if root.is_dir()]
        return DataError(
            f"photo {' or '.join(map(repr, names))} is not in {' or '.join(places) or self._roots[0]}, "
            "nor below; name the folder of the photos (--images)."
        )


class _Index:
    """The photos in a folder and below, by all the names that may mean them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _by_key(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for folder, folders, names in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            for name in sorted(names):
                path = Path(folder, name)
                if is_photo(path):
                    for key in {_folded(name), _folded(_cleaned(name)), _folded(path.stem)}:
                        found[key].append(path)
        return found

    def find(self, wanted: PurePosixPath) -> Path | None:
        """Return the photo that agrees best with ``wanted``, or None if there is none.

        Raises:
            DataError: if several different ones agree equally well.
        """
        candidates = self._by_key.get(_folded(wanted.name), []) if wanted.name else []
        ways: tuple[Callable[[Path], bool], ...] = (
            lambda path: _plain(path.name) == _plain(wanted.name),
            lambda path: _folded(path.name) == _folded(wanted.name),
            lambda path: _folded(_cleaned(path.name)) == _folded(wanted.name),
            lambda path: True,
        )
        for agrees in ways:
            agreeing = [path for path in candidates if agrees(path)]
            if agreeing:
                folders = wanted.parts[-2::-1]
                depths = [_agreement(path.parts[-2::-1], folders) for path in agreeing]
                best = [path for path, depth in zip(agreeing, depths, strict=True) if depth == max(depths)]
                return _only(str(wanted), best)
        return None


def _only(wanted: str, paths: Sequence[Path]) -> Path:
    """Return the first of ``paths`` if the others are copies of it."""
    first, *others = paths
    for other in others:
        if not filecmp.cmp(first, other, shallow=False):
            raise DataError(
                f"photo {wanted!r} may be {first} or {other}; name the folder of the right one (--images), "
                "or give the photos different names."
            )
    return first


def _spellings(references: Iterable[str]) -> tuple[str, ...]:
    """Return all paths that ``references`` may stand for, likeliest first."""
    found: list[str] = []
    for reference in references:
        forms = [reference, _DRIVE.sub("", reference).replace("\\", "/")]
        forms += [unquote(forms[-1])]
        if "://" in reference:
            forms += [_key_of(reference)]
            forms += [unquote(forms[-1])]
        found += forms
        for path in map(PurePosixPath, forms):
            if path.name and (short := UPLOAD_PREFIX.sub("", path.name)) != path.name:
                found.append(str(path.with_name(short)))
    return tuple(dict.fromkeys(found))


def _key_of(address: str) -> str:
    """Return the path in an address; of a store that is the key."""
    try:
        return urlsplit(address).path
    except ValueError:
        return address


def _agreement(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many parts of two reversed paths are equal."""
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: _folded(pair[0]) == _folded(pair[1]), pairs))


def _plain(text: str) -> str:
    """Return ``text`` with accents composed: some file systems take them apart."""
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    """Return ``text`` without difference between capital and small letters."""
    return _plain(_plain(text).casefold())


def _cleaned(name: str) -> str:
    """Return ``name`` as upload forms clean it (Django's ``get_valid_filename``)."""
    return re.sub(r"[^-\w.]", "", _plain(name).strip().replace(" ", "_"))
