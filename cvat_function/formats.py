"""What ``fcfi segment --format cvat`` writes."""

from __future__ import annotations

from typing import Any

from fcfi_core.results import Result


def mask(result: Result) -> dict[str, Any]:
    """Return the mask as a shape of type ``mask``, as annotations and their exports hold it."""
    return {"type": "mask", "points": result.rle("cvat")}
