"""What an operator can set, read once at process start."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from fcfi_core.errors import SettingsError
from fcfi_core.masks.finish import USUAL, Finish
from fcfi_core.settings import CORE_VARIABLES, Variable, area, finish_of, read

OUTPUTS = ("auto", "brush", "bitmask", "polygon", "rectangle")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in text.split(",") if word.strip())


def _output(text: str) -> str:
    if text.strip().lower() not in OUTPUTS:
        raise ValueError(f"give one of {', '.join(OUTPUTS)}")
    return text.strip().lower()


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("give a number above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("give a whole number of at least 1")
    return value


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "LABEL_STUDIO_URL",
        "",
        "Address of Label Studio as this backend reaches it, with http:// or https://.",
    ),
    Variable(
        "LABEL_STUDIO_API_KEY", "", "Access token of a Label Studio user: legacy or personal.", secret=True
    ),
    Variable("BASIC_AUTH_USER", "", "User that Label Studio must send (authentication method Basic)."),
    Variable("BASIC_AUTH_PASS", "", "Password that Label Studio must send.", secret=True),
    Variable("FCFI_HOST", "127.0.0.1", "Address to listen on; 0.0.0.0 for all."),
    Variable("FCFI_PORT", 9090, "Port to listen on.", _count),
    Variable(
        "FCFI_OUTPUT",
        "auto",
        "auto, brush, bitmask, polygon or rectangle, where a labelling config offers several.",
        _output,
    ),
    Variable(
        "FCFI_BACKGROUND_LABEL",
        "background",
        "Clicks with this label are negative, unless masks can carry it.",
    ),
    Variable(
        "FCFI_POLYGON_TOLERANCE",
        1.0,
        "Largest distance between a polygon and the mask's edge, in pixels.",
        _positive,
    ),
    Variable("FCFI_POLYGON_POINTS", 200, "Most points of a polygon.", _count),
    Variable(
        "FCFI_LABEL_STUDIO_MIN_AREA",
        "",
        "FCFI_MIN_AREA for Label Studio alone; empty: as that.",
        area,
    ),
    Variable(
        "FCFI_LABEL_STUDIO_MAX_HOLE",
        "",
        "FCFI_MAX_HOLE for Label Studio alone; empty: as that.",
        area,
    ),
    Variable(
        "FCFI_ALLOWED_HOSTS",
        (),
        "Comma-separated hosts and networks (10.0.0.0/8) whose private addresses images may come from.",
        _words,
    ),
    Variable(
        "FCFI_LOCAL_FILES_ROOT",
        "",
        "Folder that serves /data/local-files/ directly, instead of through Label Studio.",
    ),
    Variable("FCFI_IMAGE_MEGABYTES", 100.0, "Largest image file accepted, in millions of bytes.", _positive),
    Variable("FCFI_IMAGE_SECONDS", 30.0, "Longest time to fetch an image.", _positive),
    Variable(
        "FCFI_IMAGE_FRESH_SECONDS",
        60.0,
        "How long an image is used before asking whether it changed.",
        _positive,
    ),
    Variable("FCFI_IMAGE_CACHE_MEGABYTES", 512.0, "Memory for decoded images.", _positive),
    Variable("FCFI_WORKERS", 4, "Requests worked on at the same time.", _count),
    Variable("FCFI_QUEUE", 64, "Requests waiting at most; further ones are answered 503.", _count),
    Variable(
        "FCFI_PREDICT_SECONDS",
        80.0,
        "Longest time for an answer; Label Studio itself gives up after 100.",
        _positive,
    ),
    Variable("FCFI_BODY_MEGABYTES", 64.0, "Largest request accepted, in millions of bytes.", _positive),
)


@dataclass(frozen=True)
class Settings:
    """The values of :data:`VARIABLES` that shape the backend's behaviour; see there for meanings."""

    label_studio_url: str = ""
    label_studio_token: str = ""
    user: str = ""
    password: str = ""
    host: str = "127.0.0.1"
    port: int = 9090
    output: str = "auto"
    background_label: str = "background"
    polygon_tolerance: float = 1.0
    polygon_points: int = 200
    finish: Finish = USUAL
    allowed_hosts: tuple[str, ...] = ()
    local_files_root: str = ""
    image_bytes: int = 100_000_000
    image_seconds: float = 30.0
    image_fresh_seconds: float = 60.0
    image_cache_bytes: int = 512_000_000
    max_pixels: int = 200_000_000
    workers: int = 4
    queue: int = 64
    predict_seconds: float = 80.0
    body_bytes: int = 64_000_000

    def __post_init__(self) -> None:
        if self.label_studio_url:
            label_studio_origin(self.label_studio_url)
        if bool(self.user) != bool(self.password):
            raise SettingsError(
                "Basic authentication needs both BASIC_AUTH_USER and BASIC_AUTH_PASS; set both or none."
            )
        for entry in self.allowed_hosts:
            if "/" in entry:
                try:
                    ipaddress.ip_network(entry)
                except ValueError:
                    raise SettingsError(
                        f"FCFI_ALLOWED_HOSTS holds {entry!r}, which is no network; write it like 10.0.0.0/8."
                    ) from None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings written in ``environment`` (usually ``os.environ``)."""
        values = read(VARIABLES + CORE_VARIABLES, environment)
        return cls(
            label_studio_url=values["LABEL_STUDIO_URL"].strip().rstrip("/"),
            label_studio_token=values["LABEL_STUDIO_API_KEY"].strip(),
            user=values["BASIC_AUTH_USER"],
            password=values["BASIC_AUTH_PASS"],
            host=values["FCFI_HOST"],
            port=values["FCFI_PORT"],
            output=values["FCFI_OUTPUT"],
            background_label=values["FCFI_BACKGROUND_LABEL"],
            polygon_tolerance=values["FCFI_POLYGON_TOLERANCE"],
            polygon_points=values["FCFI_POLYGON_POINTS"],
            finish=finish_of(values, "FCFI_LABEL_STUDIO_"),
            allowed_hosts=values["FCFI_ALLOWED_HOSTS"],
            local_files_root=values["FCFI_LOCAL_FILES_ROOT"],
            image_bytes=int(values["FCFI_IMAGE_MEGABYTES"] * 1e6),
            image_seconds=values["FCFI_IMAGE_SECONDS"],
            image_fresh_seconds=values["FCFI_IMAGE_FRESH_SECONDS"],
            image_cache_bytes=int(values["FCFI_IMAGE_CACHE_MEGABYTES"] * 1e6),
            max_pixels=int(values["FCFI_MAX_MEGAPIXELS"] * 1e6),
            workers=values["FCFI_WORKERS"],
            queue=values["FCFI_QUEUE"],
            predict_seconds=values["FCFI_PREDICT_SECONDS"],
            body_bytes=int(values["FCFI_BODY_MEGABYTES"] * 1e6),
        )


def label_studio_origin(url: str) -> SplitResult:
    """Return the parts of Label Studio's address; raises SettingsError for anything but http(s)://host."""
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"LABEL_STUDIO_URL is {url!r}; write the whole address, for example http://label-studio.example:8080."
        )
    return parts


def credentials(text: str) -> tuple[str, str]:
    """Return (user, password) of the text ``user:password``."""
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise SettingsError("--basic-auth must be written as user:password.")
    return user, password


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Return ``value`` if it is a JSON list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()
