"""A small client of Label Studio's API: what setting up and checking need."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

from fcfi_core.allowance import MEGABYTE
from fcfi_core.errors import DataError, ImageError, SettingsError
from fcfi_core.serving.transport import AddressGuard, Answer, exchange, parse_url
from label_studio_backend.image_resolver import ImageResolver
from label_studio_backend.settings import Settings, as_list, as_mapping, label_studio_origin
from label_studio_backend.tokens import Kind


class LabelStudio:
    """One Label Studio server, seen as the user of a token.

    Args:
        url: its address, with http:// or https://.
        token: legacy or personal access token.
        seconds: time for one request.
        most_bytes: of one answer.
    """

    def __init__(self, url: str, token: str, seconds: float = 60.0, most_bytes: int = 100 * MEGABYTE) -> None:
        label_studio_origin(url)
        self.url = url.rstrip("/")
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._guard = AddressGuard()
        # The resolver knows how tokens are exchanged and renewed.
        self._token = ImageResolver(Settings(label_studio_url=self.url, label_studio_token=token)).token

    @classmethod
    def from_settings(cls, settings: Settings, *, url: str | None = None, token: str | None = None) -> Self:
        """Return the server that the settings name; ``url`` and ``token`` overrule them.

        Raises:
            SettingsError: if nothing says its address, or that is none.
        """
        address = url or settings.label_studio_url
        if not address:
            raise SettingsError("Label Studio's address is missing; give --url or set LABEL_STUDIO_URL.")
        return cls(address, token or settings.label_studio_token, most_bytes=settings.image_bytes)

    @property
    def token_kind(self) -> Kind:
        """none, legacy, personal, access or unknown."""
        return self._token.kind

    def who_am_i(self) -> str:
        """Return the user of the token.

        Raises:
            SettingsError: saying what is wrong with the address or the token.
        """
        answer = self.ask("GET", "/api/current-user/whoami")
        if answer.status in (401, 403):
            hint = {
                "none": "no token is set; put an access token into LABEL_STUDIO_API_KEY",
                "legacy": "it refuses the legacy token: copy it anew, make a personal access token, or "
                "switch legacy tokens on (organisation settings, or "
                "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true there)",
                "unknown": "the token is neither a legacy one (40 hexadecimal digits) nor a personal access "
                "token (three parts with dots between): copy it anew from Account & Settings",
                "personal": "it refuses the personal access token: make a new one",
                "access": "it refuses the short-lived access token: use a personal access token instead",
            }[self.token_kind]
            raise SettingsError(f"Label Studio at {self.url} answers with status {answer.status}: {hint}.")
        user = self._json(answer, "the current user")
        return str(user.get("email") or user.get("username")) if isinstance(user, dict) else "?"

    def get(self, path: str) -> Any:
        """Return the JSON at ``path``; raises DataError for any status but 200."""
        return self._json(self.ask("GET", path), path)

    def post(self, path: str, content: Mapping[str, Any] | Sequence[Any]) -> Any:
        """Send ``content`` as JSON and return the answer's; raises DataError unless the status is 2xx."""
        headers = {"Content-Type": "application/json"}
        return self._json(self.ask("POST", path, json.dumps(content).encode(), headers), path)

    def patch(self, path: str, content: Mapping[str, Any]) -> Any:
        """Change what lies at ``path`` and return the answer's; raises DataError unless the status is 2xx."""
        headers = {"Content-Type": "application/json"}
        return self._json(self.ask("PATCH", path, json.dumps(content).encode(), headers), path)

    def delete(self, path: str) -> None:
        """Delete what lies at ``path``; raises DataError unless the status is 2xx."""
        self._json(self.ask("DELETE", path), path)

    def upload(self, project: int, files: Sequence[tuple[str, bytes]]) -> int:
        """Import image files (name, content) as tasks of ``project``; return how many tasks came of it."""
        border = secrets.token_hex(16)
        parts = []
        for name, content in files:
            safe = quote(name, safe=" ().-_", errors="backslashreplace")
            head = f'--{border}\r\nContent-Disposition: form-data; name="{safe}"; filename="{safe}"\r\n'
            parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n")
        body = b"".join(parts) + f"--{border}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={border}"}
        path = f"/api/projects/{project}/import"
        answer = self._json(self.ask("POST", path, body, headers), path)
        return int(answer.get("task_count", 0)) if isinstance(answer, dict) else 0

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer to one request.

        Raises:
            SettingsError: if Label Studio cannot be reached.
        """
        parts = parse_url(self.url + path)
        try:
            return exchange(
                parts,
                self._guard.addresses(parts, trusted=True),
                method=method,
                headers={**(headers or {}), **self._token.headers()},
                body=body,
                most_bytes=self._most_bytes,
                seconds=self._seconds,
            )
        except ImageError as error:
            hint = ""
            if parts.hostname in ("localhost", "127.0.0.1", "::1"):
                hint = " In a container, localhost is the container itself: use Label Studio's host name."
            raise SettingsError(f"Label Studio at {error}{hint} (LABEL_STUDIO_URL)") from None

    def wait_until_up(self, seconds: float) -> None:
        """Return as soon as Label Studio answers; raises SettingsError after ``seconds``."""
        until = time.monotonic() + seconds
        while True:
            try:
                if self.ask("GET", "/health").status == 200:
                    return
            except SettingsError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def _json(self, answer: Answer, what: str) -> Any:
        if not 200 <= answer.status < 300:
            raise DataError(f"Label Studio answers {what} with status {answer.status}: {_said(answer.body)}")
        try:
            return json.loads(answer.body) if answer.body else None
        except ValueError:
            raise DataError(
                f"{self.url} does not answer {what} with JSON; is it Label Studio's address?"
            ) from None


def _said(body: bytes) -> str:
    """Return the reason in the body of a refusal, in Label Studio's own words."""
    text = body.decode("utf-8", "replace")
    try:
        content = as_mapping(json.loads(text))
    except ValueError:
        content = {}
    reasons = [
        str(reason)
        for field in as_mapping(content.get("validation_errors")).values()
        for reason in as_list(field) or [field]
    ]
    said = " ".join(reasons) or str(content.get("detail") or text)
    return re.sub(r"<[^>]*>", "", said)[:300]
