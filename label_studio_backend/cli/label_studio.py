"""``fcfi label-studio setup``: from nothing to clicking, in one command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from fcfi_core.datasets.left_out import listed
from fcfi_core.datasets.photos import is_photo
from fcfi_core.errors import DataError
from fcfi_core.outputs import require_apart, say
from label_studio_backend import conversion, projects
from label_studio_backend import priorities as priority_scores
from label_studio_backend.connection import connect, health
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.labelling_templates import labelling_config
from label_studio_backend.settings import Settings

HELP = "prepare a Label Studio project: config, images, connected backend"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi label-studio``."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    setup = actions.add_parser(
        "setup",
        help="create a project with a working config, import a folder of images, connect the backend",
        description="Create a project with a working config, import a folder of images, connect the backend. "
        "What is there already is used, so it can be repeated, after a failure or with more images.",
    )
    setup.add_argument(
        "images", type=Path, nargs="?", help="folder with images to import (none: an empty project)"
    )
    setup.add_argument("--url", help="Label Studio's address (LABEL_STUDIO_URL)")
    setup.add_argument("--token", help="access token (better: LABEL_STUDIO_API_KEY)")
    setup.add_argument(
        "--backend", default="http://localhost:9090", help="our address as Label Studio reaches it"
    )
    setup.add_argument(
        "--unchecked",
        action="store_true",
        help="do not ask the backend first, where only Label Studio reaches it",
    )
    setup.add_argument("--basic-auth", metavar="USER:PASSWORD", help="what the backend asks for, if it does")
    setup.add_argument("--title", default="Segmentation by clicks", help="name of the project")
    setup.add_argument("--labels", default="object", help="classes, separated by commas")
    setup.add_argument(
        "--output",
        default="brush",
        choices=("brush", "bitmask", "polygon", "rectangle"),
        help="what masks become",
    )
    setup.add_argument(
        "--background", default="", help="a click label that means 'not this', beside Alt+click"
    )
    setup.add_argument("--boxes", action="store_true", help="offer boxes as prompts, beside clicks")
    setup.set_defaults(action=_setup)
    priorities = actions.add_parser(
        "priorities",
        help="give tasks scores, so that Label Studio hands out the neediest first",
        description="Give the tasks of a project prediction scores that follow from a table of `fcfi rank`, "
        "low where a person is needed most. In the data manager order by *Prediction score*, or choose "
        "*Uncertainty sampling* in the project's general settings.",
    )
    priorities.add_argument("table", metavar="TABLE.csv", type=Path, help="of `fcfi rank`")
    priorities.add_argument("--project", type=int, required=True, help="number of the project")
    priorities.add_argument("--url", help="Label Studio's address (LABEL_STUDIO_URL)")
    priorities.add_argument("--token", help="access token (better: LABEL_STUDIO_API_KEY)")
    priorities.set_defaults(action=_priorities)
    export = actions.add_parser(
        "export",
        help="turn a JSON export into COCO, YOLO-seg, COCO panoptic or PNG label maps",
        description="Turn what Label Studio exports as JSON (Export > JSON) into what training needs: every "
        "brush, bitmask, polygon and rectangle region, whatever the labelling config, exact to the pixel.",
    )
    export.add_argument("export", type=Path, help="the JSON export")
    export.add_argument("--to", required=True, choices=tuple(conversion.FORMATS), help="the format to write")
    export.add_argument("--out", type=Path, required=True, help="folder to write to")
    export.set_defaults(action=_export)


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    code: int = arguments.action(arguments)
    return code


def _server(arguments: argparse.Namespace) -> LabelStudio:
    settings = Settings.from_environment(os.environ)
    return LabelStudio.from_settings(settings, url=arguments.url, token=arguments.token)


def _setup(arguments: argparse.Namespace) -> int:
    server = _server(arguments)
    config = labelling_config(
        arguments.labels.split(","),
        shape=arguments.output,
        background=arguments.background,
        boxes=arguments.boxes,
    )
    files = sorted(_images(arguments.images)) if arguments.images else []
    if not arguments.unchecked:
        found = health(arguments.backend, arguments.basic_auth or "")
        say(f"backend {found.version} answers at {arguments.backend}")
    say(f"Label Studio at {server.url} knows us as {server.who_am_i()}")
    project, new = projects.find_or_create(server, arguments.title, config)
    say(f"project {project}: {arguments.title}" + ("" if new else " (is there already)"))
    _import(server, project, files, new)
    connect(server, project, arguments.backend, arguments.basic_auth or "")
    say(f"backend {arguments.backend} connected")
    say(f"open {server.url}/projects/{project}/data and press Label All Tasks")
    say("then: Auto-Annotation on, key M (the smart tool), a label's key, click; Alt+click takes away;")
    say("tick to keep the mask, then Submit")
    return 0


def _priorities(arguments: argparse.Namespace) -> int:
    server = _server(arguments)
    ranked = priority_scores.read(arguments.table)
    server.who_am_i()
    sent = priority_scores.send(server, arguments.project, ranked)
    say(f"{sent.scored} task(s) of project {arguments.project} have a score; lowest first is neediest first")
    if sent.shown not in ("", priority_scores.MODEL_VERSION):
        say(
            f"the project sorts by predictions of {sent.shown!r}: choose "
            f"{priority_scores.MODEL_VERSION!r} under Settings > Annotation > Prelabeling"
        )
    if sent.unknown or sent.unclear:
        say(f"{sent.unknown} image(s) that no task holds, {sent.unclear} that several tasks hold, left out")
    return 0 if sent.scored else 1


def _export(arguments: argparse.Namespace) -> int:
    settings = Settings.from_environment(os.environ)
    annotated = conversion.read(arguments.export, settings.background_label)
    require_apart(conversion.outputs(arguments.to, annotated, arguments.out), [arguments.export])
    conversion.FORMATS[arguments.to](annotated, arguments.out)
    objects = sum(len(picture.objects) for picture in annotated.pictures)
    say(f"{objects} object(s) on {len(annotated.pictures)} picture(s) written to {arguments.out}")
    if annotated.left_out:
        say(f"left out: {listed(annotated.left_out)}")
    return 0


def _images(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise DataError(f"{str(folder)!r} is not a folder; give one with images.")
    files = [file for file in folder.rglob("*") if is_photo(file) and file.is_file()]
    found = [file for file in files if file.suffix.lower() in projects.SHOWN]
    if not found:
        raise DataError(
            f"{str(folder)!r} holds no images ({', '.join(projects.SHOWN)}); give another folder."
        )
    if len(found) < len(files):
        kinds = ", ".join(sorted({file.suffix.lower() for file in files} - set(projects.SHOWN)))
        count = len(files) - len(found)
        say(f"left out: {count} image(s) of other kinds than Label Studio takes ({kinds})")
    yield from found


def _import(server: LabelStudio, project: int, files: list[Path], new: bool) -> None:
    wanted = files if new else projects.missing(server, project, files)
    if len(wanted) < len(files):
        say(f"{len(files) - len(wanted)} image(s) are there already")
    imported = 0
    with tqdm(total=len(wanted), desc="importing", unit="image", disable=None) as progress:
        for sent, made in projects.upload(server, project, wanted):
            imported += made
            progress.update(sent)
    if wanted:
        say(f"{imported} image(s) imported")
