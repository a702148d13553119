"""A training run from its configuration: data, network, loop, checkpoints, log, best weights.

In the run's folder:

* ``state.json`` and ``state-*.part``: everything needed to continue to the exact step (written again
  and again), in files of at most 16 MiB;
* ``latest.safetensors``: the averaged weights at the last checkpoint;
* ``best.safetensors``: those with the fewest clicks on the development split so far;
* ``log.csv``: losses, and the development figures.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fcfi_core import outputs
from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.datasets.left_out import listed
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample
from fcfi_core.datasets.split import is_held_out
from fcfi_core.engines.threads import container_share
from fcfi_core.engines.torch_engine import choose_device
from fcfi_core.errors import DataError, SettingsError, WeightsError
from fcfi_core.model import protocol_of, rating_of
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.pyramid import Encoder
from fcfi_core.networks.registry import build
from fcfi_core.protocol import Protocol, product
from fcfi_core.rating import Rating
from fcfi_core.training.configuration import SourceConfiguration, TrainingConfiguration
from fcfi_core.training.crops import CropSampler
from fcfi_core.training.development import clicks_needed, development_samples
from fcfi_core.training.log import TrainingLog
from fcfi_core.training.loop import Trainer
from fcfi_core.training.pack import read_pack, source_name
from fcfi_core.training.photos import Photo, read_photos, split
from fcfi_core.training.state import INDEX, fingerprint_of, is_begun, read_state, write_state

WRITTEN = (INDEX, "latest.safetensors", "best.safetensors", "log.csv")
"""Files of a run's folder."""


@dataclass
class Run:
    """A training run in progress.

    Attributes:
        configuration: what was asked for.
        trainer: network, optimiser and averaged weights.
        development: objects of the development split.
        header: of the checkpoints; its arguments build the network, its protocol measures it.
        fingerprint: digests that tell whether a checkpoint belongs to this run.
        report: called with a line of text whenever there is something to tell.
        best: fewest clicks so far (mean of ``noc@85`` and ``noc@90``).
    """

    configuration: TrainingConfiguration
    trainer: Trainer
    development: list[Sample]
    header: dict[str, Any]
    fingerprint: dict[str, str]
    report: Callable[[str], None]
    best: float = math.inf
    _figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._folder = Path(self.configuration.out)

    def train(self, until: float | None = None) -> bool:
        """Train to the last step; an interrupted run continues where its last checkpoint was written.

        Args:
            until: the ``time.monotonic()`` by which to stop before the last step, having saved everything;
                None: never.

        Returns:
            Whether the last step was reached.

        Raises:
            SettingsError: if another process trains in the same folder.
        """

        def go_on(trainer: Trainer, figures: dict[str, float]) -> bool:
            self._after_step(trainer, figures, log)
            return until is None or time.monotonic() + trainer.longest_step < until

        step, tensorboard = self.trainer.step, self.configuration.tensorboard
        with (
            outputs.claimed(self._folder),
            closing(TrainingLog(self._folder, continue_at=step, tensorboard=tensorboard)) as log,
        ):
            self.trainer.run(go_on)
            if self.trainer.step < self.configuration.steps:
                self.save()
        return self.trainer.step >= self.configuration.steps

    def _after_step(self, trainer: Trainer, figures: dict[str, float], log: TrainingLog) -> None:
        configuration, step = self.configuration, trainer.step
        for name, value in figures.items():
            self._figures[name].append(value)
        last = step == configuration.steps
        measured: dict[str, float] = {}
        if self.development and (step % configuration.evaluate_every == 0 or last):
            measured = self._measure()
        if step % configuration.log_every == 0 or measured or last:
            means = {name: float(np.mean(values)) for name, values in self._figures.items()}
            self._figures.clear()
            row = {"step": step, "crops": trainer.crops_seen, "seconds": trainer.seconds, **means, **measured}
            log.write(row)
            self.report(_line(row, configuration.steps))
        if step % configuration.save_every == 0 or measured or last:
            self.save()

    def _measure(self) -> dict[str, float]:
        configuration = self.configuration
        network = self.averaged_network()
        figures = clicks_needed(
            network,
            self.development,
            variant=configuration.variant,
            protocol=Protocol.from_dict(self.header["protocol"]),
            device=configuration.device,
            threads=configuration.threads or None,
            rating=Rating.from_dict(self.header["rating"]) if "rating" in self.header else None,
        )
        measured = {
            f"development_{name}": figures[name] for name in ("noc@80", "noc@85", "noc@90", "iou@1", "iou@3")
        }
        score = (figures["noc@85"] + figures["noc@90"]) / 2
        if score < self.best:
            self.best = score
            write_checkpoint(self._folder / "best.safetensors", network.state_dict(), self._header(measured))
        return measured

    def averaged_network(self) -> InteractiveNetwork:
        """Return a copy of the network with the averaged weights."""
        network = build(self.configuration.variant, **self.header["arguments"])
        network.load_state_dict(self.trainer.average.weights)
        return network.eval()

    def save(self) -> None:
        """Write the state and ``latest.safetensors``; each appears complete or not at all."""
        state = {**self.trainer.state(), "best": self.best, "fingerprint": self.fingerprint}
        write_state(self._folder, state)
        write_checkpoint(self._folder / "latest.safetensors", self.trainer.average.weights, self._header({}))

    def _header(self, figures: dict[str, float]) -> dict[str, Any]:
        trained = {
            "steps": self.trainer.step,
            "crops": self.trainer.crops_seen,
            "hours": round(self.trainer.seconds / 3600, 2),
            "figures": {name: round(value, 4) for name, value in figures.items()},
        }
        return {**self.header, "model_card": {**self.header.get("model_card", {}), **trained}}


