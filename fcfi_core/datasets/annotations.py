"""The file or folder with annotations that somebody named: read once and parsed once, for all readers.

A reader is a function ``(annotations) -> Dataset | None`` that returns None for what is not its own.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fcfi_core.datasets.photos import Photos
from fcfi_core.errors import DataError
from fcfi_core.stores import Stored

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["'][^>]*\?>""")
_XML_HEAD = re.compile(r"^\s*<\?xml[^>]*\?>")


class Annotations:
    """What somebody named as annotations, and where the photos are.

    Args:
        path: of the file or folder.
        images: folder of the photos; None: look beside ``path``, or in ``store``.
        store: folder of a store that holds the photos.
    """

    def __init__(self, path: Path, images: Path | None = None, store: Stored | None = None) -> None:
        self.path = path
        self.images = images
        self.store = store
        self._photos: dict[str, Photos] = {}

    @property
    def name(self) -> str:
        """For reports: the file's name without its suffix."""
        return self.path.stem

    @property
    def suffix(self) -> str:
        """The file's suffix in small letters; "" for a folder."""
        return "" if self.path.is_dir() else self.path.suffix.lower()

    def forget(self) -> None:
        """Let go of what was parsed: for a reader that has taken it apart; it would fill the memory twice."""
        for kept in ("content", "json", "xml"):
            self.__dict__.pop(kept, None)

    def photos(self, subset: str = "") -> Photos:
        """Return the photos that may be meant; see :meth:`Photos.of`."""
        if subset not in self._photos:
            self._photos[subset] = Photos.of(self.path, self.store or self.images, subset)
        return self._photos[subset]

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}; check the path.") from None

    @property
    def text(self) -> str:
        """The file as text of UTF-8, or of what its byte order mark says.

        Raises:
            DataError: if it is something else.
        """
        return decoded(self.content, self.path)

    @cached_property
    def json(self) -> Any:
        """The file as JSON; None if it does not begin as JSON, or is a folder.

        Raises:
            DataError: if it begins as JSON and is damaged.
        """
        if self.path.is_dir() or _first_sign(self.content) not in (b"{", b"["):
            return None
        try:
            text = self.text
            if self.digest:
                del self.content  # read again in the rare case that another reader wants it
            return json.loads(text)
        except ValueError as error:
            raise DataError(f"{self.path} is damaged ({error}); export it again.") from None
        except RecursionError:
            raise DataError(
                f"{self.path} is nested too deeply for annotations; it is damaged or no data set."
            ) from None

    @cached_property
    def xml(self) -> ElementTree.Element | None:
        """The root of the file as XML; None if it does not begin as XML, or is a folder.

        Raises:
            DataError: if it is damaged, or declares a document type.
        """
        if self.path.is_dir() or not begins_as_xml(self.content):
            return None
        return parse_xml(self.content, self.path)

    @cached_property
    def digest(self) -> str:
        """A digest of a file's content; of a folder's file names and sizes."""
        if not self.path.is_dir():
            return hashlib.sha256(self.content).hexdigest()
        listing = [
            f"{file.relative_to(self.path).as_posix()} {file.stat().st_size}\n"
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
        ]
        return hashlib.sha256("".join(listing).encode("utf-8", "surrogateescape")).hexdigest()


def decoded(content: bytes, path: Path) -> str:
    """Return ``content`` as text of UTF-8, or of what its byte order mark says.

    Raises:
        DataError: if it is something else.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read as text ({error}); save it as UTF-8.") from None


def begins_as_xml(content: bytes) -> bool:
    """Return whether the first sign is a ``<``."""
    return _first_sign(content) == b"<"


def _first_sign(content: bytes) -> bytes:
    """Return the first byte that is no space, byte order mark or empty half of a wider sign."""
    return content[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1]


def parse_xml(content: bytes, path: Path) -> ElementTree.Element:
    """Return the root of an XML file in any encoding that Python knows.

    Raises:
        DataError: if it is damaged, in an unknown encoding, or declares a document type (which annotations do
            not need, and which can make a small file fill the memory).
    """
    declared = _XML_DECLARATION.match(content)
    try:
        # Whoever can read the declaration byte by byte knows that the file is not in 16 or 32 bits.
        if declared is not None and not declared[1].lower().startswith((b"utf-16", b"utf-32", b"utf-8")):
            text = content.decode(declared[1].decode("ascii"))
        else:
            text = decoded(content, path)
    except (LookupError, UnicodeError) as error:
        raise DataError(
            f"{path} cannot be read in the encoding that it declares ({error}); save it as UTF-8."
        ) from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{path} declares a document type, which annotations do not need; remove it.")
    try:
        # The text is decoded: what the head says about its encoding no longer holds.
        return ElementTree.fromstring(_XML_HEAD.sub("", text.lstrip("\ufeff")).lstrip())
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a readable XML file ({error}); export it again.") from None
