"""``fcfi cvat upgrade-task``: rectangles, polygons and points of a task become masks."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cvat_function.settings import Settings
from cvat_function.upgrade import prompts
from cvat_function.upgrade.outcomes import Outcomes
from cvat_function.upgrade.run import Options, Upgraded, pending, upgrade
from cvat_function.upgrade.server import Work, connect
from fcfi_core import outputs, pictures
from fcfi_core.errors import SettingsError
from fcfi_core.images import LoadedImage
from fcfi_core.masks import box_of
from fcfi_core.pipelines.journal import Journal

HELP = "turn rectangles, polygons or points of a task or job into masks"
DESCRIPTION = (
    "Turn rectangles and points (or polygons) of a task or job into masks or polygons, keeping label, "
    "attributes, group, occlusion and layer. Log in with --user, or with a personal access token in "
    "the environment variable CVAT_ACCESS_TOKEN. An interrupted run goes on where it stopped."
)
MOST_TILES = 120


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", type=int, metavar="ID", help="upgrade this task")
    what.add_argument("--job", type=int, metavar="ID", help="upgrade this job only")
    parser.add_argument("--server-host", default="http://localhost", metavar="URL", help="where CVAT is")
    parser.add_argument("--server-port", type=int, metavar="PORT", help="its port, unless the URL has it")
    parser.add_argument("--user", metavar="USER[:PASS]", help="log in so; PASS may be a variable")
    parser.add_argument("--organization", metavar="SLUG", help="the organisation that owns the task")
    parser.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    parser.add_argument(
        "--from",
        dest="from_types",
        action="append",
        choices=prompts.CONVERTED,
        help="type of shape to upgrade; may be repeated (default: rectangle and points)",
    )
    parser.add_argument("--to", choices=("mask", "polygon"), default="mask", help="type of the new shapes")
    parser.add_argument(
        "--only-label", action="append", default=[], metavar="NAME", help="only this label; may be repeated"
    )
    parser.add_argument("--keep-boxes", action="store_true", help="leave the old shapes beside the new ones")
    parser.add_argument("--dry-run", action="store_true", help="write nothing; draw a picture sheet")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="picture sheet of a dry run (default: upgrade-task-ID.png)"
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="what has been done, and where to go on (default: upgrade-task-ID.jsonl)",
    )
    parser.add_argument(
        "--review-below", type=float, default=0.8, metavar="CONFIDENCE", help="report masks with less (0.8)"
    )
    parser.add_argument(
        "--review-fit",
        type=float,
        default=0.5,
        metavar="IOU",
        help="report a worse fit to the shape (0.5)",
    )
    parser.add_argument("--model", help="catalogued model or checkpoint file (default: FCFI_MODEL)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: Namespace) -> int:
    """Upgrade, report, and return 0; 1 if some shapes could not be upgraded."""
    for name in ("review_below", "review_fit"):
        if not 0 <= getattr(arguments, name) <= 1:
            raise SettingsError(f"--{name.replace('_', '-')} is {getattr(arguments, name)}; give 0 to 1.")
    settings = Settings.from_environment(os.environ)
    if arguments.model:
        settings = replace(settings, model=arguments.model)
    outputs.require_writable(arguments.sheet, "--sheet", outputs.PICTURES, [arguments.journal])
    work = Work(connect(arguments), task=arguments.task, job=arguments.job)
    options = Options(
        kind=arguments.to,
        only_labels=_known(frozenset(arguments.only_label), work),
        from_types=frozenset(arguments.from_types or ("rectangle", "points")),
        keep=arguments.keep_boxes,
        dry_run=arguments.dry_run,
    )
    with _outcomes(arguments, work) as outcomes:
        tiles = _work_through(work, settings, options, outcomes)
        if tiles:
            pictures.save(tiles, arguments.sheet or Path(f"upgrade-{work.name}.png"))
        _report(arguments, work, outcomes)
        return 1 if outcomes.problems else 0


def _outcomes(arguments: Namespace, work: Work) -> Outcomes:
    """Return the outcomes so far; a dry run begins and ends without any."""
    if arguments.dry_run:
        return Outcomes()
    path = arguments.journal or Path(f"upgrade-{work.name}.jsonl")
    about = {
        "server": arguments.server_host,
        "work": work.name,
        "to": arguments.to,
        "keep": arguments.keep_boxes,
    }
    return Outcomes(Journal(path, about))


def _known(names: frozenset[str], work: Work) -> frozenset[str]:
    known = {label.name for label in work.labels.values()}
    if names - known:
        missing = min(names - known)
        raise SettingsError(
            f"--only-label {missing} is no label of {work.name}; it has {', '.join(sorted(known))}."
        )
    return names


def _work_through(
    work: Work, settings: Settings, options: Options, outcomes: Outcomes
) -> list[pictures.Tile]:
    """Upgrade everything behind a progress bar; return the tiles of a dry run."""
    total = sum(map(len, pending(work, options, outcomes).values()))
    tiles: list[pictures.Tile] = []
    if not total:
        return tiles
    predictor = settings.open_predictor()
    with tqdm(total=total, unit="shape", file=sys.stderr) as bar:
        for _, image, found in upgrade(work, settings, predictor, options, outcomes):
            if options.dry_run and image is not None:
                drawn = [_tile(image, one) for one in found if one.mask is not None]
                tiles += drawn[: MOST_TILES - len(tiles)]
            bar.update(len(found))
    return tiles


def _tile(image: LoadedImage, one: Upgraded) -> pictures.Tile:
    assert one.mask is not None, "only shapes with a mask are drawn"
    area = box_of(one.mask) or prompts.read(one.shape, image.width, image.height).box
    assert area is not None, "an upgraded shape has a mask"
    caption = f"#{one.outcome.frame} {one.outcome.label} {one.outcome.confidence:.2f}"
    return pictures.tile(image, one.mask, area, caption)


def _report(arguments: Namespace, work: Work, outcomes: Outcomes) -> None:
    """Print what was done and what to look at."""
    review = outcomes.to_review(arguments.review_below, arguments.review_fit)
    upgraded = len(outcomes.upgraded)
    if arguments.json:
        summary: dict[str, Any] = {
            "upgraded": upgraded,
            "written": not arguments.dry_run,
            "tracks_left_alone": work.tracks,
            "review": [{**asdict(outcome), "page": work.page(outcome.frame)} for outcome in review],
        }
        print(json.dumps(summary, indent=2))
        return
    print(f"{upgraded} shapes {'would be upgraded' if arguments.dry_run else 'upgraded'}.")
    if work.tracks:
        print(f"{work.tracks} tracks are left as they are: they belong to the tracker.")
    if review:
        print(f"{len(review)} to review, worst first:")
    for outcome in review:
        what = outcome.problem or f"confidence {outcome.confidence:.2f}, fits its shape {outcome.fit:.2f}"
        print(f"  {outcome.label}, shape {outcome.shape}: {what}  {work.page(outcome.frame)}")
