"""Files in object stores, by their addresses: ``s3://bucket/photos/a.jpg``, ``gs://...``, what fsspec knows.

What opens a store (keys, regions, an endpoint of one's own) stands where its package looks for it, in the
environment or in its own files; it is never part of an address here, nor of a message. An address is a small
value that travels to other machines, each of which opens the store by itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fcfi_core import plugins
from fcfi_core.errors import DataError, SettingsError, without_passwords

_ADDRESS = re.compile(r"^(?!file:)[A-Za-z][A-Za-z0-9+.-]+://")
_QUIET = logging.NullHandler()


@dataclass(frozen=True, slots=True, order=True)
class Stored:
    """A file or folder in a store.

    Args:
        address: without a slash at its end.
    """

    address: str

    def __str__(self) -> str:
        return without_passwords(self.address)

    def __truediv__(self, name: str) -> Stored:
        return Stored(f"{self.address}/{name.lstrip('/')}")

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(self.address.partition("://")[2])

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The end of the name, with its point."""
        return self._path.suffix

    @property
    def parts(self) -> Sequence[str]:
        """Bucket, folders and name."""
        return self._path.parts

    @property
    def parent(self) -> Stored:
        """The folder that it lies in; the bucket lies in itself."""
        head, _, tail = self.address.rpartition("/")
        return self if not tail or head.endswith("/") else Stored(head)

    def relative_to(self, folder: Stored) -> PurePosixPath:
        """Return the path below ``folder``."""
        return self._path.relative_to(folder._path)

    def read(self) -> bytes:
        """Return the content.

        Raises:
            DataError: if it is not there, or the store does not give it.
            SettingsError: if the package is missing that opens the store.
        """
        files, path = self._opened()
        try:
            content: bytes = files.cat_file(path)
        except Exception as error:  # each store raises errors of its own, some of no common kind
            raise DataError(f"{str(self)!r} cannot be read from its store: {_reason(error)}.") from None
        return content

    def files(self) -> list[Stored]:
        """Return all files below, sorted by address.

        Raises:
            DataError: if the store does not tell.
            SettingsError: if the package is missing that opens the store.
        """
        files, path = self._opened()
        try:
            found = [name for name in files.find(path) if not name.endswith("/")]
        except Exception as error:
            raise DataError(f"{str(self)!r} cannot be listed: {_reason(error)}.") from None
        below = path.rstrip("/") + "/"
        return sorted(self / name[len(below) :] for name in found if name.startswith(below))

    def _opened(self) -> tuple[Any, str]:
        """Return the file system of fsspec, and what it calls the file."""
        protocol = self.address.partition("://")[0]
        try:
            import fsspec

            package = fsspec.get_filesystem_class(protocol).__module__.partition(".")[0]
            # What goes wrong is told in our words; what the package says of it, traces too, is for its log.
            logging.getLogger(package).addHandler(_QUIET)
            files, path = fsspec.core.url_to_fs(self.address)
        except ImportError as error:
            raise SettingsError(_missing(protocol, error)) from None
        except Exception as error:
            raise SettingsError(f"{str(self)!r} cannot be opened: {_reason(error)}.") from None
        return files, path


def named(text: str) -> Path | Stored:
    """Return what ``text`` names: a file or folder of a store if it is an address, else one of this machine.

    >>> named("s3://bucket/photos/")
    Stored(address='s3://bucket/photos')
    >>> named("photos").name
    'photos'
    """
    if not _ADDRESS.match(text):
        return Path(text.removeprefix("file://"))
    protocol, _, path = text.partition("://")
    if "@" in path.partition("/")[0]:
        raise SettingsError(
            f"{without_passwords(text)!r} holds a user or a password, which others could read in lists of "
            "processes; give them in the environment of the store's package."
        )
    return Stored(f"{protocol}://{path.rstrip('/')}")


def _missing(protocol: str, error: ImportError) -> str:
    """Return a sentence on the package that a store needs; fsspec names it in a sentence of its own."""
    told = re.search(r"install ([\w-]+)", str(error), re.IGNORECASE)
    package = told[1] if told else (error.name or "fsspec").split(".")[0]
    return plugins.missing(ImportError(name=package), f"{protocol}://")


def _reason(error: Exception) -> str:
    """Return in one line what a store says."""
    if isinstance(error, FileNotFoundError):
        return "it is not there; check the address"
    if isinstance(error, PermissionError):
        return "the store refuses (are there keys in the environment, and may they read it?)"
    lines = without_passwords(str(error)).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".! ")
