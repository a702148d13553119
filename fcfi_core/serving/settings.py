"""What an operator can set for the server, read once at process start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fcfi_core.allowance import MEGABYTE, MOST_OF_A_SERVER, capacity_of
from fcfi_core.errors import SettingsError
from fcfi_core.masks.finish import USUAL, Finish
from fcfi_core.settings import CORE_VARIABLES, SERVING_VARIABLES, Variable, finish_of, read


@dataclass(frozen=True)
class ServingSettings:
    """The values of :data:`fcfi_core.settings.SERVING_VARIABLES`, and of the core's that a server needs."""

    host: str = "127.0.0.1"
    port: int = 9090
    user: str = ""
    password: str = ""
    api_tokens: tuple[str, ...] = ()
    served_hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    image_bytes: int = 100 * MEGABYTE
    image_seconds: float = 30.0
    image_fresh_seconds: float = 60.0
    image_cache_bytes: int = 640 * MEGABYTE
    max_pixels: int = 200 * MEGABYTE
    workers: int = 4
    queue: int = 64
    predict_seconds: float = 80.0
    body_bytes: int = 64 * MEGABYTE
    body_seconds: float = 60.0
    header_seconds: float = 10.0
    connections: int = 512
    memory_bytes: float = MOST_OF_A_SERVER
    finish: Finish = USUAL

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise SettingsError(
                "Basic authentication needs both BASIC_AUTH_USER and BASIC_AUTH_PASS; set both or none."
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings written in ``environment`` (usually ``os.environ``).

        Raises:
            SettingsError: naming the variable, its value and what is expected.
        """
        return cls(**cls._fields(cls._values(environment)))

    @staticmethod
    def _values(environment: Mapping[str, str], more: tuple[Variable, ...] = ()) -> dict[str, Any]:
        return read(more + SERVING_VARIABLES + CORE_VARIABLES, environment)

    @staticmethod
    def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of the class for what :func:`read` returned."""
        return {
            "host": values["FCFI_HOST"],
            "port": values["FCFI_PORT"],
            "user": values["BASIC_AUTH_USER"],
            "password": values["BASIC_AUTH_PASS"],
            "api_tokens": values["FCFI_API_TOKENS"],
            "served_hosts": values["FCFI_SERVED_HOSTS"],
            "allowed_hosts": values["FCFI_ALLOWED_HOSTS"],
            "image_bytes": int(values["FCFI_IMAGE_MEGABYTES"] * MEGABYTE),
            "image_seconds": values["FCFI_IMAGE_SECONDS"],
            "image_fresh_seconds": values["FCFI_IMAGE_FRESH_SECONDS"],
            "image_cache_bytes": int(values["FCFI_IMAGE_CACHE_MEGABYTES"] * MEGABYTE),
            "max_pixels": int(values["FCFI_MAX_MEGAPIXELS"] * MEGABYTE),
            "workers": values["FCFI_WORKERS"],
            "queue": values["FCFI_QUEUE"],
            "predict_seconds": values["FCFI_PREDICT_SECONDS"],
            "body_bytes": int(values["FCFI_BODY_MEGABYTES"] * MEGABYTE),
            "body_seconds": values["FCFI_BODY_SECONDS"],
            "header_seconds": values["FCFI_HEADER_SECONDS"],
            "connections": values["FCFI_CONNECTIONS"],
            "memory_bytes": capacity_of(values["FCFI_MEMORY_MEGABYTES"], MOST_OF_A_SERVER),
            "finish": finish_of(values),
        }


def credentials(text: str) -> tuple[str, str]:
    """Return (user, password) of the text ``user:password``."""
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise SettingsError("--basic-auth must be written as user:password.")
    return user, password
