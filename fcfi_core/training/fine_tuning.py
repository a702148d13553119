"""Fine-tuning on a team's own photos, behind a gate against getting worse at everything else.

Some photos of the team are kept out of training. The new weights are mixed with the old ones in
several shares, and every mixture is measured on the team's kept photos and on a reference set of the old
domain. Of the mixtures that pass the gate, the best one on the team's photos is accepted; if none does,
nothing is.

On the team's photos the figure is the mean IoU over the first ten clicks. Unlike the number of clicks to a
fixed IoU it still tells weights apart on objects so hard (cracks, nuclei) that none reaches that IoU. On
the reference set both count: weights whose masks got a little rougher keep their IoU and cost clicks.

Which photos are kept is told by their pixels, so that a later round with a newer export keeps the same
ones; and a later round is also held to the reference figures before the first, so that small losses do
not add up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fcfi_core import outputs
from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from fcfi_core.click_log import read
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample
from fcfi_core.errors import DataError
from fcfi_core.model import protocol_of, rating_of
from fcfi_core.protocol import Protocol
from fcfi_core.rating import Rating
from fcfi_core.training.configuration import (
    OptimizerConfiguration,
    PhaseConfiguration,
    SamplingConfiguration,
    SourceConfiguration,
    TrainingConfiguration,
)
from fcfi_core.training.development import clicks_needed, development_samples
from fcfi_core.training.gate import Gate, Measurement, choose
from fcfi_core.training.photos import Photo, read_photos
from fcfi_core.training.real_clicks import with_real_clicks
from fcfi_core.training.run import prepare, read_source

REFERENCE = Path(__file__).parent / "reference"
"""Photos of the old domain that come with the package; the default never saw them."""

MIXTURES = (1.0, 0.75, 0.5, 0.25)
"""Shares of the new weights that are tried."""

_WRITTEN = ("model.safetensors", "report.txt", "report.json")

_FEWEST_PHOTOS = 8
_LONGEST_SIDE = 512


@dataclass(frozen=True)
class FineTuningOptions:
    """What may be chosen.

    Args:
        steps: optimiser steps.
        margin: IoU by which the reference set may get worse.
        click_margin: clicks by which it may get worse, mean over IoU 0.85 and 0.90 of the objects that the
            old model brings there; the others count ten whatever happens.
        gain: IoU by which the team's kept photos must get better.
        kept: share of the team's photos that are measured and not trained on.
        objects: objects measured in each set, at most.
        size, batch: of the crops.
        device, threads, seed: see :class:`TrainingConfiguration`.
    """

    steps: int = 300
    margin: float = 0.01
    click_margin: float = 0.25
    gain: float = 0.005
    kept: float = 0.25
    objects: int = 40
    size: int = 320
    batch: int = 6
    device: str = "auto"
    threads: int = 0
    seed: int = 0


@dataclass(frozen=True)
class FineTuningResult:
    """What came out.

    Args:
        measurements: the old model first.
        gate: what the others had to reach.
        accepted: the chosen mixture, or None if none passed the gate.
        weights: file of the accepted weights, or None.
        kept: names of the team's photos that were measured and not trained on.
        objects: how many objects were measured on them.
    """

    measurements: tuple[Measurement, ...]
    gate: Gate
    accepted: Measurement | None
    weights: Path | None
    kept: tuple[str, ...]
    objects: int

    def table(self) -> str:
        """Return the measurements and the verdict as lines of text."""
        lines = ["weights            team IoU   reference IoU   reference clicks   verdict"]
        for one in self.measurements:
            name = "old" if one.share == 0 else f"{one.share:.0%} new"
            figures = f"{one.team:>11.3f}{one.reference:>16.3f}{one.clicks:>19.2f}"
            lines.append(f"{name:<16}{figures}   {self._verdict(one)}")
        lines.append(f"team: {self.objects} objects on {len(self.kept)} photos that were not trained on")
        return "\n".join(lines)

    def report(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "gate": asdict(self.gate),
            "measurements": [asdict(one) for one in self.measurements],
            "accepted": None if self.accepted is None else self.accepted.share,
            "kept": list(self.kept),
        }

    def _verdict(self, one: Measurement) -> str:
        if one is self.measurements[0]:
            return "before"
        if one is self.accepted:
            return "ACCEPTED"
        return self.gate.refusal(one) or "passed, another is better"


def fine_tune(
    source: SourceConfiguration,
    out: Path,
    *,
    start: str = "default",
    reference: Sequence[Path] = (REFERENCE,),
    options: FineTuningOptions | None = None,
    clicks: Path | None = None,
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
        clicks: a click log; what people clicked on these photos takes the place of simulated clicks there.
        report: receives lines of progress.

    Raises:
        DataError: for fewer than 8 photos, an unreadable data set, or a log that holds nothing of the photos.
        WeightsError: if ``start`` cannot be read.
        SettingsError: if the run would write over what it starts from.
    """
    options = options or FineTuningOptions()
    path = resolve(start)
    outputs.require_apart((out / name for name in _WRITTEN), (path, Path(source.path), clicks))
    old = read_checkpoint(path)
    protocol, rating = protocol_of(old, path), rating_of(old, path)
    photos = read_source(source, 0, _LONGEST_SIDE, report)
    if len(photos) < _FEWEST_PHOTOS:
        raise DataError(
            f"{source.path} holds {len(photos)} annotated photos; annotate at least {_FEWEST_PHOTOS} "
            "(50 and more make a difference)."
        )
    kept, trained = split_by_pixels(photos, options.kept)
    if clicks is not None:
        trained = _with_clicks(trained, clicks, report)
    team = development_samples(kept, options.objects)
    others = [
        sample
        for path in reference
        for sample in development_samples(read_photos(open_dataset(path), 0, _LONGEST_SIDE), options.objects)
    ]
    report(f"{len(trained)} photos to train on, {len(kept)} kept for the gate")
    run = prepare(_configuration(old, source, out, start, options), report, trained)
    run.train()
    new = run.averaged_network().state_dict()
    report(f"measuring {len(MIXTURES) + 1} mixtures on {len(team)} + {len(others)} objects")
    measurements = []
    for mixture in (0.0, *MIXTURES):
        state = mixed(old.state, new, mixture)
        found = _measured(old, protocol, rating, state, mixture, team, others, options)
        measurements.append(found)
        report(
            f"{mixture:.0%} new: team {found.team:.3f}, "
            f"reference {found.reference:.3f} and {found.clicks:.2f} clicks"
        )
    origin = _origin(old, measurements[0], _digest(others))
    gate = Gate(
        team=measurements[0].team + options.gain,
        reference=max(origin["iou"], measurements[0].reference) - options.margin,
        clicks=min(origin["clicks"], measurements[0].clicks)
        + options.click_margin * _reached(measurements[0], len(others)),
    )
    accepted = choose(measurements, gate)
    weights = out / "model.safetensors"
    if accepted is None:
        weights.unlink(missing_ok=True)  # of an earlier call: nobody should take it for this one's
    else:
        state = mixed(old.state, new, accepted.share)
        write_checkpoint(weights, state, _header(old, start, source, accepted, origin, state))
    result = FineTuningResult(
        measurements=tuple(measurements),
        gate=gate,
        accepted=accepted,
        weights=None if accepted is None else weights,
        kept=tuple(photo.name for photo in kept),
        objects=len(team),
    )
    outputs.write(out / "report.txt", result.table() + "\n")
    outputs.write(out / "report.json", json.dumps(result.report(), indent=2).encode())
    return result


