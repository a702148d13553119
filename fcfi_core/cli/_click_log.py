"""``fcfi evaluate --log``: what a click log tells."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core import outputs
from fcfi_core.cli._common import core_settings, load_predictor
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.stores import Stored

if TYPE_CHECKING:
    from fcfi_core.click_log import Entry
    from fcfi_core.evaluation.click_logs import Habits, Replay
    from fcfi_core.predictor import Predictor


def run(arguments: argparse.Namespace) -> int:
    """Print what the log tells, and what the model makes of it if the photos are there."""
    from tqdm import tqdm

    from fcfi_core.click_log import read
    from fcfi_core.evaluation import click_logs

    if arguments.datasets:
        raise SettingsError("--log measures what was clicked, and DIR what would be; give one of them.")
    if arguments.workers is not None or arguments.cluster is not None:
        raise SettingsError(
            "a log is told and replayed here, by one process; leave out --workers and --cluster."
        )
    if isinstance(arguments.images, Stored):
        raise SettingsError("--images is an address; give a folder of this machine for --log.")
    inputs = [
        arguments.log,
        arguments.images,
        *(Path(one) for one in (arguments.model, arguments.against) if one),
    ]
    outputs.require_writable(arguments.json, "--json", outputs.JSON, inputs)
    log = read(arguments.log)
    entries = click_logs.joined(log.entries)
    rows = click_logs.habits(entries)
    report: dict[str, Any] = {
        "log": str(arguments.log),
        "objects": len(entries),
        "images": len({entry.image for entry in entries}),
        "first": entries[0].time,
        "last": entries[-1].time,
        "damaged_lines": log.damaged,
        "doors": [_finite(asdict(row)) for row in rows],
    }
    told = [_heading(report), *_table(rows)]
    if arguments.images is not None:
        predictor = load_predictor(arguments)
        reference = _reference(arguments, predictor, entries)

        def shown(some: Iterable[Entry]) -> Iterator[Entry]:
            yield from tqdm(some, unit="object", disable=arguments.quiet, dynamic_ncols=True)

        played = click_logs.replay(entries, arguments.images, predictor, reference, shown)
        report["replay"] = _replay(played, predictor, reference)
        told += _told(report["replay"])
    if arguments.json:
        outputs.write(
            arguments.json, json.dumps(report, allow_nan=False).encode() + b"\n", "choose another --json"
        )
    if str(arguments.json) != "-":
        outputs.say(*told)
    return 0


def _reference(
    arguments: argparse.Namespace, predictor: Predictor, entries: Iterable[Entry]
) -> Predictor | None:
    """Return the model to compare with: the one asked for, else the log's if it is at hand."""
    from fcfi_core.checkpoints.catalogue import CATALOGUE
    from fcfi_core.predictor import Predictor

    values = core_settings(arguments)
    if arguments.against:
        return Predictor.from_settings({**values, "FCFI_MODEL": arguments.against})
    digests = {entry.model["digest"] for entry in entries}
    for name, entry in CATALOGUE.items():
        if entry.sha256 in digests and entry.sha256 != predictor.model.digest and entry.path is not None:
            try:
                return Predictor.from_settings({**values, "FCFI_MODEL": name})
            except WeightsError:
                continue
    return predictor if predictor.model.digest in digests else None


def _replay(played: Replay, predictor: Predictor, reference: Predictor | None) -> dict[str, Any]:
    from fcfi_core.evaluation.click_logs import AGREED

    ious = sorted(one.iou for one in played.played if math.isfinite(one.iou))
    return {
        "model": predictor.model.name,
        "version": predictor.model.version,
        "against": None if reference is None else f"{reference.model.name} {reference.model.version}",
        "objects": len(played.played),
        "photos_missing_for": played.missing,
        "failed": list(played.failed),
        "same_mask": sum(one.same for one in played.played),
        "mean_iou": round(sum(ious) / len(ious), 4) if ious else None,
        "median_iou": round(ious[len(ious) // 2], 4) if ious else None,
        f"below_{AGREED:g}": sum(iou < AGREED for iou in ious) if ious else None,
        "each": [
            _finite({"file": str(one.file), "door": one.entry.door, "same": one.same, "iou": one.iou})
            for one in sorted(played.played, key=lambda one: (one.iou, str(one.file)))
        ],
    }


def _heading(report: Mapping[str, Any]) -> str:
    damaged = f" ({report['damaged_lines']} lines cannot be read)" if report["damaged_lines"] else ""
    return (
        f"{report['log']}: {report['objects']} objects in {report['images']} photos, "
        f"{report['first']} to {report['last']}{damaged}"
    )


def _table(rows: Iterable[Habits]) -> list[str]:
    head = (
        f"{'door':<22}{'objects':>8}{'clicks':>8}{'median':>8}{'most':>6}{'negative':>10}{'undone':>8}"
        f"{'s/object':>10}{'s/click':>9}{'ms':>7}"
    )
    return [
        head,
        *(
            f"{row.door:<22}{row.objects:>8}{row.clicks:>8.2f}{row.median_clicks:>8.1f}{row.most_clicks:>6}"
            f"{_number(row.negative, '10.0%')}{row.taken_back:>8.2f}{_number(row.seconds, '10.1f')}"
            f"{_number(row.seconds_between, '9.1f')}{_number(row.milliseconds, '7.0f')}"
            for row in rows
        ),
    ]


def _told(replay: Mapping[str, Any]) -> list[str]:
    lines = [
        f"asked of {replay['model']} {replay['version']}: {replay['objects']} objects "
        f"({replay['photos_missing_for']} without their photo, {len(replay['failed'])} failed); "
        f"{replay['same_mask']} have the mask of then, bit for bit"
    ]
    if replay["mean_iou"] is not None:
        lines.append(
            f"agreement with {replay['against']}: IoU mean {replay['mean_iou']:.3f}, median "
            f"{replay['median_iou']:.3f}; {replay['below_0.9']} below 0.9"
        )
    elif replay["against"] is None:
        lines.append("the model of then is not at hand: --against FILE compares the masks of both")
    return lines


def _number(value: float, form: str) -> str:
    width = int(form.split(".")[0])
    return format(value, f">{form}") if math.isfinite(value) else f"{'-':>{width}}"


def _finite(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields`` as JSON can hold them: NaN becomes null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in fields.items()
    }
