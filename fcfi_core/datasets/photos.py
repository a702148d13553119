"""The one rule by which all readers find the photos that annotations name.

1. The path as it is written, below each of the folders.
2. Else the photo of that name anywhere below them; of several the one whose folders agree with the path for
   longest, seen from its end.

Names agree as they are written; else in another letter case; else after the cleaning that upload forms do
(``my cow (2).png`` becomes ``my_cow_2.png``); else a name without a picture's suffix means any. Backslashes
count as slashes, drives and the addresses of stores are taken off, percent signs are resolved. A prefix of
eight hexadecimal digits, which stores put before the names of uploads, may be missing in the folder.
Accents may be composed or not. Hidden files (``._a.jpg`` of macOS) are no photos, nor are pipes and devices.

A folder of a store (:mod:`fcfi_core.stores`) is listed once, and searched in the same way.

Unless a folder of photos is given they are looked for beside the annotations, in ``images`` and
``JPEGImages`` there, and in the same places one folder up.
"""

from __future__ import annotations

import filecmp
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from fcfi_core.datasets.files import is_file, is_hidden
from fcfi_core.errors import DataError
from fcfi_core.images import READABLE_SUFFIXES
from fcfi_core.stores import Stored

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What stores put before the name of an uploaded photo; the annotator's own folder is without it."""

_NAMES_OF_FOLDERS = ("images", "JPEGImages")
_HIDDEN = (".", "__MACOSX")
_DRIVE = re.compile(r"^[A-Za-z]:")


def is_photo(path: Path | PurePosixPath | Stored) -> bool:
    """Return whether ``path`` is called like a picture that can be read."""
    return path.suffix.lower() in READABLE_SUFFIXES and not is_hidden(path)


Folder = Path | Stored
"""Where photos lie: in a folder of this machine, or of a store."""

Photo = Path | Stored
"""The file of a photo."""


class Photos:
    """The photos that a source may mean.

    Args:
        folders: where a path may begin, likeliest first.
        roots: below which photos are looked for by their names, likeliest first.
        subset: folder that the paths of the source leave out, as far as it is there.
    """

    def __init__(self, folders: Iterable[Folder], roots: Iterable[Folder], subset: str = "") -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._roots = tuple(dict.fromkeys(roots))
        self._subset = subset
        self._indexes: dict[Folder, _Index] = {}

    @classmethod
    def of(cls, annotations: Path, images: Folder | None = None, subset: str = "") -> Photos:
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

    def find(self, *references: str) -> Photo:
        """Return the photo that one of the ``references`` (names, paths or addresses, likeliest first) means.

        Raises:
            DataError: if there is none, or several different ones agree equally well.
        """
        written = _spellings(references)
        path = self._exact(written) or self._by_name(written)
        if path is None:
            raise self._missing(written)
        return path

    def find_all(self, wanted: Sequence[Sequence[str]]) -> list[Photo | DataError]:
        """Return what :meth:`find` gives for each list of references, or why there is no such photo.

        A photo found by its name alone is not given to two different references.
        """
        found: list[Photo | DataError] = []
        by_name: list[bool] = []
        users: dict[Photo, tuple[tuple[str, ...], ...]] = {}
        for references in wanted:
            written = _spellings(references)
            path: Photo | DataError | None = self._exact(written)
            by_name.append(path is None)
            try:
                path = path or self._by_name(written) or self._missing(written)
            except DataError as error:
                path = error
            found.append(path)
            if not isinstance(path, DataError) and written not in (known := users.get(path, ())):
                users[path] = (*known, written)
        for index, (path, references) in enumerate(zip(found, wanted, strict=True)):
            if not isinstance(path, DataError) and by_name[index] and len(users[path]) > 1:
                others = [one[0] for one in users[path] if one != _spellings(references)]
                found[index] = DataError(
                    f"photos {references[0]!r} and {others[0]!r} would both be {path}; name a folder that "
                    "holds them both (--images)."
                )
        return found

    def _exact(self, written: Sequence[str]) -> Photo | None:
        for reference in written:
            for folder in self._folders:
                if isinstance(folder, Stored):
                    if (stored := folder / reference) in self._index(folder):
                        return stored
                # Not Path.is_file, which raises for names that are too long.
                elif os.path.isfile(path := os.path.join(folder, reference)):
                    return Path(path)
        return None

    def _by_name(self, written: Sequence[str]) -> Photo | None:
        for reference in written:
            wanted = PurePosixPath(self._subset, reference.lstrip("/"))
            for root in self._roots:
                if (path := self._index(root).find(wanted)) is not None:
                    return path
        bare = [PurePosixPath(reference).name for reference in written]
        return self._exact([name for name in bare if name])

    def _index(self, root: Folder) -> _Index:
        if root not in self._indexes:
            self._indexes[root] = _Index(root)
        return self._indexes[root]

    def _missing(self, written: Sequence[str]) -> DataError:
        names = dict.fromkeys(PurePosixPath(reference).name for reference in written)
        places = [str(root) for root in self._roots if isinstance(root, Stored) or root.is_dir()]
        return DataError(
            f"photo {' or '.join(map(repr, names))} is not in {' or '.join(places) or self._roots[0]}, "
            "nor below; name the folder of the photos (--images)."
        )