def _with_clicks(photos: list[Photo], log: Path, report: Callable[[str], None]) -> list[Photo]:
    """Return the photos with what people clicked on them."""
    found = with_real_clicks(photos, read(log).entries)
    if not found.objects:
        raise DataError(
            f"click log {str(log)!r} holds no object of the {len(photos)} photos to train on; give the log "
            "and the photos of the same work, unchanged files, or leave the log out."
        )
    report(
        f"{found.clicks} real clicks on {found.objects} objects; {found.contradicting} more contradict the "
        "masks and are left out"
    )
    return found.photos


def mixed(old: dict[str, Tensor], new: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return ``(1 - share) * old + share * new``; integer tensors come from ``new``."""
    return {
        name: old[name].lerp(tensor.cpu(), share) if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in new.items()
    }


def split_by_pixels(photos: Sequence[Photo], share: float) -> tuple[list[Photo], list[Photo]]:
    """Return some ``share`` of the photos, from two up to half of them, and the others.

    A photo's pixels alone decide, so that neither other photos nor the names that an export gives them
    change its side (as long as there are enough on both).
    """
    ranks = [_rank(photo) for photo in photos]
    ranked = [photos[index] for index in sorted(range(len(photos)), key=ranks.__getitem__)]
    count = min(max(sum(rank < share for rank in ranks), 2), len(ranked) // 2)
    return ranked[:count], ranked[count:]


def _rank(photo: Photo) -> float:
    return int.from_bytes(hashlib.blake2b(photo.pixels.data, digest_size=4).digest()) / 2**32


def _configuration(
    old: Checkpoint,
    source: SourceConfiguration,
    out: Path,
    start: str,
    options: FineTuningOptions,
) -> TrainingConfiguration:
    return TrainingConfiguration(
        out=str(out),
        steps=options.steps,
        sources=(source,),
        variant=old.variant,
        start=start,
        seed=options.seed,
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
    protocol: Protocol,
    rating: Rating | None,
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
            protocol=protocol,
            device=options.device,
            threads=options.threads or None,
            rating=rating,
        )
        for name, samples in (("team", team), ("reference", reference))
    }
    team_iou, reference_iou = (_mean_iou(one) for one in figures.values())
    clicks = (figures["reference"]["noc@85"] + figures["reference"]["noc@90"]) / 2
    return Measurement(share, team_iou, reference_iou, clicks, figures)


def _mean_iou(figures: dict[str, float]) -> float:
    """Return the mean of the IoU after each click."""
    return float(np.mean([value for name, value in figures.items() if name.startswith("iou@")]))


def _reached(before: Measurement, objects: int) -> float:
    """Return the share of reference objects that get to IoU 0.85 and 0.90 in ten clicks, mean of both."""
    figures = before.figures["reference"]
    return 1 - (figures["missed@85"] + figures["missed@90"]) / (2 * objects)


def _digest(samples: Sequence[Sample]) -> str:
    """Return what tells one reference set from another."""
    names = [(sample.dataset, sample.image_name, sample.object_id) for sample in samples]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def _origin(old: Checkpoint, before: Measurement, reference: str) -> dict[str, Any]:
    """Return the reference figures before the first fine-tuning that led to ``old``."""
    origin = old.header.get("model_card", {}).get("fine_tuned", {}).get("origin", {})
    if origin.get("reference") == reference:
        return dict(origin)
    return {"reference": reference, "iou": before.reference, "clicks": before.clicks}


def _header(
    old: Checkpoint,
    start: str,
    source: SourceConfiguration,
    accepted: Measurement,
    origin: dict[str, Any],
    state: dict[str, Tensor],
) -> dict[str, Any]:
    card = dict(old.header.get("model_card", {}))
    digest = hashlib.blake2b(digest_size=3)
    for name in sorted(state):
        digest.update(state[name].contiguous().numpy().data)
    # Several rounds may have exports of the same name.
    card["version"] = f"{card.get('version', start)}+{Path(source.path).stem}.{digest.hexdigest()}"
    card["fine_tuned"] = {
        "from": start,
        "data": Path(source.path).name,
        "share_of_new_weights": accepted.share,
        "team_iou": round(accepted.team, 4),
        "reference_iou": round(accepted.reference, 4),
        "origin": origin,
    }
    return {**old.header, "model_card": card}
