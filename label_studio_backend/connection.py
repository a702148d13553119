"""The connection from Label Studio to this backend: whether it answers, and what a refusal means."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from fcfi_core.errors import DataError, FcfiError, SettingsError
from fcfi_core.serving.settings import credentials
from fcfi_core.serving.transport import AddressGuard, exchange, is_public, parse_url
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.settings import as_list, as_mapping, label_studio_origin

PRIVATE = "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false"
"""What Label Studio must be started with for a backend on a private address."""

_SECONDS = 5.0


@dataclass(frozen=True)
class Health:
    """What a backend says of itself.

    Args:
        version: of its model.
        private_address: its address, if that is none of the open internet; else "".
    """

    version: str
    private_address: str


def health(address: str, basic_auth: str = "") -> Health:
    """Return how the backend at ``address`` is, asked from here.

    Args:
        address: with http:// or https://.
        basic_auth: ``user:password``, or "".

    Raises:
        SettingsError: one sentence, if it does not answer as it should.
    """
    headers = {}
    if basic_auth:
        credentials(basic_auth)
        headers["Authorization"] = "Basic " + base64.b64encode(basic_auth.encode()).decode()
    try:
        parts = parse_url(_whole(address) + "/health")
        addresses = AddressGuard().addresses(parts, trusted=True)
        answer = exchange(parts, addresses, headers=headers, most_bytes=100_000, seconds=_SECONDS)
    except FcfiError as error:
        raise SettingsError(f"the backend does not answer: {error} Is `fcfi serve` running?") from None
    if answer.status == 401:
        raise SettingsError(f"the backend at {address} wants a user and a password; give --basic-auth.")
    try:
        said = as_mapping(json.loads(answer.body))
    except ValueError:
        said = {}
    if answer.status != 200 or said.get("status") != "UP":
        raise SettingsError(
            f"what answers at {address} (status {answer.status}) is no backend for Label Studio; "
            "start `fcfi serve` and give its address (--backend)."
        )
    private = "" if all(is_public(one) for one in addresses) else addresses[0]
    return Health(str(said.get("model_version") or said.get("model_class") or "of unknown version"), private)


def _whole(address: str) -> str:
    try:
        label_studio_origin(address)
    except SettingsError:
        raise SettingsError(
            f"--backend is {address!r}; write the whole address, like http://localhost:9090."
        ) from None
    return address.rstrip("/")


def connect(server: LabelStudio, project: int, address: str, basic_auth: str = "") -> int:
    """Connect the backend at ``address`` to ``project``, interactively, and return the connection's number.

    A connection that is there already is used again.

    Raises:
        DataError: saying what to do about Label Studio's refusal.
    """
    body: dict[str, Any] = {"url": address, "project": project, "title": "FCFI", "is_interactive": True}
    if basic_auth:
        user, password = credentials(basic_auth)
        body |= {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
    known = next((one for one in connections(server, project) if one.get("url") == address), None)
    try:
        if known is None:
            return int(server.post("/api/ml", body)["id"])
        server.patch(f"/api/ml/{known['id']}", body)
        return int(known["id"])
    except DataError as error:
        raise DataError(f"{error} {explained(str(error))}".strip()) from None


def connections(server: LabelStudio, project: int) -> list[dict[str, Any]]:
    """Return the models connected to ``project``, as Label Studio describes them."""
    return [dict(as_mapping(one)) for one in as_list(server.get(f"/api/ml?project={project}"))]


def explained(refusal: str) -> str:
    """Return what to do about Label Studio's refusal to connect a backend; "" if that is not known."""
    if "reserved network" in refusal or "403" in refusal:
        return (
            "Label Studio refuses backends on private addresses: start it with ML_BLOCK_LOCAL_IP=false and "
            "SSRF_PROTECTION_ENABLED=false (environment variables of Label Studio, not of this backend)."
        )
    if "onnect" in refusal or "healthy" in refusal.lower() or "timed out" in refusal:
        return (
            "Label Studio cannot reach the backend: is `fcfi serve` running, at an address seen from there?"
        )
    return ""
