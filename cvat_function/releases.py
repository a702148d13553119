"""Which CVAT can do what: the releases at which something that we depend on changed.

Read off CVAT's history: its change log, its compose file and its interface. Only here are they written
down; a test holds the documentation's tables to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Release:
    """A release of CVAT.

    Attributes:
        number: its version as numbers, ``(2, 60, 0)``.
        date: the day it came out, ``2026-03-17``.
    """

    number: tuple[int, int, int]
    date: str

    def __str__(self) -> str:
        return f"{self.version} ({self.date})"

    @property
    def version(self) -> str:
        """The version as CVAT writes it, ``2.60.0``."""
        return ".".join(map(str, self.number))


MASK = Release((2, 3, 0), "2022-12-22")
"""The interface takes ``mask``, a whole frame of rows."""

CROP = Release((2, 4, 4), "2023-05-18")
"""The interface places a ``mask`` by its ``bounds``; from SHAPES on it no longer does."""

SHAPES = Release((2, 60, 0), "2026-03-17")
"""The interface takes ``shapes``."""

BOX_FIRST = Release((2, 62, 0), "2026-04-02")
"""Where boxes are optional, the interface begins with one until its user turns that off."""

REGION = Release((2, 70, 0), "2026-07-13")
"""An annotator may restrict a function to a region of the frame."""

TOKENS = Release((2, 48, 0), "2025-10-27")
"""There are personal access tokens."""

AGENT_INTERACTOR = Release((2, 71, 0), "2026-07-22")
"""``cvat-cli`` runs interactors as agents."""

AGENT_TRACKER = Release((2, 42, 0), "2025-07-29")
"""``cvat-cli`` runs trackers as agents."""

NUCLIO = {
    "1.11.24": Release((2, 6, 1), "2023-08-25"),
    "1.13.0": Release((2, 13, 0), "2024-05-09"),
    "1.15.9": Release((2, 52, 0), "2025-12-15"),
    "1.16.3": Release((2, 69, 0), "2026-06-22"),
}
"""nuclio's version -> the first release that starts it."""


def numbers(version: str) -> tuple[int, int, int] | None:
    """Return the version a server tells (``2.73.0``, ``2.74.0-dev``) as numbers; None for another form."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def nuclio_of(number: tuple[int, int, int]) -> str | None:
    """Return the version of nuclio that CVAT ``number`` starts; None if it is older than the list."""
    started = [nuclio for nuclio, release in NUCLIO.items() if release.number <= number]
    return started[-1] if started else None


def form_of(number: tuple[int, int, int]) -> str | None:
    """Return the answer form that suits the interface of CVAT ``number``; None if it takes no mask."""
    for form, release in (("shapes", SHAPES), ("crop", CROP), ("mask", MASK)):
        if release.number <= number:
            return form
    return None
