"""The values of a config's tags ("$key", "$outer.inner", text around keys), filled from a task's data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_DEEPEST_KEY = 32


def look_up(pattern: str, data: Mapping[str, Any]) -> Any:
    """Return what ``pattern`` ("$key", "$outer.inner" or text around keys) means for ``data``."""
    if pattern[:1] == "$" and (pattern[1:] in data or re.fullmatch(r"[^$/\s]+", pattern[1:])):
        return _value(pattern[1:], data)
    return re.sub(r"\$(\w+(?:\.\w+|\[\d+\])*)", lambda match: _filled(match[1], data), pattern)


def _filled(path: str, data: Mapping[str, Any]) -> str:
    """Return the text for ``path``, whose last parts may be no key: "$name.png" is a name and a suffix."""
    parts = path.split(".")
    for length in range(min(len(parts), _DEEPEST_KEY), 0, -1):
        value = _value(".".join(parts[:length]), data)
        if isinstance(value, str | int | float):
            return ".".join((str(value), *parts[length:]))
    return ""


def _value(path: str, data: Mapping[str, Any]) -> Any:
    if path in data:
        return data[path]
    value: Any = data
    for key in re.findall(r"[^.[\]]+", path):
        if isinstance(value, list) and re.fullmatch(r"\d{1,9}", key):
            value = value[int(key)] if int(key) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:
            return None
    return value
