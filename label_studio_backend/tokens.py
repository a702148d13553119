"""Label Studio's access tokens: which kind one is, and the header it becomes.

Legacy tokens are sent as they are. A personal access token is a JWT of type *refresh*; it is
exchanged for short-lived access tokens, which are renewed before they expire.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from fcfi_core.errors import ImageError

Kind = Literal["none", "legacy", "personal", "access", "unknown"]
_LEGACY = re.compile(r"[0-9a-f]{40}", re.IGNORECASE)
_EARLY = 30.0


def kind_of(token: str) -> Kind:
    """Return what ``token`` is: none, legacy, personal (refresh JWT), access (short-lived JWT), unknown."""
    if not token:
        return "none"
    payload = _payload(token)
    if payload is None:
        return "legacy" if _LEGACY.fullmatch(token) else "unknown"
    return "personal" if payload.get("token_type") == "refresh" else "access"


def bare(text: str) -> str:
    """Return the token in ``text``, which may be quoted, or the whole header that it was copied with."""
    text = text.strip().strip("\"'").strip()
    text = re.sub(r"^Authorization\s*:\s*", "", text, flags=re.IGNORECASE)
    return re.sub(r"^(Token|Bearer)\s+", "", text, flags=re.IGNORECASE).strip()


def _payload(token: str) -> dict[str, Any] | None:
    """Return the claims of a JWT (unverified: only Label Studio can verify them), None for other text."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


class Token:
    """The operator's token, as an ``Authorization`` header.

    Args:
        token: legacy or personal access token, however it was copied; may be empty.
        refresh: asks Label Studio for an access token, given the personal one.
        clock: seconds since 1970.
    """

    def __init__(
        self, token: str, refresh: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._token = bare(token)
        self.kind = kind_of(self._token)
        self._refresh = refresh
        self._clock = clock
        self._lock = threading.Lock()
        self._access = ""
        self._expires = 0.0

    def headers(self) -> dict[str, str]:
        """Return the header to send; empty without a token.

        Raises:
            ImageError: if Label Studio does not exchange the personal access token.
        """
        if self.kind == "none":
            return {}
        if self.kind in ("legacy", "unknown"):
            return {"Authorization": f"Token {self._token}"}
        if self.kind == "access":
            return {"Authorization": f"Bearer {self._token}"}
        with self._lock:
            if self._clock() > self._expires - _EARLY:
                self._access = self._refresh(self._token)
                self._expires = self._expiry(self._access)
            return {"Authorization": f"Bearer {self._access}"}

    def forget_access(self) -> None:
        """Exchange anew before the next request: Label Studio refused the present access token."""
        with self._lock:
            self._expires = 0.0

    def _expiry(self, access: str) -> float:
        claims = _payload(access)
        if claims is None:
            raise ImageError("Label Studio sent no usable access token; make a new personal access token.")
        expires = claims.get("exp")
        return float(expires) if isinstance(expires, int | float) else self._clock() + 60.0
