"""Which training photos may be used for what, told by the licence that a source states."""

from __future__ import annotations

from dataclasses import replace

from fcfi_core.errors import SettingsError
from fcfi_core.training.configuration import TrainingConfiguration

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC-BY-2.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "CC0-1.0",
        "CDLA-Permissive-2.0",
        "ISC",
        "MIT",
        "ODC-By-1.0",
        "PDDL-1.0",
        "Unlicense",
    }
)
"""SPDX identifiers that ask for no more than naming the authors. Share-alike licences are not among them."""


def is_permissive(licence: str) -> bool:
    """Return whether ``licence`` is permissive: every identifier of an ``A AND B`` must be.

    A source without a licence, or with one in other words ("for research"), is not.

    >>> is_permissive("CC0-1.0"), is_permissive("CC-BY-4.0 AND LicenseRef-Flickr"), is_permissive("")
    (True, False, False)
    """
    return all(part.strip() in PERMISSIVE for part in licence.split(" AND "))


def permissive_only(configuration: TrainingConfiguration) -> TrainingConfiguration:
    """Return the run without the sources whose licence is not permissive.

    Raises:
        SettingsError: if no source is left.
    """
    sources = tuple(source for source in configuration.sources if is_permissive(source.licence))
    if not sources:
        raise SettingsError(
            "no source of the configuration states a permissive licence; give sources.licence an SPDX "
            f"identifier such as CC0-1.0 where it holds (known: {', '.join(sorted(PERMISSIVE))})."
        )
    return replace(configuration, sources=sources)
