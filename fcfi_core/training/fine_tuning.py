"""Fine-tuning on a team's own photos, behind a gate against getting worse at everything else.

Some photos of the team are kept out of training. The new weights are mixed with the old ones in
several shares, and every mixture is measured on the team's kept photos and on a reference set of the old
domain. Of the mixtures that are not worse on the reference set by more than the margin, the best one
on the team's photos is accepted; if none helps, nothing is.

On the team's photos the figure is the mean IoU over the first ten clicks. Unlike the number of clicks to a
fixed IoU it still tells weights apart on objects so hard (cracks, nuclei) that none reaches that IoU. On
the reference set both count: weights whose masks got a little rougher keep their IoU and cost clicks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from fcfi_core.errors import DataError
from fcfi_core.evaluation.datasets import Sample
from fcfi_core.evaluation.readers import open_dataset
from fcfi_core.evaluation.split import name_rank
from fcfi_core.protocol import Protocol, product
from fcfi_core.training.configuration import (
    OptimizerConfiguration,
    PhaseConfiguration,
    SamplingConfiguration,
    SourceConfiguration,
    TrainingConfiguration,
)
from fcfi_core.training.development import clicks_needed, development_samples
from fcfi_core.training.photos import Photo, read_photos
from fcfi_core.training.run import prepare

REFERENCE = Path(__file__).parent / "reference"
"""Photos of the old domain that come with the package; the default never saw them."""

MIXTURES = (1.0, 0.75, 0.5, 0.25)
"""Shares of the new weights that are tried."""

_FEWEST_PHOTOS = 8
_LONGEST_SIDE = 512


@dataclass(frozen=True)
class FineTuningOptions:
    """What may be chosen.

    Args:
        steps: optimiser steps.
        margin: IoU by which the reference set may get worse.
        click_margin: clicks by which it may get worse, mean of those to an IoU of 0.85 and 0.90.
        kept: share of the team's photos that are measured and not trained on.
        objects: objects measured in each set, at most.
        size, batch: of the crops.
        device, threads, seed: see :class:`TrainingConfiguration`.
    """

    steps: int = 300
    margin: float = 0.01
    click_margin: float = 0.25
    kept: float = 0.25
    objects: int = 40
    size: int = 320
    batch: int = 6
    device: str = "auto"
    threads: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Measurement:
    """How good one mixture is.

    Args:
        share: of the new weights; 0 is the old model.
        team: mean IoU over the first ten clicks on the team's kept photos.
        reference: the same on the reference set.
        clicks: there, the mean of the clicks to an IoU of 0.85 and 0.90, at most 10 each.
        figures: all click metrics of both sets, for the report.
    """

    share: float
    team: float
    reference: float
    clicks: float
    figures: dict[str, dict[str, float]]


@dataclass(frozen=True)
class FineTuningResult:
    """What came out.

    Args:
        measurements: the old model first.
        accepted: the chosen mixture, or None if none passed the gate.
        weights: file of the accepted weights, or None.
        margin, click_margin: of the gate.
    """

    measurements: tuple[Measurement, ...]
    accepted: Measurement | None
    weights: Path | None
    margin: float
    click_margin: float

    def table(self) -> str:
        """Return the measurements and the verdict as lines of text."""
        old = self.measurements[0]
        lines = ["weights            team IoU   reference IoU   reference clicks   verdict"]
        for one in self.measurements:
            name = "old" if one.share == 0 else f"{one.share:.0%} new"
            figures = f"{one.team:>11.3f}{one.reference:>16.3f}{one.clicks:>19.2f}"
            lines.append(f"{name:<16}{figures}   {self._verdict(one, old)}")
        return "\n".join(lines)

    def _verdict(self, one: Measurement, old: Measurement) -> str:
        if one is old:
            return "before"
        if one is self.accepted:
            return "ACCEPTED"
        if one.reference < old.reference - self.margin:
            return f"refused: reference worse by more than {self.margin:g} IoU"
        if one.clicks > old.clicks + self.click_margin:
            return f"refused: reference worse by more than {self.click_margin:g} clicks"
        return "no better for the team" if one.team <= old.team else "passed, another is better"


def fine_tune(
    source: SourceConfiguration,
    out: Path,
    *,
    start: str = "default",
    reference: Sequence[Path] = (REFERENCE,),
    options: FineTuningOptions | None = None,
    report: Callable[[str], None] = print,
) -> FineTuningResult:
    """Train from ``start`` on the team's photos, judge the result, and write what passed.

    In ``out`` lie the training run, ``report.json``, ``report.txt``, and ``model.safetensors`` if a
    mixture passed the gate. An interrupted call continues its training when repeated.

    Args:
        source: the team's export or folder.
        out: folder of the run.
        start: the old model, "default" or a path.
        reference: data sets of the old domain.
        options: None: the defaults.
        report: receives lines of progress.

    Raises:
        DataError: for fewer than 8 photos, or an unreadable data set.
        WeightsError: if ``start`` cannot be read.
    """
    options = options or FineTuningOptions()
    old = read_checkpoint(resolve(start))
    photos = read_photos(open_dataset(source.path, source.images), 0, _LONGEST_SIDE)
    if len(photos) < _FEWEST_PHOTOS:
        raise DataError(
            f"{source.path} holds {len(photos)} annotated photos; annotate at least {_FEWEST_PHOTOS} "
            "(50 and more make a difference)."
        )
    share = kept_share(photos, options.kept)
    team = development_samples([photo for photo in photos if name_rank(photo.name) < share], options.objects)
    others = [
        sample
        for path in reference
        for sample in development_samples(read_photos(open_dataset(path), 0, _LONGEST_SIDE), options.objects)
    ]
    run = prepare(_configuration(old, source, out, start, share, options), report)
    run.train()
    new = run.averaged_network().state_dict()
    measurements = []
    for mixture in (0.0, *MIXTURES):
        found = _measured(old, mixed(old.state, new, mixture), mixture, team, others, options)
        measurements.append(found)
        report(
            f"{mixture:.0%} new: team {found.team:.3f}, "
            f"reference {found.reference:.3f} and {found.clicks:.2f} clicks"
        )
    accepted = choose(measurements, options.margin, options.click_margin)
    weights = None
    if accepted is not None:
        weights = out / "model.safetensors"
        write_checkpoint(
            weights, mixed(old.state, new, accepted.share), _header(old, start, source, accepted)
        )
    result = FineTuningResult(tuple(measurements), accepted, weights, options.margin, options.click_margin)
    (out / "report.txt").write_text(result.table() + "\n", encoding="utf-8")
    margins = {"margin": options.margin, "click_margin": options.click_margin}
    content = {**margins, "measurements": [asdict(one) for one in measurements]}
    content["accepted"] = None if accepted is None else accepted.share
    (out / "report.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    return result


def choose(measurements: Sequence[Measurement], margin: float, click_margin: float) -> Measurement | None:
    """Return the measurement to accept, or None; the first one is the old model."""
    old = measurements[0]
    passed = [
        one
        for one in measurements[1:]
        if one.reference >= old.reference - margin
        and one.clicks <= old.clicks + click_margin
        and one.team > old.team
    ]
    return max(passed, key=lambda one: (one.team, -one.share), default=None)


def mixed(old: dict[str, Tensor], new: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return ``(1 - share) * old + share * new``; integer tensors come from ``new``."""
    return {
        name: old[name].lerp(tensor.cpu(), share) if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in new.items()
    }


