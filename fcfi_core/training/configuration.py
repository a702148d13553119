"""What a training run is: a TOML file read into frozen, checked dataclasses."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
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
    """

    path: str
    weight: float = 1.0
    parts: float = 1.0
    images: str | None = None


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
        whole_image: the whole photo; what is left goes to random crops.
        undistorted: the crop is cut square, as large as fits the photo, instead of being squeezed
            into a square.
        paste: an object cut out of another photo is pasted in and becomes the target.
        thin: a drawn crack or wire becomes the target.
        union: two regions of a photo are taken as one object.
        box_start: the feedback starts from a box.
        prior_start: the feedback starts from a disturbed mask.
        continuation: an episode goes on after a step instead of making room for a new one.
        rounds: clicks per step; the encoder runs once for all of them.
        longest_episode: steps after which an episode ends anyway.
        implied: share of box starts whose click is the box's centre instead of a user's click.
        centre_clicks: corrections on the very centre of the largest error.
        stray_clicks: corrections anywhere in it; what is left goes to its inner half.
    """

    object_crop: float = 0.55
    whole_image: float = 0.25
    undistorted: float = 0.0
    paste: float = 0.15
    thin: float = 0.0
    union: float = 0.1
    box_start: float = 0.08
    prior_start: float = 0.1
    continuation: float = 0.6
    rounds: int = 2
    longest_episode: int = 4
    implied: float = 0.5
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
        window: FFCM's window while training: "hard" as at inference, or "soft" (official).
    """

    kind: str = "bce_dice"
    feedback: float = 0.3
    double_sigmoid: bool = False
    click_weight: float = 4.0
    click_radius: float = 13.0
    window: str = "hard"


@dataclass(frozen=True)
class OptimizerConfiguration:
    """AdamW with warm-up and cosine decay.

    Args:
        learning_rate: of everything trained from scratch.
        encoder_factor: multiplies it for the pretrained image encoder.
        frozen_blocks: leading blocks of a MobileNetV2 encoder that are not trained.
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
        precision: "float32", or "bfloat16" (autocast, for GPUs).
        longest_side: photos are kept in memory at most this large, pixels.
        tensorboard: also write tensorboard events.
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
    precision: str = "float32"
    longest_side: int = 512
    tensorboard: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    phases: tuple[PhaseConfiguration, ...] = (PhaseConfiguration(0.65, 256), PhaseConfiguration(0.35, 320))
    sampling: SamplingConfiguration = SamplingConfiguration()
    loss: LossConfiguration = LossConfiguration()
    optimizer: OptimizerConfiguration = OptimizerConfiguration()

    def __post_init__(self) -> None:
        problems = [
            (self.steps < 1, f"steps is {self.steps}; give at least 1"),
            (not self.sources, "there is no [[sources]] table; name at least one folder of photos"),
            (not self.phases, "there is no [[phases]] table; give at least one"),
            (
                self.precision not in ("float32", "bfloat16"),
                f"precision is {self.precision!r}; give float32 or bfloat16",
            ),
            (self.loss.kind not in ("bce_dice", "normalized_focal"), f"loss.kind is {self.loss.kind!r}"),
            (
                self.loss.window not in ("hard", "soft"),
                f"loss.window is {self.loss.window!r}; give hard or soft",
            ),
            (self.sampling.rounds < 1, f"sampling.rounds is {self.sampling.rounds}; give at least 1"),
        ]
        problems += [
            (
                phase.size % 16 != 0 or phase.size < 64,
                f"phases.size is {phase.size}; give a multiple of 16 from 64 on",
            )
            for phase in self.phases
        ]
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


def load_configuration(path: str | Path) -> TrainingConfiguration:
    """Return the configuration written in the TOML file ``path``.

    Relative paths inside the file are relative to the file's folder.

    Raises:
        SettingsError: if the file cannot be read, or holds an unknown or ill-typed entry.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"training configuration {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"training configuration {path} is not valid TOML: {error}.") from None
    configuration: TrainingConfiguration = _build(TrainingConfiguration, table, "")
    return _with_absolute_paths(configuration, path.parent)


_NESTED: dict[str, type] = {
    "sources": SourceConfiguration,
    "phases": PhaseConfiguration,
    "sampling": SamplingConfiguration,
    "loss": LossConfiguration,
    "optimizer": OptimizerConfiguration,
}


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise SettingsError(
                f"training configuration: unknown entry {where}{name}; known are {', '.join(sorted(known))}."
            )
        nested = _NESTED.get(name) if kind is TrainingConfiguration else None
        if nested is None:
            _check_type(known[name], value, f"{where}{name}")
            values[name] = value
        elif isinstance(value, list):
            values[name] = tuple(_build(nested, entry, f"{name}.") for entry in value)
        else:
            values[name] = _build(nested, value, f"{name}.")
    missing = [
        name
        for name, entry in known.items()
        if entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
        and name not in values
    ]
    if missing:
        raise SettingsError(f"training configuration: {where}{missing[0]} is missing.")
    return kind(**values)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
}


def _check_type(entry: dataclasses.Field[Any], value: object, name: str) -> None:
    allowed = _TYPES[str(entry.type)]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise SettingsError(
            f"training configuration: {name} is {value!r}; give a value of type {entry.type}."
        )


def _with_absolute_paths(configuration: TrainingConfiguration, base: Path) -> TrainingConfiguration:
    def absolute(text: str) -> str:
        return str((base / Path(text).expanduser()).resolve())

    start = configuration.start
    if start is not None and start.endswith(".safetensors"):
        start = absolute(start)
    initialisation = configuration.initialisation
    return dataclasses.replace(
        configuration,
        out=absolute(configuration.out),
        start=start,
        initialisation=None if initialisation is None else absolute(initialisation),
        sources=tuple(
            dataclasses.replace(
                source,
                path=absolute(source.path),
                images=None if source.images is None else absolute(source.images),
            )
            for source in configuration.sources
        ),
    )
