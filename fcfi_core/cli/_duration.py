"""Lengths of time as people write them: 90s, 9m, 2h30m."""

from __future__ import annotations

import re

from fcfi_core.errors import SettingsError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_WRITTEN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def seconds_of(text: str, option: str) -> float:
    """Return how many seconds ``text`` means.

    >>> seconds_of("1h30m", "--for")
    5400.0

    Args:
        text: hours, minutes and seconds, in this order, at least one of them.
        option: what the text was given for, named if it is wrong.

    Raises:
        SettingsError: if ``text`` is no length of time, or none at all.
    """
    found = _WRITTEN.fullmatch(text.strip().lower())
    counts = found.groups() if found else ()
    seconds = sum(
        int(count) * unit for count, unit in zip(counts, _UNITS.values(), strict=False) if count is not None
    )
    if not seconds:
        raise SettingsError(f"{option} is {text!r}; give a length of time such as 90s, 9m or 2h30m.")
    return seconds