def prepare(
    configuration: TrainingConfiguration,
    report: Callable[[str], None] = print,
    photos: Sequence[Photo] | None = None,
) -> Run:
    """Return the run that ``configuration`` describes, continued from its folder if it was begun.

    Args:
        configuration: see :class:`TrainingConfiguration`.
        report: receives lines of progress.
        photos: what to train on; None: the configuration's sources, less the development split.

    Raises:
        DataError, WeightsError, SettingsError: naming what cannot be used.
    """
    device = settled(configuration, report)
    development: Sequence[Photo] = ()
    if photos is None:
        photos, development = _read_sources(configuration, report)
        report(f"{len(photos)} photos to train on, {len(development)} kept for choosing the best weights")
    folder = Path(configuration.out)
    outputs.require_apart((folder / name for name in WRITTEN), _read_files(configuration))
    network, header = starting_network(configuration)
    fingerprint = fingerprint_of(configuration, photos)
    sampler = CropSampler(photos, configuration.sources, configuration.sampling, configuration.seed)
    trainer = Trainer(network, sampler, configuration, device)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the run's folder {folder} cannot be made ({error.strerror}); choose another --out."
        ) from None
    best = math.inf
    if is_begun(folder):
        state = read_state(folder, fingerprint, device)
        trainer.restore(state)
        best = float(state["best"])
        report(f"continuing at step {trainer.step}")
    return Run(
        configuration=configuration,
        trainer=trainer,
        development=development_samples(development, configuration.development_objects),
        header=header,
        fingerprint=fingerprint,
        report=report,
        best=best,
    )


def settled(configuration: TrainingConfiguration, report: Callable[[str], None]) -> torch.device:
    """Return the device of ``configuration``, with torch's seed, and its threads on a CPU, as it says.

    ``report`` is told where it will be slow.
    """
    device = choose_device(configuration.device)
    if device.type == "cpu":
        torch.set_num_threads(configuration.threads or container_share())
        if configuration.precision == "bfloat16" and _lacks_bfloat16():
            report(
                "this processor has no bfloat16 units, so steps take many times as long as in float32; give "
                "'precision = \"float32\"' for a new run, or go on with this one where there are such units"
            )
    torch.manual_seed(configuration.seed)
    return device


def _lacks_bfloat16() -> bool:
    """Return whether this is a known processor that must do without; older releases of torch cannot tell."""
    abilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return abilities.get("architecture") == "x86_64" and not (
        abilities.get("avx512_bf16") or abilities.get("amx_bf16")
    )


def _read_files(configuration: TrainingConfiguration) -> list[Path]:
    """Return the files and folders that the run starts from."""
    found = [Path(source.path) for source in configuration.sources]
    if configuration.start is not None:
        found.append(resolve(configuration.start))
    if configuration.initialisation is not None:
        found.append(Path(configuration.initialisation))
    return found


def read_source(
    source: SourceConfiguration, index: int, longest_side: int, report: Callable[[str], None]
) -> list[Photo]:
    """Return the photos of one source, see :func:`read_photos`, having reported what it had to leave out."""
    dataset = open_dataset(source.path, source.images)
    photos = read_photos(dataset, index, longest_side, source.smallest_region)
    if dataset.left_out:
        report(f"left out of {Path(source.path).name}: {listed(dataset.left_out)}")
    return photos


