"""``fcfi doctor label-studio``: whether Label Studio and this backend can work together.

Every step looks at one thing and says what to do about it. The last one is real: a temporary project with
one image, connected to the backend, gets one click through Label Studio, and is deleted again.
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fcfi_core.cli.doctor import Finding
from fcfi_core.errors import DataError, FcfiError, SettingsError
from label_studio_backend.connection import PRIVATE, connect, connections, explained, health
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.labelling_advice import examine as examine_config
from label_studio_backend.labelling_templates import labelling_config
from label_studio_backend.settings import Settings

HELP = "whether Label Studio and the backend reach each other, the token, a labelling config, one real click"

_WIDTH, _HEIGHT = 320, 240


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi doctor label-studio``."""
    parser.add_argument("--url", help="Label Studio's address (LABEL_STUDIO_URL)")
    parser.add_argument("--token", help="access token (better: LABEL_STUDIO_API_KEY)")
    parser.add_argument(
        "--backend", default="http://localhost:9090", help="our address as Label Studio reaches it"
    )
    parser.add_argument("--basic-auth", metavar="USER:PASSWORD", help="what the backend asks for, if it does")
    parser.add_argument(
        "--project", type=int, help="look at this project: its labelling config, its connection"
    )
    parser.add_argument("--config", type=Path, help="look at the labelling config in this file")
    parser.add_argument(
        "--no-click", action="store_true", help="do not make a temporary project for a real click"
    )


def examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found; a step that fails does not keep the independent ones from being tried."""
    settings = Settings.from_environment(os.environ)
    if arguments.config:
        yield from _config(_text(arguments.config), settings.background_label)
    reachable = True
    for finding in _backend(arguments):
        reachable = reachable and finding.good
        yield finding
    try:
        server = LabelStudio.from_settings(settings, url=arguments.url, token=arguments.token)
        release = server.get("/api/version").get("release", "of unknown version")
        yield Finding("Label Studio", f"{release} at {server.url}")
        yield Finding("token", f"{server.token_kind}, of {server.who_am_i()}")
    except FcfiError as error:
        yield Finding("Label Studio", str(error), good=False)
        return
    if arguments.project:
        yield from _attempt("project", lambda: _project(server, arguments, settings))
    if not arguments.no_click:
        yield from _attempt("a real click", lambda: _click(server, arguments))


def _attempt(topic: str, step: Any) -> Iterator[Finding]:
    try:
        yield from step()
    except FcfiError as error:
        yield Finding(topic, str(error), good=False)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{str(file)!r} cannot be read ({error}).") from None


def _config(text: str, background: str) -> Iterator[Finding]:
    remarks, corrected = examine_config(text, background)
    for remark in remarks:
        yield Finding("labelling config", remark.text, remark.good)
    if corrected:
        yield Finding("labelling config", f"a config that works, to paste:\n{corrected}")


def _project(server: LabelStudio, arguments: argparse.Namespace, settings: Settings) -> Iterator[Finding]:
    """Look at the labelling config of a project, and at the models connected to it."""
    number = arguments.project
    project = server.get(f"/api/projects/{number}")
    yield from _config(project["label_config"], settings.background_label)
    models = connections(server, number)
    ours = [model for model in models if str(model.get("url")).rstrip("/") == arguments.backend.rstrip("/")]
    if not models:
        yield Finding(
            "connection",
            f"no model is connected to project {number}: Settings > Model > Connect Model, with "
            f"{arguments.backend} and interactive preannotations on",
            good=False,
        )
    elif not ours:
        named = ", ".join(str(model.get("url")) for model in models)
        yield Finding(
            "connection",
            f"project {number} asks {named}; if that is not this backend, connect {arguments.backend}",
        )
    for model in ours or models:
        yield from _connection(model)


def _connection(model: Mapping[str, Any]) -> Iterator[Finding]:
    named = f"{model.get('title') or 'the model'} at {model.get('url')}"
    if not model.get("is_interactive"):
        yield Finding(
            "connection",
            f"{named} is not asked while annotating: switch on Interactive preannotations (Settings > Model)",
            good=False,
        )
    if model.get("state") in ("DI", "ER"):
        said = str(model.get("error_message") or model.get("readable_state") or model["state"]).strip()
        why = f"{said.splitlines()[-1][:200] if said else ''} {explained(said)}".strip()
        yield Finding("connection", f"{named} is not connected: {why}", good=False)
    elif model.get("is_interactive"):
        yield Finding("connection", f"{named} is asked at every click")


def _backend(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Look at the backend from here, and at how its address looks to Label Studio."""
    try:
        found = health(arguments.backend, arguments.basic_auth or "")
    except FcfiError as error:
        yield Finding("backend", str(error), good=False)
        return
    yield Finding("backend", f"{found.version} answers at {arguments.backend}")
    if found.private_address:
        yield Finding(
            "backend's address",
            f"is private ({found.private_address}): Label Studio must have been started with {PRIVATE}",
        )


def _click(server: LabelStudio, arguments: argparse.Namespace) -> Iterator[Finding]:
    """Click once through Label Studio, in a project that is deleted again."""
    config = labelling_config(["object"])
    project = server.post("/api/projects", {"title": "fcfi doctor (temporary)", "label_config": config})["id"]
    try:
        server.upload(project, [("doctor.png", _picture())])
        model = connect(server, project, arguments.backend, arguments.basic_auth or "")
        yield Finding("Label Studio to backend", "connected")
        tasks = server.get(f"/api/tasks?project={project}")
        task = (tasks["tasks"] if isinstance(tasks, dict) else tasks)[0]["id"]
        answer = server.post(f"/api/ml/{model}/interactive-annotating", {"task": task, "context": _context()})
        regions = (answer.get("data") or {}).get("result") or []
        if not regions:
            reason = str(answer.get("errors") or "it gave no region")[:300]
            raise DataError(f"the backend did not answer a click: {reason} (the backend's log says more).")
        yield Finding(
            "a real click", f"gave {len(regions)} region(s): Label Studio and the backend work together"
        )
    finally:
        server.ask("DELETE", f"/api/projects/{project}")


def _context() -> dict[str, Any]:
    """Return the context of one click on the middle of :func:`_picture`, as the editor sends it."""
    click = {
        "id": "fcfidoctor",
        "to_name": "image",
        "origin": "manual",
        "original_width": _WIDTH,
        "original_height": _HEIGHT,
        "image_rotation": 0,
        "is_positive": True,
        "value": {"x": 50, "y": 50, "width": 0.3, "labels": ["object"]},
    }
    tags = (("keypoint", "click"), ("labels", "label"))
    return {"result": [{**click, "type": kind, "from_name": name} for kind, name in tags]}


def _picture() -> bytes:
    """Return a PNG with a bright disk in its middle."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_WIDTH, _HEIGHT), (40, 60, 80))
    middle = (_WIDTH / 2 - 60, _HEIGHT / 2 - 60, _WIDTH / 2 + 60, _HEIGHT / 2 + 60)
    ImageDraw.Draw(picture).ellipse(middle, fill=(225, 190, 60))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
