"""What ``fcfi segment --format label-studio`` writes."""

from __future__ import annotations

from typing import Any

from fcfi_core.results import Result


def brush(result: Result) -> dict[str, Any]:
    """Return the mask as the value of a brush region, with the image's size beside it."""
    height, width = result.mask.shape
    rle = result.rle("label_studio")
    return {"format": "rle", "rle": rle, "original_width": width, "original_height": height}
