"""What this adapter adds to ``fcfi``."""

from __future__ import annotations

from fcfi_core.plugins import Plugin

PLUGIN = Plugin(
    title="CVAT",
    commands={"cvat": "cvat_function.cli"},
    doctors={"cvat": "cvat_function.doctor"},
    settings={"cvat": "cvat_function.settings:VARIABLES"},
    readers={"cvat": "cvat_function.exports:read_export"},
    tracks={"cvat": "cvat_function.tracks:write"},
    formats={"cvat": "cvat_function.formats:mask"},
)
