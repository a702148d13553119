"""What a training run is: frozen dataclasses that check themselves."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from fcfi_core.errors import SettingsError


@dataclass(frozen=True)
class SourceConfiguration:
    """One folder of training photos.

    Args:
        path: folder with ``images/`` and ``masks/``, a COCO JSON file, or a platform's export.
        weight: how often its photos are drawn, relative to the other sources.
        parts: share of draws that take a single region; the rest take the union of all regions
            (for photos whose regions are parts of one object, such as garments).
        images: folder of the photos that a file refers to; None: beside the file.
        smallest_region: regions of fewer pixels are no targets.
        largest_crop: left out of crops larger than this, pixels (for small or coarse photos); 0: never.
        exact: its outlines are right to the pixel: there, :attr:`LossConfiguration.edge_weight` counts.
        licence: of the photos, an SPDX identifier, several joined by " AND ", or other words; see
            :mod:`fcfi_core.training.licences`.
    """

    path: str
    weight: float = 1.0
    parts: float = 1.0
    images: str | None = None
    smallest_region: int = 40
    largest_crop: int = 0
    exact: bool = False
    licence: str = ""

    def fits(self, size: int) -> bool:
        """Return whether crops of ``size`` x ``size`` pixels are drawn from this source."""
        return not self.largest_crop or size <= self.largest_crop


@dataclass(frozen=True)
class PhaseConfiguration:
    """A stretch of training at one crop size.

    Args:
        share: part of all steps, the phases' shares are normalised to sum to 1.
        size: side of the square crops in pixels, a multiple of 16.
        batch: crops per step.
    """

    share: float
    size: int
    batch: int = 16


@dataclass(frozen=True)
class SamplingConfiguration:
    """How crops, starts and clicks are drawn; all values are probabilities unless named otherwise.

    Args:
        object_crop: crop around the object, 1.15 to 2.6 times its box (imitates zoom-in).
        whole_image: the whole photo.
        click_crop: a fifth to six tenths of the photo around a place on the object, however large that
            is: the frame around a click before anything is known. What is left goes to random crops.
        undistorted: the crop is cut square, as large as fits the photo, instead of being squeezed
            into a square.
        paste: an object cut out of another photo is pasted in and becomes the target.
        thin: a drawn crack or wire becomes the target.
        union: two regions of a photo are taken as one object.
        neighbours: share of unions that grow from a region over those it touches, up to four in all.
        box_start: the feedback starts from a box.
        prior_start: the feedback starts from a disturbed mask.
        continuation: an episode goes on after a step instead of making room for a new one.
        degraded: the crop looks as if taken by a bad camera, in bad light, or as if it were no photo.
        rounds: clicks per step; the encoder runs once for all of them.
        longest_episode: steps after which an episode ends anyway.
        implied: share of box starts whose click is the box's centre instead of a user's click.
        stray_starts: first clicks anywhere on the object; the others fall on its middle.
        centre_clicks: corrections on the very centre of the largest error.
        stray_clicks: corrections anywhere in it; what is left goes to its inner half.
    """

    object_crop: float = 0.55
    whole_image: float = 0.25
    click_crop: float = 0.0
    undistorted: float = 0.0
    paste: float = 0.15
    thin: float = 0.0
    union: float = 0.1
    neighbours: float = 0.0
    box_start: float = 0.08
    prior_start: float = 0.1
    degraded: float = 0.0
    continuation: float = 0.6
    rounds: int = 2
    longest_episode: int = 4
    implied: float = 0.5
    stray_starts: float = 0.15
    centre_clicks: float = 0.35
    stray_clicks: float = 0.15


@dataclass(frozen=True)
class LossConfiguration:
    """Weights of the loss terms.

    Args:
        kind: "bce_dice", or "normalized_focal" (the official one).
        feedback: weight of the losses on both feedback maps.
        double_sigmoid: apply the sigmoid to the feedback maps once more, as the official code does.
        click_weight: factor of the cross entropy near a click.
        click_radius: how near, pixels of the crop.
        edge_weight: factor of the cross entropy at the true outline, where that is known to the pixel: in
            exact sources and for drawn thin structures.
        edge_radius: how far from the outline that is on either side, pixels of the crop.
        window: FFCM's window while training: "hard" as at inference, or "soft" (official).
    """

    kind: str = "bce_dice"
    feedback: float = 0.3
    double_sigmoid: bool = False
    click_weight: float = 4.0
    click_radius: float = 13.0
    edge_weight: float = 1.0
    edge_radius: int = 2
    window: str = "hard"


@dataclass(frozen=True)
class OptimizerConfiguration:
    """AdamW with warm-up and cosine decay.

    Args:
        learning_rate: of everything trained from scratch.
        encoder_factor: multiplies it for the pretrained image encoder.
        frozen_blocks: leading blocks of a light network's encoder that are not trained.
        weight_decay: decoupled weight decay.
        warmup: steps of linear warm-up.
        floor: learning rate at the end, as a share of the start.
        clip: largest gradient norm.
        average: decay of the exponential moving average of the weights.
    """

    learning_rate: float = 1.5e-3
    encoder_factor: float = 0.1
    frozen_blocks: int = 4
    weight_decay: float = 1e-4
    warmup: int = 100
    floor: float = 0.02
    clip: float = 5.0
    average: float = 0.998


@dataclass(frozen=True)
class TrainingConfiguration:
    """One training run.

    Args:
        out: folder for checkpoints, logs and reports.
        steps: optimiser steps.
        sources: training photos.
        variant: architecture, a name of the registry.
        start: a checkpoint to go on from ("default" or a path), or None.
        initialisation: backbone weights (.safetensors) for training from scratch, or None.
        seed: of everything that is drawn.
        development_share: share of the photos, chosen by name, kept out of training for choosing
            the best weights.
        development_objects: objects of the development split that are measured.
        evaluate_every, save_every, log_every: steps between measurements, checkpoints, log rows.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads of the network; 0 follows the container's share.
        workers: threads beside the network that draw crops and place clicks; more than one pays beside a
            GPU. What is drawn does not depend on it.
        precision: "float32", or "bfloat16" (autocast, for GPUs and CPUs with bfloat16 units).
        longest_side: photos are kept in memory at most this large, pixels.
        tensorboard: also write tensorboard events.
        pack: a file that ``fcfi pack`` wrote; the sources' photos are read from it, by their folders'
            names, instead of from their paths.
    """

    out: str
    steps: int
    sources: tuple[SourceConfiguration, ...]
    variant: str = "mobilenetv2"
    start: str | None = None
    initialisation: str | None = None
    seed: int = 0
    development_share: float = 0.06
    development_objects: int = 60
    evaluate_every: int = 500
    save_every: int = 200
    log_every: int = 20
    device: str = "auto"
    threads: int = 0
    workers: int = 1
    precision: str = "float32"
    longest_side: int = 512
    tensorboard: bool = False
    pack: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    phases: tuple[PhaseConfiguration, ...] = (PhaseConfiguration(0.65, 256), PhaseConfiguration(0.35, 320))
    sampling: SamplingConfiguration = SamplingConfiguration()
    loss: LossConfiguration = LossConfiguration()
    optimizer: OptimizerConfiguration = OptimizerConfiguration()

    def __post_init__(self) -> None:
        problems = [
            (not self.sources, "there is no [[sources]] table; name at least one folder of photos"),
            (not self.phases, "there is no [[phases]] table; give at least one"),
            *_out_of_range(self, ""),
            *(problem for name in SECTIONS for problem in _out_of_range(getattr(self, name), f"{name}.")),
            *(
                problem
                for name in LISTS
                for entry in getattr(self, name)
                for problem in _out_of_range(entry, f"{name}.")
            ),
            *(
                (phase.size % 16 != 0, f"phases.size is {phase.size}; give a multiple of 16")
                for phase in self.phases
            ),
            (not any(source.weight for source in self.sources), "every sources.weight is 0; raise one"),
            *(
                (
                    not any(source.weight for source in self.sources if source.fits(phase.size)),
                    f"no source is left for crops of {phase.size}; raise a sources.largest_crop",
                )
                for phase in self.phases
            ),
            (
                self.precision not in ("float32", "bfloat16"),
                f"precision is {self.precision!r}; give float32 or bfloat16",
            ),
            (
                self.loss.kind not in ("bce_dice", "normalized_focal"),
                f"loss.kind is {self.loss.kind!r}; give bce_dice or normalized_focal",
            ),
            (
                self.loss.window not in ("hard", "soft"),
                f"loss.window is {self.loss.window!r}; give hard or soft",
            ),
        ]
        for group in _SHARING:
            total = sum(getattr(self.sampling, name) for name in group)
            names = " and ".join(f"sampling.{name}" for name in group)
            problems.append((total > 1 + 1e-9, f"{names} add up to {total:g}; give at most 1 together"))
        for wrong, message in problems:
            if wrong:
                raise SettingsError(f"training configuration: {message}.")

    def phase_at(self, step: int) -> PhaseConfiguration:
        """Return the phase that optimiser step ``step`` (from 0) belongs to."""
        total = sum(phase.share for phase in self.phases)
        reached = 0.0
        for phase in self.phases:
            reached += phase.share / total
            if step < reached * self.steps - 1e-9:
                return phase
        return self.phases[-1]


LISTS: dict[str, type] = {"sources": SourceConfiguration, "phases": PhaseConfiguration}
SECTIONS: dict[str, type] = {
    "sampling": SamplingConfiguration,
    "loss": LossConfiguration,
    "optimizer": OptimizerConfiguration,
}
_SHARING = (
    ("object_crop", "whole_image", "click_crop"),
    ("paste", "thin"),
    ("box_start", "prior_start"),
    ("centre_clicks", "stray_clicks"),
)
"""Probabilities of which one draw decides."""

_PROBABILITY, _FROM_0, _FROM_1 = (0, 1), (0, math.inf), (1, math.inf)
_RANGES: dict[type, dict[str, tuple[float, float]]] = {
    SourceConfiguration: {
        "weight": _FROM_0,
        "parts": _PROBABILITY,
        "smallest_region": _FROM_1,
        "largest_crop": _FROM_0,
    },
    PhaseConfiguration: {"share": (1e-6, math.inf), "size": (64, math.inf), "batch": _FROM_1},
    SamplingConfiguration: {
        **{
            entry.name: _PROBABILITY
            for entry in dataclasses.fields(SamplingConfiguration)
            if entry.type == "float"
        },
        "rounds": _FROM_1,
        "longest_episode": _FROM_1,
    },
    LossConfiguration: {
        "feedback": _FROM_0,
        "click_weight": _FROM_0,
        "click_radius": _FROM_0,
        "edge_weight": _FROM_0,
        "edge_radius": _FROM_1,
    },
    OptimizerConfiguration: {
        "learning_rate": (1e-9, 1),
        "encoder_factor": _FROM_0,
        "frozen_blocks": _FROM_0,
        "weight_decay": _FROM_0,
        "warmup": _FROM_0,
        "floor": _PROBABILITY,
        "clip": (1e-9, math.inf),
        "average": (0, 0.999999),
    },
    TrainingConfiguration: {
        "steps": _FROM_1,
        "seed": _FROM_0,
        "development_share": (0, 0.9),
        "development_objects": _FROM_0,
        "evaluate_every": _FROM_1,
        "save_every": _FROM_1,
        "log_every": _FROM_1,
        "threads": _FROM_0,
        "workers": _FROM_1,
        "longest_side": (64, math.inf),
    },
}


def _out_of_range(settings: Any, where: str) -> list[tuple[bool, str]]:
    """Return (is wrong, what to tell) for each number of ``settings`` that has a range."""
    found = []
    for name, (lowest, highest) in _RANGES[type(settings)].items():
        value = getattr(settings, name)
        wanted = f"at least {lowest:g}" if highest == math.inf else f"a number from {lowest:g} to {highest:g}"
        found.append((not lowest <= value <= highest, f"{where}{name} is {value!r}; give {wanted}"))
    return found