def _read_sources(
    configuration: TrainingConfiguration, report: Callable[[str], None]
) -> tuple[list[Photo], list[Photo]]:
    """Return the training photos and the development photos."""
    if configuration.pack is not None:
        photos = read_pack(Path(configuration.pack), configuration.sources, configuration.longest_side)
    else:
        photos = [
            photo
            for index, source in enumerate(configuration.sources)
            for photo in read_source(source, index, configuration.longest_side, report)
        ]
    training, development = split(photos, configuration.development_share)
    if not training:
        raise DataError(f"all {len(photos)} photos fell into the development split; lower development_share.")
    return training, development


def read_training_photos(configuration: TrainingConfiguration, report: Callable[[str], None]) -> list[Photo]:
    """Return the configuration's photos, less the development split."""
    return _read_sources(configuration, report)[0]


def read_development_photos(configuration: TrainingConfiguration, sets: Collection[str] = ()) -> list[Photo]:
    """Return the photos that are kept out of training; those trained on are not even read.

    Args:
        configuration: with sources, not with a pack.
        sets: names of the sources' folders; none: of all.
    """
    photos = []
    for index, source in enumerate(configuration.sources):
        if not sets or Path(source.path).name in sets:
            dataset = open_dataset(source.path, source.images)
            kept = [
                name
                for name in dataset.image_names
                if is_held_out(f"{dataset.name}/{name}", configuration.development_share)
            ]
            photos += read_photos(
                dataset, index, configuration.longest_side, source.smallest_region, names=kept
            )
    return photos


def sampler_of(configuration: TrainingConfiguration, report: Callable[[str], None]) -> CropSampler:
    """Return what draws crops of the configuration's photos, less the development split."""
    photos = read_training_photos(configuration, report)
    return CropSampler(photos, configuration.sources, configuration.sampling, configuration.seed)


def starting_network(configuration: TrainingConfiguration) -> tuple[InteractiveNetwork, dict[str, Any]]:
    """Return the network to train, and the header of its checkpoints."""
    header: dict[str, Any] = {
        "variant": configuration.variant,
        "arguments": configuration.arguments,
        "protocol": product(configuration.variant).to_dict(),
        "model_card": {
            "sources": [source_name(source) for source in configuration.sources],
            "licences": {
                source_name(source): source.licence for source in configuration.sources if source.licence
            },
        },
    }
    if configuration.start is not None:
        path = resolve(configuration.start)
        checkpoint = read_checkpoint(path)
        if checkpoint.variant != configuration.variant:
            raise WeightsError(
                f"{configuration.start!r} is a {checkpoint.variant}, the configuration says "
                f"{configuration.variant}; make them agree."
            )
        arguments = dict(checkpoint.arguments)
        if configuration.arguments and configuration.arguments != arguments:
            raise WeightsError(
                f"{configuration.start!r} was built with {arguments}, the configuration's [arguments] say "
                f"{configuration.arguments}; leave them out."
            )
        header.update(arguments=arguments, protocol=protocol_of(checkpoint, path).to_dict())
        if rating_of(checkpoint, path) is not None:
            header["rating"] = checkpoint.header["rating"]
        return checkpoint.network(), header
    network = build(configuration.variant, **configuration.arguments)
    if configuration.initialisation is not None:
        _initialise(network, Path(configuration.initialisation))
    return network, header


def _initialise(network: InteractiveNetwork, path: Path) -> None:
    """Fill the backbone of ``network`` with the weights in ``path``; surplus tensors are left out."""
    if not path.is_file():
        raise WeightsError(f"initialisation {path} does not exist; give a .safetensors file of the backbone.")
    backbone = getattr(network, "backbone", None)
    if not isinstance(backbone, Encoder):
        raise WeightsError("only variants of the light network take an initialisation; leave it out.")
    try:
        backbone.load_state_dict(backbone.published(load_file(path)))
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"initialisation {path} cannot be read ({error}); give a .safetensors file."
        ) from None
    except KeyError as error:
        raise WeightsError(f"initialisation {path} lacks {error} of the backbone.") from None
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"initialisation {path} does not fit the backbone: {reason}") from None


def _line(row: dict[str, float], steps: int) -> str:
    words = [f"step {row['step']:.0f}/{steps}", f"{row['seconds'] / 60:.1f} min"]
    words += [
        f"{name} {value:.3f}"
        for name, value in row.items()
        if name.startswith(("loss", "iou", "development")) and not math.isnan(value)
    ]
    return "  ".join(words)
