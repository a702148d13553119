"""What this adapter adds to ``fcfi``."""

from __future__ import annotations

from fcfi_core.plugins import Plugin

PLUGIN = Plugin(
    title="Label Studio",
    commands={"label-studio": "label_studio_backend.cli.label_studio"},
    doctors={"label-studio": "label_studio_backend.doctor"},
    settings={"label-studio": "label_studio_backend.settings:VARIABLES"},
    readers={"label-studio": "label_studio_backend.exports:read_export"},
    tracks={"label-studio": "label_studio_backend.tracks:write"},
    formats={"label-studio": "label_studio_backend.formats:brush"},
    routes={"label-studio": "label_studio_backend.server:routes"},
)
