"""``fcfi rank``: which image should a person look at next?"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core import outputs
from fcfi_core.allowance import MEGABYTE
from fcfi_core.cli._common import add_images_argument, add_model_arguments, core_settings
from fcfi_core.cli._places import add_place_arguments, for_workers, place_of, predictor_maker, whole_paths
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.stores import Stored, named

if TYPE_CHECKING:
    from fcfi_core.pipelines.prompts import PromptSource
    from fcfi_core.pipelines.ranking import Batch, Need

HELP = "put images in order of need, by the model's own doubt"

_EPILOG = """examples:
  fcfi rank boxes.json --images photos --out ranking.csv
  fcfi rank boxes.json --images photos --out ranking.csv --batch 50
  fcfi rank boxes.json --images /shared/photos --out ranking.csv --cluster ray://head:10001

SOURCE is prompts as `fcfi annotate` takes them (boxes, clicks, drafts), or a folder of photos, of which the
order says little. The table has a row for each image, the neediest first: rank, image, id (the source's own
number), need (0 to 1), objects, least (lowest confidence), error. Images that cannot be judged come last,
with the reason."""

WITHOUT_PROMPTS = (
    "no prompts: the model is asked at nine places of each photo, and such an order was hardly better than "
    "chance where it was measured; boxes or drafts make it worth something"
)

_COLUMNS = ("rank", "image", "id", "need", "objects", "least", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi rank``."""
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="SOURCE", type=named, help="photos, or prompts on them")
    add_images_argument(parser)
    parser.add_argument("--out", metavar="FILE.csv", type=Path, required=True, help="the table")
    parser.add_argument("--json", metavar="F", type=Path, help="also as JSON; - for standard output")
    parser.add_argument(
        "--batch",
        metavar="N",
        type=int,
        help="also put batches of N consecutive images in order, as the jobs of a task are",
    )
    add_place_arguments(parser, "CPUs / threads, 2 beside a GPU")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rank, write the table, and say what comes first. Exit code 1: some image cannot be judged."""
    from fcfi_core.pipelines import ranking
    from fcfi_core.predictor import Predictor

    if arguments.batch is not None and arguments.batch < 1:
        raise SettingsError(f"--batch is {arguments.batch}; give 1 or more images.")
    whole_paths(arguments, "source", "images")
    inputs = [arguments.source, arguments.images]
    here = [path for path in inputs if isinstance(path, Path)]
    outputs.require_writable(arguments.out, "--out", (".csv",), here)
    outputs.require_writable(arguments.json, "--json", outputs.JSON, [*here, arguments.out])
    values = for_workers(core_settings(arguments))
    source = _source(arguments, values)
    if not source.categories:
        outputs.say(WITHOUT_PROMPTS, error=True)
    place = place_of(arguments, values, read=inputs)
    predictor = Predictor.from_settings(values)
    found = ranking.needs(
        predictor,
        source,
        place=place,
        make_predictor=predictor_maker(values, place),
        progress=not arguments.quiet,
    )
    ordered = ranking.by_need(found)
    jobs = ranking.batches(found, arguments.batch) if arguments.batch else []
    with outputs.replaced(arguments.out, advice="choose another --out") as file:
        table = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(_row(rank, one) for rank, one in enumerate(ordered, start=1))
    if arguments.json:
        content = {
            "model": predictor.model.name,
            "version": predictor.model.version,
            "images": [_fields(one) for one in ordered],
            "batches": [_fields(one) for one in jobs],
        }
        text = json.dumps(content, allow_nan=False).encode() + b"\n"
        outputs.write(arguments.json, text, "choose another --json")
    failed = [one for one in ordered if one.error]
    if str(arguments.json) != "-":
        outputs.say(*_told(arguments.out, ordered, jobs))
    if failed:
        outputs.say(
            f"{len(failed)} cannot be judged (the first: {failed[0].image}: {failed[0].error})", error=True
        )
    return 1 if failed else 0


def _source(arguments: argparse.Namespace, values: Mapping[str, Any]) -> PromptSource:
    from fcfi_core.pipelines.ranking import photos_without_prompts
    from fcfi_core.pipelines.sources import open_source

    most = int(values["FCFI_MAX_MEGAPIXELS"] * MEGABYTE)
    source: Path | Stored = arguments.source
    if isinstance(source, Stored) and not source.suffix:
        return photos_without_prompts(source, most)
    try:
        return open_source(source, arguments.images, most)
    except DataError:
        if arguments.images is not None or isinstance(source, Stored) or not source.is_dir():
            raise
    return photos_without_prompts(source, most)


def _row(rank: int, one: Need) -> dict[str, object]:
    def shown(value: float) -> str:
        return f"{value:.4f}" if math.isfinite(value) else ""

    return {
        **asdict(one),
        "rank": rank,
        "id": "" if one.id is None else one.id,
        "need": shown(one.need),
        "least": shown(one.least),
    }


def _fields(one: Need | Batch) -> dict[str, object]:
    """Return the fields as JSON can hold them."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(one).items()
    }


def _told(out: Path, ordered: list[Need], jobs: list[Batch]) -> list[str]:
    lines = [f"{out}: {len(ordered)} images, the neediest first"]
    lines += [f"  {one.need:.3f}  {one.image}" for one in ordered[:5] if not one.error]
    if jobs:
        lines.append("batches, the neediest first:")
        lines += [f"  {one.need:.3f}  {one.number} (images {one.first} to {one.last})" for one in jobs[:10]]
    return lines
