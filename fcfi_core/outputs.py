"""Files that a run writes: never over what it reads, whole or not at all, and of the kind their name says.

Every writer of the project goes through here. A check comes before the work (:func:`require_writable`),
so that nobody waits for a result that has no place to go; the file itself is written beside its place
and then renamed, so that a full disk or a kill leaves the older file as it was.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from fcfi_core.errors import FcfiError, SettingsError, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STANDARD_OUTPUT: Final = "-"

LOSSLESS: Final[Mapping[str, str]] = {
    "": "PNG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".webp": "WEBP",
}
"""Format of a picture whose every value must survive, by the suffix of its name."""

TRANSPARENT: Final[Mapping[str, str]] = {suffix: kind for suffix, kind in LOSSLESS.items() if kind != "BMP"}
"""Format of a picture with an alpha channel, by the suffix of its name."""

PICTURES: Final[Mapping[str, str]] = {**LOSSLESS, ".jpg": "JPEG", ".jpeg": "JPEG"}
"""Format of a picture to look at, by the suffix of its name."""

_ENCODING: Final[Mapping[str, dict[str, Any]]] = {
    "JPEG": {"quality": 92},
    "TIFF": {"compression": "tiff_deflate"},
    "WEBP": {"lossless": True},
}

JSON: Final = ("", ".json", ".txt")
HTML: Final = ("", ".html", ".htm")


def require_writable(
    path: Path | None, option: str, suffixes: Iterable[str], inputs: Iterable[Path | None] = ()
) -> None:
    """Raise SettingsError unless ``path`` is a place for a file that no input loses by it.

    Args:
        path: of the file to come; None and ``-`` (standard output) are always fine.
        option: that names it on the command line, for the error, for example "--out".
        suffixes: those that say truly what will be in the file, lower case; "" is a name without one.
        inputs: files that the run reads, and folders; in a folder no file that is there may be replaced.
    """
    if path is None or str(path) == STANDARD_OUTPUT:
        return
    suffixes = list(suffixes)
    if path.suffix.lower() not in suffixes:
        allowed = ", ".join(suffix for suffix in suffixes if suffix)
        raise SettingsError(
            f"{option} is {str(path)!r}, a name for another kind of file than what it would hold; choose one "
            f"that ends with {allowed}."
        )
    if path.is_dir():
        raise SettingsError(f"{option} is {str(path)!r}, but it is a folder; name a file in it.")
    if not path.absolute().parent.is_dir():
        raise SettingsError(
            f"{option} is {str(path)!r}, but there is no such folder; create it first, or choose another "
            f"{option}."
        )
    for given in inputs:
        if given is not None and _would_replace(path, given):
            raise SettingsError(
                f"{option} is {str(path)!r}, which this run reads ({str(given)!r}); choose another {option}, "
                "so that nothing of yours is overwritten."
            )


def require_apart(written: Iterable[Path], read: Iterable[Path | None]) -> None:
    """Raise SettingsError if a file of a run's folder is one that the run reads."""
    known = [path for path in read if path is not None]
    for path in written:
        for given in known:
            if same_file(path, given):
                raise SettingsError(
                    f"the run would write {str(path)!r}, which it reads; choose another --out, so that "
                    "nothing of yours is overwritten."
                )


def encoded(pixels: NDArray[np.uint8], path: Path) -> bytes:
    """Return the file of a picture, of the kind that the suffix of ``path`` names; JPEG alone loses.

    Args:
        pixels: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, uint8.
        path: of the file to come; its suffix is one of :data:`PICTURES`.
    """
    from PIL import Image

    kind = PICTURES[path.suffix.lower()]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **_ENCODING.get(kind, {}))
    return buffer.getvalue()


def same_file(one: Path, other: Path) -> bool:
    """Return whether two names lead to one file: by path, link or hard link, here or on a file system
    that does not tell upper from lower case."""
    with suppress(OSError, ValueError):
        if os.path.samefile(one, other):
            return True
    return _folded(one) == _folded(other)


def real(path: Path) -> Path:
    """Return where ``path`` leads, whether it is there or not; links in a circle end where they meet."""
    return Path(os.path.realpath(path))


@contextmanager
def replaced(
    path: Path, *, binary: bool = False, advice: str = "give another output folder"
) -> Iterator[IO[Any]]:
    """Open ``path`` for writing; it takes the place of an older file only when it is complete.

    Args:
        path: of the file; a link stays one, and where it leads is replaced. What is no plain file (a pipe,
            ``/dev/null``) is written to directly.
        binary: take bytes; else text, written as UTF-8.
        advice: what to do if it cannot be written, for the error.

    Raises:
        SettingsError: if it cannot be written; what was there before is still there.
    """
    try:
        with _opened(path, binary) as file:
            yield file
    except OSError as error:
        raise SettingsError(f"cannot write {str(path)!r}: {error.strerror or error}; {advice}.") from None


def say(*lines: str, error: bool = False) -> None:
    """Print lines for a person, on standard output or standard error.

    Each stays one line, whatever names strangers gave to files and classes: see :func:`errors.plain`.
    """
    for line in lines:
        print(plain(line), file=sys.stderr if error else sys.stdout)


@contextmanager
def told(program: str) -> Iterator[None]:
    """Let an error of this package within the block be one sentence on standard error, and exit code 2."""
    try:
        yield
    except FcfiError as error:
        say(f"{program}: {error}", error=True)
        raise SystemExit(2) from None


def write(path: Path, data: bytes | memoryview | str, advice: str = "give another output folder") -> None:
    """Write ``data`` as the file ``path``, see :func:`replaced`; ``-`` is standard output.

    Text becomes UTF-8; what no encoding knows (names of files may hold it) is written out.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "backslashreplace")
    if str(path) == STANDARD_OUTPUT:
        sys.stdout.buffer.write(data)
        return
    with replaced(path, binary=True, advice=advice) as file:
        file.write(data)


def claim(descriptor: int, path: Path) -> None:
    """Keep other runs from writing at ``path`` until ``descriptor`` is closed, where the system can.

    Args:
        descriptor: an open file or folder.
        path: its name, for the sentence.

    Raises:
        SettingsError: if another run has it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SettingsError(
            f"{path} is in use by another run; wait for it, or give another output folder."
        ) from None


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other runs from writing into ``folder`` meanwhile; see :func:`claim`."""
    if sys.platform == "win32":  # which opens no folders
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        claim(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _opened(path: Path, binary: bool) -> Iterator[IO[Any]]:
    target = real(path)
    mode, encoding, errors = ("b", None, None) if binary else ("", "utf-8", "backslashreplace")
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with target.open(f"w{mode}", encoding=encoding, errors=errors) as file:
            yield file
        return
    # Its own name, so that two runs, and two threads of one, never share a half-written file.
    part = target.with_name(f".fcfi-{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with part.open(f"x{mode}", encoding=encoding, errors=errors) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _would_replace(path: Path, given: Path) -> bool:
    if given.is_dir():
        return path.exists() and real(path).is_relative_to(real(given))
    return same_file(path, given)


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", str(real(path))).casefold()
