"""What an operator can set, read once at process start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from fcfi_core.allowance import MEGABYTE
from fcfi_core.errors import SettingsError
from fcfi_core.serving.settings import ServingSettings
from fcfi_core.settings import (
    Variable,
    area,
    count,
    finish_of,
    flag,
    positive,
)

OUTPUTS = ("auto", "brush", "bitmask", "polygon", "rectangle")


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(word.strip().rstrip("/") for word in text.split(",") if word.strip())
    for address in found:
        try:
            label_studio_origin(address)
        except SettingsError:
            raise ValueError(f"{address!r} is no whole address like https://label-studio.example") from None
    return found


def _output(text: str) -> str:
    if text.strip().lower() not in OUTPUTS:
        raise ValueError(f"give one of {', '.join(OUTPUTS)}")
    return text.strip().lower()


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "LABEL_STUDIO_URL",
        "",
        "Address of Label Studio as this backend reaches it, with http:// or https://.",
    ),
    Variable(
        "FCFI_LABEL_STUDIO_NAMES",
        (),
        "Comma-separated further addresses under which tasks name Label Studio, like its LABEL_STUDIO_HOST.",
        _addresses,
    ),
    Variable(
        "LABEL_STUDIO_API_KEY", "", "Access token of a Label Studio user: legacy or personal.", secret=True
    ),
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
        "FCFI_BACKGROUND_MEGABYTES", 8.0, "Memory for the clicks that a background label completes.", positive
    ),
    Variable(
        "FCFI_POLYGON_TOLERANCE",
        1.0,
        "Largest distance between a polygon and the mask's edge, in pixels.",
        positive,
    ),
    Variable("FCFI_POLYGON_POINTS", 200, "Most points of a polygon.", count),
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
        "FCFI_LABEL_STUDIO_EXCLUSIVE",
        0,
        "Whether answers leave out what finished regions of the annotator's draft hold: 1 or 0.",
        flag,
    ),
    Variable(
        "FCFI_LOCAL_FILES_ROOT",
        "",
        "Folder that serves /data/local-files/ directly, instead of through Label Studio.",
    ),
)


@dataclass(frozen=True)
class Settings(ServingSettings):
    """The values of :data:`VARIABLES`, and those of the server; see there for meanings."""

    label_studio_url: str = ""
    label_studio_token: str = ""
    label_studio_names: tuple[str, ...] = ()
    output: str = "auto"
    background_label: str = "background"
    background_bytes: int = 8 * MEGABYTE
    polygon_tolerance: float = 1.0
    polygon_points: int = 200
    exclusive: bool = False
    local_files_root: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_studio_url:
            label_studio_origin(self.label_studio_url)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings written in ``environment`` (usually ``os.environ``)."""
        values = cls._values(environment, VARIABLES)
        own = {
            "label_studio_url": values["LABEL_STUDIO_URL"].strip().rstrip("/"),
            "label_studio_token": values["LABEL_STUDIO_API_KEY"].strip(),
            "label_studio_names": values["FCFI_LABEL_STUDIO_NAMES"],
            "output": values["FCFI_OUTPUT"],
            "background_label": values["FCFI_BACKGROUND_LABEL"],
            "background_bytes": int(values["FCFI_BACKGROUND_MEGABYTES"] * MEGABYTE),
            "polygon_tolerance": values["FCFI_POLYGON_TOLERANCE"],
            "polygon_points": values["FCFI_POLYGON_POINTS"],
            "finish": finish_of(values, "FCFI_LABEL_STUDIO_"),
            "exclusive": bool(values["FCFI_LABEL_STUDIO_EXCLUSIVE"]),
            "local_files_root": values["FCFI_LOCAL_FILES_ROOT"],
        }
        return cls(**{**cls._fields(values), **own})


def label_studio_origin(url: str) -> SplitResult:
    """Return the parts of Label Studio's address; raises SettingsError for anything but http(s)://host."""
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise SettingsError(
                "LABEL_STUDIO_URL holds a user name or a password; write the address without, and an access "
                "token into LABEL_STUDIO_API_KEY."
            )
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


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Return ``value`` if it is a JSON list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()
