"""``fcfi cvat upgrade-task``: rectangles, polygons and points of a task become masks."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cvat_function import client
from cvat_function.settings import Settings
from cvat_function.upgrade import prompts
from cvat_function.upgrade.outcomes import Outcomes
from cvat_function.upgrade.run import Options, Upgraded, pending, upgrade
from cvat_function.upgrade.server import Work
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
    client.add_arguments(parser)
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
    server = client.connect(arguments)
    if remark := client.other_version(server):
        outputs.say(f"note: {remark}", error=True)
    work = Work(server, task=arguments.task, job=arguments.job)
    options = Options(
        kind=arguments.to,
        only_labels=_known(frozenset(arguments.only_label), work),
        from_types=frozenset(arguments.from_types or ("rectangle", "points")),
        keep=arguments.keep_boxes,
        dry_run=arguments.dry_run,
    )
    with _outcomes(arguments, work) as outcomes:
        earlier = outcomes.upgraded
        tiles = _work_through(work, settings, options, outcomes)
        if tiles:
            pictures.save(tiles, arguments.sheet or Path(f"upgrade-{work.name}.png"))
        _report(arguments, work, options, outcomes, earlier)
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


def _report(
    arguments: Namespace, work: Work, options: Options, outcomes: Outcomes, earlier: frozenset[int]
) -> None:
    """Print what was done and what to look at.

    Args:
        earlier: ids of the shapes that runs before this one have upgraded.
    """
    review = outcomes.to_review(arguments.review_below, arguments.review_fit)
    upgraded = len(outcomes.upgraded)
    if arguments.json:
        summary: dict[str, Any] = {
            "upgraded": upgraded,
            "upgraded_now": len(outcomes.upgraded - earlier),
            "written": not arguments.dry_run,
            "tracks_left_alone": work.tracks,
            "review": [{**asdict(outcome), "page": work.page(outcome.frame)} for outcome in review],
        }
        print(json.dumps(summary, indent=2))
        return
    outputs.say(_summary(arguments, work, options, outcomes, earlier))
    if work.tracks:
        outputs.say(f"{work.tracks} tracks are left as they are: they belong to the tracker.")
    if review:
        outputs.say(f"{len(review)} to review, worst first:")
    for outcome in review:
        what = outcome.problem or f"confidence {outcome.confidence:.2f}, fits its shape {outcome.fit:.2f}"
        outputs.say(f"  {outcome.label}, shape {outcome.shape}: {what}  {work.page(outcome.frame)}")


def _summary(
    arguments: Namespace, work: Work, options: Options, outcomes: Outcomes, earlier: frozenset[int]
) -> str:
    """Return the sentence that says how much was done, or why nothing was."""
    now = len(outcomes.upgraded - earlier)
    if arguments.dry_run and now:
        return f"{now} shapes would be upgraded."
    if now:
        before = f" ({len(earlier)} by earlier runs)" if earlier else ""
        return f"{now} shapes upgraded{before}."
    if outcomes.problems:
        return "No shape could be upgraded."
    if earlier:
        return f"Nothing was left to do: earlier runs upgraded {len(earlier)} shapes of {work.name}."
    kinds = Counter(shape["type"] for shape in work.shapes)
    there = ", ".join(f"{count} of type {kind}" for kind, count in sorted(kinds.items()))
    wanted = " or ".join(sorted(options.from_types))
    of_label = f" with the label {' or '.join(sorted(options.only_labels))}" if options.only_labels else ""
    return f"Nothing to do: {work.name} has no shape of type {wanted}{of_label} (it has {there or 'none'})."
