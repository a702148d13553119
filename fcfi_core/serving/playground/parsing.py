"""The page's JSON: an object, or one sentence."""

from __future__ import annotations

import json
from typing import Any

from fcfi_core.errors import PromptError
from fcfi_core.prompt import shown


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object written in ``body``; raises PromptError for anything else."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise PromptError('the request is not JSON; send {"clicks": [{"x": 10, "y": 20}]}.') from None
    if not isinstance(fields, dict):
        raise PromptError(f'the request is {shown(fields)}; send {{"clicks": [{{"x": 10, "y": 20}}]}}.')
    return fields
