"""``fcfi annotate``: many images with prompts become masks."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fcfi_core import outputs
from fcfi_core.allowance import MEGABYTE
from fcfi_core.cli._common import (
    add_images_argument,
    add_mask_arguments,
    add_model_arguments,
    core_settings,
    exports,
    print_json,
)
from fcfi_core.cli._places import add_place_arguments, for_workers, place_of, predictor_maker, whole_paths
from fcfi_core.errors import SettingsError
from fcfi_core.masks.finish import RAW
from fcfi_core.settings import finish_of
from fcfi_core.stores import Stored, named

if TYPE_CHECKING:
    from fcfi_core.pipelines.annotate import Options
    from fcfi_core.pipelines.review import Summary

HELP = "turn prompts on many images into masks, resumable"

_EPILOG = """examples:
  fcfi annotate boxes.json --images photos --out masks
  fcfi annotate clicks.csv --out masks --format polygon --png
  fcfi annotate VOC/Annotations --out masks --workers 4
  fcfi annotate boxes.json --images s3://bucket/photos --out masks
  fcfi annotate boxes.json --images /shared/photos --out masks --cluster ray://head:10001

SOURCE is COCO JSON (bbox, polygons, run-length codes, keypoints, clicks), CSV (image, x, y, positive,
object, label, x1, y1, x2, y2), JSON lines (image, clicks, box, mask, object, label), a VOC XML or
LabelMe JSON file or a folder of them, a YOLO folder or its YAML file, Datumaro JSON, a folder with
images/ and masks/, or {exports}.