def kept_share(photos: Sequence[Photo], share: float) -> float:
    """Return the development share that keeps ``share`` of just these photos, rounded up, at least two."""
    ranks = sorted(name_rank(photo.name) for photo in photos)
    count = min(max(math.ceil(share * len(ranks)), 2), len(ranks) - 1)
    return (ranks[count - 1] + ranks[count]) / 2


def _configuration(
    old: Checkpoint,
    source: SourceConfiguration,
    out: Path,
    start: str,
    share: float,
    options: FineTuningOptions,
) -> TrainingConfiguration:
    return TrainingConfiguration(
        out=str(out),
        steps=options.steps,
        sources=(source,),
        variant=old.variant,
        arguments=dict(old.arguments),
        start=start,
        seed=options.seed,
        development_share=share,
        development_objects=0,
        device=options.device,
        threads=options.threads,
        longest_side=_LONGEST_SIDE,
        save_every=50,
        log_every=10,
        phases=(PhaseConfiguration(1.0, options.size, options.batch),),
        sampling=SamplingConfiguration(rounds=3, continuation=0.45, longest_episode=3),
        optimizer=OptimizerConfiguration(learning_rate=4e-4, frozen_blocks=7, warmup=30, average=0.98),
    )


def _measured(
    old: Checkpoint,
    state: dict[str, Tensor],
    share: float,
    team: Sequence[Sample],
    reference: Sequence[Sample],
    options: FineTuningOptions,
) -> Measurement:
    network = old.network()
    network.load_state_dict(state)
    figures = {
        name: clicks_needed(
            network,
            samples,
            variant=old.variant,
            protocol=Protocol.from_dict({**product(old.variant).to_dict(), **old.protocol}),
            device=options.device,
            threads=options.threads or None,
        )
        for name, samples in (("team", team), ("reference", reference))
    }
    team_iou, reference_iou = (_mean_iou(one) for one in figures.values())
    clicks = (figures["reference"]["noc@85"] + figures["reference"]["noc@90"]) / 2
    return Measurement(share, team_iou, reference_iou, clicks, figures)


def _mean_iou(figures: dict[str, float]) -> float:
    """Return the mean of the IoU after each click."""
    return float(np.mean([value for name, value in figures.items() if name.startswith("iou@")]))


def _header(
    old: Checkpoint, start: str, source: SourceConfiguration, accepted: Measurement
) -> dict[str, Any]:
    card = dict(old.header.get("model_card", {}))
    card["version"] = f"{card.get('version', start)}+{Path(source.path).stem}"
    card["fine_tuned"] = {
        "from": start,
        "data": Path(source.path).name,
        "share_of_new_weights": accepted.share,
        "team_iou": round(accepted.team, 4),
        "reference_iou": round(accepted.reference, 4),
    }
    return {
        "variant": old.variant,
        "arguments": dict(old.arguments),
        "protocol": dict(old.protocol),
        "model_card": card,
    }
