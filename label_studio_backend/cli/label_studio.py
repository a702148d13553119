"""``fcfi label-studio setup``: from nothing to clicking, in one command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from fcfi_core.errors import DataError, SettingsError
from fcfi_core.serving.settings import credentials
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.labelling_templates import labelling_config
from label_studio_backend.settings import Settings

HELP = "prepare a Label Studio project: config, images, connected backend"

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_BATCH_FILES = 50
_BATCH_BYTES = 50_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi label-studio``."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    setup = actions.add_parser(
        "setup",
        help="create a project with a working config, import a folder of images, connect the backend",
        description="Create a project with a working config, import a folder of images, connect the backend.",
    )
    setup.add_argument(
        "images", type=Path, nargs="?", help="folder with images to import (none: an empty project)"
    )
    setup.add_argument("--url", help="Label Studio's address (LABEL_STUDIO_URL)")
    setup.add_argument("--token", help="access token (better: LABEL_STUDIO_API_KEY)")
    setup.add_argument(
        "--backend", default="http://localhost:9090", help="our address as Label Studio reaches it"
    )
    setup.add_argument("--basic-auth", metavar="USER:PASSWORD", help="what the backend asks for, if it does")
    setup.add_argument("--title", default="Segmentation by clicks", help="name of the project")
    setup.add_argument("--labels", default="object", help="classes, separated by commas")
    setup.add_argument(
        "--output", default="brush", choices=("brush", "polygon", "rectangle"), help="what masks become"
    )
    setup.add_argument(
        "--background", default="", help="a click label that means 'not this', beside Alt+click"
    )
    setup.add_argument("--boxes", action="store_true", help="offer boxes as prompts, beside clicks")
    setup.set_defaults(action=_setup)


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    code: int = arguments.action(arguments)
    return code


def _setup(arguments: argparse.Namespace) -> int:
    settings = Settings.from_environment(os.environ)
    url = arguments.url or settings.label_studio_url
    if not url:
        raise SettingsError("Label Studio's address is missing; give --url or set LABEL_STUDIO_URL.")
    server = LabelStudio(url, arguments.token or settings.label_studio_token)
    print(f"Label Studio at {server.url} knows us as {server.who_am_i()}")
    files = sorted(_images(arguments.images)) if arguments.images else []
    config = labelling_config(
        arguments.labels.split(","),
        shape=arguments.output,
        background=arguments.background,
        boxes=arguments.boxes,
    )
    project = server.post("/api/projects", {"title": arguments.title, "label_config": config})["id"]
    print(f"project {project}: {arguments.title}")
    _import(server, project, files)
    _connect(server, project, arguments)
    print(f"open {server.url}/projects/{project}/data and press Label All Tasks")
    print("then: Auto-Annotation on, coloured tool, a label's key, click; Alt+click takes away; tick to keep")
    return 0


def _images(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise DataError(f"{str(folder)!r} is not a folder; give one with images.")
    found = [file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file()]
    if not found:
        raise DataError(f"{str(folder)!r} holds no images ({', '.join(_SUFFIXES)}); give another folder.")
    yield from found


def _import(server: LabelStudio, project: int, files: list[Path]) -> None:
    batch: list[tuple[str, bytes]] = []
    imported = 0
    for file in tqdm(files, desc="importing", unit="image", disable=None):
        batch.append((file.name, file.read_bytes()))
        if len(batch) == _BATCH_FILES or sum(len(content) for _, content in batch) > _BATCH_BYTES:
            imported += server.upload(project, batch)
            batch = []
    if batch:
        imported += server.upload(project, batch)
    if files:
        print(f"{imported} image(s) imported")


def _connect(server: LabelStudio, project: int, arguments: argparse.Namespace) -> None:
    """Connect the backend, and explain the refusal that a private address meets first."""
    body = {"url": arguments.backend, "project": project, "title": "FCFI", "is_interactive": True}
    if arguments.basic_auth:
        user, password = credentials(arguments.basic_auth)
        body |= {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
    try:
        server.post("/api/ml", body)
    except DataError as error:
        hint = explained(str(error))
        raise DataError(f"{error} {hint}".strip()) from None
    print(f"backend {arguments.backend} connected")


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