class _Index:
    """The photos in a folder and below, by all the names that may mean them."""

    def __init__(self, root: Folder) -> None:
        self._root = root

    def __contains__(self, stored: Stored) -> bool:
        """Whether the store has this file."""
        return stored in self._stored

    @cached_property
    def _stored(self) -> frozenset[Stored]:
        below = photos_below(self._root) if isinstance(self._root, Stored) else ()
        return frozenset(photo for photo in below if isinstance(photo, Stored))

    @cached_property
    def _by_key(self) -> dict[str, list[Photo]]:
        found: dict[str, list[Photo]] = defaultdict(list)
        below = sorted(self._stored) if isinstance(self._root, Stored) else photos_below(self._root)
        for path in below:
            for key in {_folded(path.name), _folded(_cleaned(path.name)), _folded(path.stem)}:
                found[key].append(path)
        return found

    def find(self, wanted: PurePosixPath) -> Photo | None:
        """Return the photo that agrees best with ``wanted``, or None if there is none.

        Raises:
            DataError: if several different ones agree equally well.
        """
        candidates = self._by_key.get(_folded(wanted.name), []) if wanted.name else []
        ways: tuple[Callable[[Photo], bool], ...] = (
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


def path_below(photo: Photo, folder: Folder) -> str:
    """Return the path of ``photo`` below ``folder``, with slashes; both here, or both in one store."""
    if isinstance(photo, Stored) and isinstance(folder, Stored):
        return photo.relative_to(folder).as_posix()
    assert isinstance(photo, Path)
    assert isinstance(folder, Path)
    return photo.relative_to(folder).as_posix()


def photos_below(root: Folder) -> Iterator[Photo]:
    """Yield the photos in a folder and below, each folder's by name; hidden folders are passed over.

    Raises:
        DataError: if a store does not tell what it holds.
    """
    if isinstance(root, Stored):
        for stored in root.files():
            folders = stored.relative_to(root).parts[:-1]
            if is_photo(stored) and not any(name.startswith(_HIDDEN) for name in folders):
                yield stored
        return
    for folder, folders_below, names in os.walk(root):
        folders_below[:] = sorted(name for name in folders_below if not name.startswith(_HIDDEN))
        for name in sorted(names):
            if is_photo(path := Path(folder, name)) and is_file(path):
                yield path


def _equal(one: Photo, other: Photo) -> bool:
    """Return whether two files hold the same."""
    if isinstance(one, Path) and isinstance(other, Path):
        return filecmp.cmp(one, other, shallow=False)
    contents = [file.read() if isinstance(file, Stored) else file.read_bytes() for file in (one, other)]
    return contents[0] == contents[1]


def _only(wanted: str, paths: Sequence[Photo]) -> Photo:
    """Return the first of ``paths`` if the others are copies of it."""
    first, *others = paths
    for other in others:
        if not _equal(first, other):
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
