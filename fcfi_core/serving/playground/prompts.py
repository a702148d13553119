"""The page's JSON -> clicks and box."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError

MAX_CLICKS = 500


@dataclass(frozen=True)
class Prompt:
    """What the user asks for.

    Args:
        clicks: in order.
        box: or None.
    """

    clicks: tuple[Click, ...]
    box: Box | None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Prompt:
        """Return the prompt in ``{"clicks": [{"x", "y", "positive"}, ...], "box": [x1, y1, x2, y2]}``.

        Both entries may be missing or null; ``positive`` may be missing and is then true.

        Raises:
            PromptError: naming what cannot be understood.
        """
        clicks = fields.get("clicks") or []
        if not isinstance(clicks, list):
            raise PromptError(f"clicks is {_shown(clicks)}; give a list of objects with x, y and positive.")
        if len(clicks) > MAX_CLICKS:
            raise PromptError(f"there are {len(clicks)} clicks; give at most {MAX_CLICKS}.")
        return cls(tuple(_click(click) for click in clicks), _box(fields.get("box")))


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object written in ``body``; raises PromptError for anything else."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise PromptError('the request is not JSON; send {"clicks": [{"x": 10, "y": 20}]}.') from None
    if not isinstance(fields, dict):
        raise PromptError(f'the request is {_shown(fields)}; send {{"clicks": [{{"x": 10, "y": 20}}]}}.')
    return fields


def _click(value: Any) -> Click:
    if not isinstance(value, dict) or not {"x", "y"} <= value.keys():
        raise PromptError(f"{_shown(value)} is not a click; give an object with x, y and positive.")
    return Click(value["x"], value["y"], value.get("positive", True))


def _box(value: Any) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise PromptError(f"box is {_shown(value)}; give [x1, y1, x2, y2].")
    return Box(*value)


def _shown(value: Any) -> str:
    """Return the beginning of ``value`` as JSON, for a message."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