The folder OUT receives annotations.json (COCO), report.json and review.html (errors, and objects of low
confidence), masks/*.png with --png, and journal.jsonl: run the same command again to go on after an
interruption. Exit code 1: done, but something failed; see report.json."""


PANOPTIC = "panoptic"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi annotate``."""
    parser.epilog = _EPILOG.format(exports=exports())
    parser.add_argument("source", metavar="SOURCE", type=named, help="prompts, see below")
    add_images_argument(parser)
    parser.add_argument("--out", metavar="DIR", type=named, required=True, help="folder for the results")
    parser.add_argument(
        "--use",
        choices=("auto", "clicks", "box", "mask"),
        default="auto",
        help="use one kind of prompt only, where there are several (default: all there is)",
    )
    parser.add_argument(
        "--format",
        choices=("rle", "polygon", PANOPTIC),
        default="rle",
        help="of masks in the COCO file; panoptic: rle with --panoptic (default: %(default)s)",
    )
    add_mask_arguments(parser)
    parser.add_argument("--png", action="store_true", help="also write masks/NAME.png with object numbers")
    parser.add_argument(
        "--exclusive",
        action="store_true",
        help="objects of an image do not overlap: a disputed pixel goes to the likeliest, or to "
        "what lies within another",
    )
    parser.add_argument(
        "--panoptic",
        action="store_true",
        help="also write panoptic.json and panoptic/NAME.png (COCO's panoptic form; implies --exclusive)",
    )
    parser.add_argument(
        "--review-below",
        metavar="C",
        type=float,
        default=0.7,
        help="list objects of lower confidence for review (default: %(default)s)",
    )
    add_place_arguments(parser, "CPUs / threads, 2 beside a GPU")
    parser.add_argument("--restart", action="store_true", help="forget what OUT holds of an earlier run")
    parser.add_argument("--retry-errors", action="store_true", help="do failed images again")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Annotate, write the outputs, and say what was done."""
    from fcfi_core.pipelines import review
    from fcfi_core.pipelines.annotate import JOURNAL, annotate
    from fcfi_core.pipelines.outputs import write_coco, write_id_masks, write_panoptic
    from fcfi_core.pipelines.sources import open_source
    from fcfi_core.predictor import Predictor

    if not 0 <= arguments.review_below <= 1:
        raise SettingsError(f"--review-below is {arguments.review_below}; give a confidence from 0 to 1.")
    options = _options(arguments)
    _require_own_folder(arguments)
    whole_paths(arguments, "source", "images")
    values = for_workers(core_settings(arguments))
    source = open_source(arguments.source, arguments.images, int(values["FCFI_MAX_MEGAPIXELS"] * MEGABYTE))
    place = place_of(arguments, values, read=[arguments.source, arguments.images])
    predictor = Predictor.from_settings(values)
    out: Path = arguments.out
    if arguments.restart:
        (out / JOURNAL).unlink(missing_ok=True)
    with annotate(
        predictor,
        source,
        out,
        options=options,
        place=place,
        make_predictor=predictor_maker(values, place),
        retry_errors=arguments.retry_errors,
        progress=not arguments.quiet,
    ) as journal:
        summary = review.summarise(journal, arguments.review_below, source.left_out)
        write_coco(journal, source, out / "annotations.json")
        if arguments.png:
            write_id_masks(journal, out / "masks")
        if _is_panoptic(arguments):
            write_panoptic(journal, source, out)
        review.write_review(journal, source, summary, out / "review.html")
    with outputs.replaced(out / "report.json") as file:
        json.dump(summary.to_dict(), file, indent=1)
    if arguments.json:
        print_json({"out": str(out), **summary.to_dict()})
    else:
        outputs.say(*_told(summary, out))
    return 1 if summary.errors else 0


def _require_own_folder(arguments: argparse.Namespace) -> None:
    """Raise SettingsError if OUT holds something that no run of ours left there, or lies in SOURCE."""
    from fcfi_core.pipelines.annotate import JOURNAL
    from fcfi_core.pipelines.outputs import WRITTEN

    out, source = arguments.out, arguments.source
    if isinstance(out, Stored):
        raise SettingsError(
            f"--out is {str(out)!r}; give a folder of this machine, where the journal can grow, and copy it "
            "into the store when the run is done."
        )
    if isinstance(source, Stored):
        return
    if source.is_dir() and outputs.real(out).is_relative_to(outputs.real(source)):
        raise SettingsError(
            f"--out is {str(out)!r}, which lies in SOURCE ({str(source)!r}), where results would become "
            "prompts of the next run; choose another --out."
        )
    outputs.require_apart((out / name for name in (JOURNAL, *WRITTEN)), [source])
    found = [name for name in WRITTEN if os.path.lexists(out / name)]
    if found and not (out / JOURNAL).is_file():
        raise SettingsError(
            f"--out is {str(out)!r}, where {', '.join(found)} would be replaced, which no run of `fcfi "
            "annotate` left there; choose another --out, or move them away."
        )


def _is_panoptic(arguments: argparse.Namespace) -> bool:
    """Return whether COCO's panoptic form is wanted, whichever way it was asked for."""
    return bool(arguments.panoptic or arguments.format == PANOPTIC)


def _options(arguments: argparse.Namespace) -> Options:
    from fcfi_core.click_log import ClickLog
    from fcfi_core.pipelines.annotate import Options

    values = core_settings(arguments)
    return Options(
        use=arguments.use,
        segmentation="rle" if arguments.format == PANOPTIC else arguments.format,
        tolerance=arguments.tolerance,
        max_points=arguments.max_points,
        finish=RAW if arguments.raw else finish_of(values),
        exclusive=arguments.exclusive or _is_panoptic(arguments),
        click_log=ClickLog.from_settings(values),
    )


def _told(summary: Summary, out: Path) -> list[str]:
    from fcfi_core.datasets.left_out import listed

    lines = [f"{out / 'annotations.json'}: {summary.objects} objects in {summary.images} images"]
    if summary.left_out:
        lines.append(f"left out: {listed(summary.left_out)}")
    if summary.doubts:
        lines.append(f"{len(summary.doubts)} objects of low confidence: see {out / 'review.html'}")
    if summary.errors:
        image, name, what = summary.errors[0]
        place = image if name is None else f"{image}, object {name}"
        lines.append(
            f"{len(summary.errors)} failed (the first: {place}: {what}); all are in {out / 'report.json'}"
        )
    return lines
