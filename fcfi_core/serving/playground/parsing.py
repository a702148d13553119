"""The page's JSON: an object, or one sentence."""

from __future__ import annotations

from typing import Any

from fcfi_core.errors import PromptError
from fcfi_core.prompt import shown
from fcfi_core.serving.bodies import read_json


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object written in ``body``; raises PromptError for anything else."""
    try:
        fields = read_json(body)
    except ValueError:
        raise PromptError('the request is not JSON; send {"clicks": [{"x": 10, "y": 20}]}.') from None
    if not isinstance(fields, dict):
        raise PromptError(f'the request is {shown(fields)}; send {{"clicks": [{{"x": 10, "y": 20}}]}}.')
    return fields
