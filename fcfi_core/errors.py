"""The errors a caller can meet.

::

    FcfiError                 root: catch this to catch everything raised on purpose
    ├── PromptError           a click, box or prior mask cannot be used
    ├── ImageError            an image cannot be read, or is larger than allowed
    ├── WeightsError          a checkpoint is missing, damaged, or of another architecture
    ├── DataError             a data set, export or annotation file cannot be used
    ├── SettingsError         an option, environment variable or configuration file is wrong
    └── BusyError             too much work is queued; try again after ``retry_after`` seconds

Every message is one sentence for a person: what was wrong, the value, what to do. Adapters map
the classes to status codes in one table; the command line prints the message and exits with 2.
"""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")


class FcfiError(Exception):
    """Root of all errors raised on purpose."""


class PromptError(FcfiError):
    """A click, box or prior mask cannot be used."""


class ImageError(FcfiError):
    """An image cannot be read, or is larger than allowed."""


class WeightsError(FcfiError):
    """A checkpoint is missing, damaged, or belongs to another architecture."""


class DataError(FcfiError):
    """A data set, platform export or annotation file cannot be used."""


class SettingsError(FcfiError):
    """A command-line option, environment variable or configuration file is wrong."""


class BusyError(FcfiError):
    """Too much work is queued already.

    Attributes:
        retry_after: seconds after which another try is worthwhile.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def plain(text: str) -> str:
    r"""Return ``text`` for a terminal or a log: what would move its cursor or colour it is written out.

    File names, labels and addresses come from strangers; none of them may forge a line, or hide one.

    >>> plain("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    text = without_passwords(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def without_passwords(text: str) -> str:
    """Return ``text`` with user names and passwords in addresses left out.

    >>> without_passwords("http://me:secret@host/a.png is missing")
    'http://***@host/a.png is missing'
    """
    return _USER.sub("***@", text)
