"""What each choice of the training recipe is worth: short runs at an equal budget, one change at a time.

    python benchmarks/recipe.py SETS_FOLDER --initialisation BACKBONE.safetensors --out RESULTS_FOLDER

Every run trains the default's architecture from the initialisation with the settings of ``recipe.toml``
beside this file (the recipe of that time) and exactly one change, then clicks through objects of the
development split (photos kept out of training by name; no evaluation set is touched). The unchanged
recipe is run with three seeds: differences smaller than their spread mean nothing. Results are kept in
``RESULTS_FOLDER/results.json``; a second start goes on with what is missing. The table is Markdown.

``--only`` runs some of them, in the order given. With ``--switched-off`` every trained network is clicked
through once more without its own FFCM, and once more without its CFFM.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample
from fcfi_core.evaluation.ablations import bypassed
from fcfi_core.networks.base import NetworkOutput
from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.networks.efficientnet import EfficientNetLite0FeedbackNetwork, EfficientNetLite2FeedbackNetwork
from fcfi_core.networks.feedback_correction import FeedbackCorrection, clicked, with_correction
from fcfi_core.networks.mobilenet import MobileNetEncoding, MobileNetFeedbackNetwork
from fcfi_core.protocol import product
from fcfi_core.training.configuration import PhaseConfiguration, TrainingConfiguration
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.crops import CropSampler
from fcfi_core.training.development import clicks_needed, development_samples
from fcfi_core.training.loop import Trainer
from fcfi_core.training.photos import Photo, read_photos, split

RECIPE = Path(__file__).with_suffix(".toml")
KEPT = ("noc@80", "noc@85", "noc@90", "iou@1", "iou@3", "iou@5")
SWITCHED_OFF = {"FFCM": {"correction": True}, "CFFM": {"fusion": True}}


class ClicksAtStem(MobileNetFeedbackNetwork):
    """Clicks and feedback also enter behind the first convolution, as in the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_injection = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 32, 1)
        )
        nn.init.zeros_(self.stem_injection[-1].weight)
        nn.init.zeros_(self.stem_injection[-1].bias)

    def encode(self, image: Tensor) -> Any:
        return (image,)

    def decode(
        self, encoding: Any, feedback: Tensor, points: Tensor, *others: Any, **named: Any
    ) -> NetworkOutput:
        disks = disk_maps(points, *feedback.shape[-2:], 5)
        maps = torch.cat((functional.avg_pool2d(feedback, 2), functional.max_pool2d(disks, 2)), dim=1)
        stem = self.backbone.features[0]
        hook = stem.register_forward_hook(lambda _module, _input, found: found + self.stem_injection(maps))
        try:
            encoded = super().encode(encoding[0])
        finally:
            hook.remove()
        return super().decode(encoded, feedback, points, *others, **named)


class _Nothing(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.new_zeros(())


class AlwaysOpenGate(MobileNetFeedbackNetwork):
    """CFFM's residual is added from the first click on, when there is no feedback yet."""

    def decode(
        self, encoding: Any, feedback: Tensor, points: Tensor, new_points: Tensor, gate: Any, **named: Any
    ) -> NetworkOutput:
        return super().decode(encoding, feedback, points, new_points, 1.0, **named)


class DotProduct(FeedbackCorrection):
    """Affinity is the scaled dot product of the embeddings, squashed below 1."""

    def affinity(self, embedding: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        product = torch.einsum("bchw,bc->bhw", embedding, clicked(embedding, rows, columns)).unsqueeze(1)
        return torch.tanh(product / embedding.shape[1] ** 0.5)


class Gaussian(FeedbackCorrection):
    """Affinity falls with the squared distance of the embeddings."""

    def affinity(self, embedding: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        return torch.exp(-_squared_distances(embedding, rows, columns).mean(dim=1, keepdim=True))


class LearnedMetric(FeedbackCorrection):
    """Affinity falls with a squared distance whose weights, one for each channel, are learnt."""

    metric: nn.Conv2d

    def affinity(self, embedding: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        return torch.sigmoid(self.metric(_squared_distances(embedding, rows, columns)))


class WindowByError(FeedbackCorrection):
    """The window reaches twice as far as it is from the click to the nearest cell that agrees with it.

    That is about the size of the error, as far as it can be known without the truth.
    """

    def reach(
        self, corrected: Tensor, label: Tensor, rows: Tensor, columns: Tensor, pixels: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        height, width = corrected.shape[-2:]
        down = torch.arange(height, device=corrected.device).view(1, -1, 1) - rows.view(-1, 1, 1)
        across = torch.arange(width, device=corrected.device).view(1, 1, -1) - columns.view(-1, 1, 1)
        distance = (down.square() + across.square()).sqrt()
        agrees = ((corrected > 0.5) == (label > 0.5))[:, 0]
        nearest = distance.masked_fill(~agrees, torch.inf).flatten(1).amin(dim=1)
        usual = super().reach(corrected, label, rows, columns, pixels)
        # Nothing agrees with the first click: then the window is as always.
        return tuple(  # type: ignore[return-value]
            torch.where(nearest.isinf(), torch.tensor(float(side)), 2 * nearest * pixel / cells)
            .round()
            .clamp(side / 4, side * 4)
            for side, pixel, cells in zip(usual, pixels, (height, width), strict=True)
        )


class WindowByUncertainty(FeedbackCorrection):
    """The window is half the usual where the feedback is sure, and twice the usual where it is not."""

    def reach(
        self, corrected: Tensor, label: Tensor, rows: Tensor, columns: Tensor, pixels: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        unsure = 4 * corrected.detach() * (1 - corrected.detach())
        usual = super().reach(corrected, label, rows, columns, pixels)
        size = [
            2 * max(round(side * cells / pixel / 2), 1) + 1
            for side, pixel, cells in zip(usual, pixels, corrected.shape[-2:], strict=True)
        ]
        around = functional.avg_pool2d(unsure, size, 1, [side // 2 for side in size], count_include_pad=False)
        share = clicked(around, rows, columns)[:, 0]
        factor = 0.5 + 1.5 * (2 * share).clamp(max=1)
        return (factor * usual[0]).round(), (factor * usual[1]).round()


def _squared_distances(embedding: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return (embedding - clicked(embedding, rows, columns)[:, :, None, None]).square()


class StrideFour(MobileNetFeedbackNetwork):
    """The prediction stays at stride 4."""

    def _refine(self, encoding: MobileNetEncoding, features: Tensor, logits: Tensor) -> Tensor:
        return logits


def only_at_stem() -> MobileNetFeedbackNetwork:
    network = ClicksAtStem()
    network.click_injection = _Nothing()  # type: ignore[assignment]
    return network


def without(*, correction: bool = False, fusion: bool = False) -> MobileNetFeedbackNetwork:
    return bypassed(MobileNetFeedbackNetwork(), correction=correction, fusion=fusion)


def corrected_by(way: type[FeedbackCorrection]) -> MobileNetFeedbackNetwork:
    network = with_correction(MobileNetFeedbackNetwork(), way)
    module = network.correction_module
    if isinstance(module, LearnedMetric):
        channels = module.info_encoder[0].conv.out_channels
        module.metric = nn.Conv2d(channels, 1, 1)
        nn.init.constant_(module.metric.weight, -2 / channels)
        nn.init.constant_(module.metric.bias, 2)
    return network


@dataclass(frozen=True)
class Experiment:
    """One change of the recipe.

    Args:
        question: what it answers, the first column of the table.
        name: the second column, unique.
        changes: entries of the configuration, ``section.entry`` or ``entry``.
        network: builds the architecture.
        steps: factor of the number of steps.
        encoder: whose published weights the backbone begins with.
        lacks: parts that are not in it, so that they cannot be switched off afterwards.
    """

    question: str
    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    network: Callable[[], MobileNetFeedbackNetwork] = MobileNetFeedbackNetwork
    steps: float = 1.0
    encoder: str = "mobilenetv2"
    lacks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The key of its results."""
        return f"{self.question}: {self.name}"


_LITE0, _LITE2 = OTHER_ENCODERS = ("efficientnet_lite0", "efficientnet_lite2")

UNCHANGED = "the recipe"
EXPERIMENTS = (
    Experiment(UNCHANGED, "seed 0"),
    Experiment(
        "encoder",
        "EfficientNet-Lite2",
        network=EfficientNetLite2FeedbackNetwork,
        encoder="efficientnet_lite2",
    ),
    Experiment(
        "encoder",
        "EfficientNet-Lite0",
        network=EfficientNetLite0FeedbackNetwork,
        encoder="efficientnet_lite0",
    ),
    Experiment("where clicks enter", "stem (and stride 4)", network=only_at_stem),
    Experiment(
        "FCFI modules",
        "trained without FFCM",
        network=lambda: without(correction=True),
        lacks=("FFCM",),
    ),
    Experiment(
        "FCFI modules",
        "trained without FFCM and CFFM",
        network=lambda: without(correction=True, fusion=True),
        lacks=("FFCM", "CFFM"),
    ),
    Experiment(UNCHANGED, "seed 1", {"seed": 1}),
    Experiment("loss", "normalised focal (official)", {"loss.kind": "normalized_focal"}),
    Experiment("learning rate", "half", {"optimizer.learning_rate": 0.7e-3}),
    Experiment("learning rate", "double", {"optimizer.learning_rate": 2.8e-3}),
    Experiment("encoder", "frozen", {"optimizer.frozen_blocks": 18, "optimizer.encoder_factor": 0.0}),
    Experiment("encoder", "all blocks trained", {"optimizer.frozen_blocks": 0}),
    Experiment("encoder", "learning rate x 0.3 instead of x 0.1", {"optimizer.encoder_factor": 0.3}),
    Experiment("output stride", "4, no refinement", network=StrideFour),
    Experiment("decoder width", "32", network=lambda: MobileNetFeedbackNetwork(decoder_width=32)),
    Experiment("decoder width", "96", network=lambda: MobileNetFeedbackNetwork(decoder_width=96)),
    Experiment("FFCM window", "half (0.15)", network=lambda: MobileNetFeedbackNetwork(expansion_ratio=0.15)),
    Experiment(
        "FFCM window", "whole frame (2.0)", network=lambda: MobileNetFeedbackNetwork(expansion_ratio=2.0)
    ),
    Experiment("FFCM window", "soft while training (official)", {"loss.window": "soft"}),
    Experiment("CFFM gate", "open at the first click", network=AlwaysOpenGate),
    Experiment(
        "click sampling", "always the centre", {"sampling.centre_clicks": 1.0, "sampling.stray_clicks": 0.0}
    ),
    Experiment(
        "click sampling",
        "anywhere in the error",
        {"sampling.centre_clicks": 0.0, "sampling.stray_clicks": 1.0},
    ),
    Experiment("crops", "whole photos only", {"sampling.object_crop": 0.0, "sampling.whole_image": 1.0}),
    Experiment("crops", "around the object only", {"sampling.object_crop": 1.0, "sampling.whole_image": 0.0}),
    Experiment("crops", "never squeezed into a square", {"sampling.undistorted": 1.0}),
    Experiment("FCFI modules", "trained without CFFM", network=lambda: without(fusion=True), lacks=("CFFM",)),
    Experiment(UNCHANGED, "seed 2", {"seed": 2}),
    Experiment("where clicks enter", "stem and encoder's end", network=ClicksAtStem),
    Experiment("loss", "no extra weight near clicks", {"loss.click_weight": 1.0}),
    Experiment("loss", "none on the feedback maps", {"loss.feedback": 0.0}),
    Experiment("clicks per encoded crop", "1, twice the steps", {"sampling.rounds": 1}, steps=2.0),
    Experiment(
        "starts", "never from a box or a mask", {"sampling.box_start": 0.0, "sampling.prior_start": 0.0}
    ),
    Experiment("composites", "no pasted objects", {"sampling.paste": 0.0}),
    Experiment("composites", "no drawn thin structures", {"sampling.thin": 0.0}),
    Experiment("FFCM affinity", "dot product", network=lambda: corrected_by(DotProduct)),
    Experiment("FFCM affinity", "Gaussian of the distance", network=lambda: corrected_by(Gaussian)),
    Experiment("FFCM affinity", "learned metric", network=lambda: corrected_by(LearnedMetric)),
    Experiment("FFCM window", "by the size of the error", network=lambda: corrected_by(WindowByError)),
    Experiment("FFCM window", "by the uncertainty", network=lambda: corrected_by(WindowByUncertainty)),
)


def configured(base: TrainingConfiguration, changes: dict[str, Any]) -> TrainingConfiguration:
    """Return ``base`` with ``changes`` made."""
    for name, value in changes.items():
        section, _, entry = name.rpartition(".")
        if section:
            base = replace(base, **{section: replace(getattr(base, section), **{entry: value})})
        else:
            base = replace(base, **{entry: value})
    return base


def run(
    experiment: Experiment,
    base: TrainingConfiguration,
    photos: Sequence[Photo],
    samples: Sequence[Sample],
    initialisation: Path,
    frame: int,
    switched_off: bool,
) -> dict[str, float]:
    """Train and measure one experiment; what is measured with a part switched off has its name behind."""
    steps = round(base.steps * experiment.steps)
    configuration = configured(replace(base, steps=steps), experiment.changes)
    torch.manual_seed(configuration.seed)
    network = experiment.network()
    network.backbone.load_state_dict(network.backbone.published(load_file(initialisation)))
    sampler = CropSampler(photos, configuration.sources, configuration.sampling, configuration.seed)
    trainer = Trainer(network, sampler, configuration, torch.device("cpu"))
    started = time.process_time()
    trainer.run(lambda _trainer, _figures: True)
    seconds = time.process_time() - started
    network.load_state_dict(trainer.average.weights)
    protocol = replace(product(), first_side=frame, target_size=frame)

    def measured(seen: MobileNetFeedbackNetwork, behind: str = "") -> dict[str, float]:
        figures = clicks_needed(seen.eval(), samples, variant="mobilenetv2", protocol=protocol, threads=1)
        return {name + behind: figures[name] for name in KEPT}

    results = {**measured(network), "seconds": seconds}
    for part, switches in SWITCHED_OFF.items():
        if switched_off and part not in experiment.lacks:
            results.update(measured(bypassed(network, **switches), f" without {part}"))
    return results


def chosen(only: Sequence[str]) -> list[Experiment]:
    """Return the experiments whose title holds one of ``only``, in that order; all of them for none.

    Raises:
        SystemExit: if one of ``only`` is in no title.
    """
    found: list[Experiment] = []
    for text in only or [""]:
        fitting = [experiment for experiment in EXPERIMENTS if text in experiment.title]
        if not fitting:
            raise SystemExit(f"no experiment is called {text!r}; give part of one of:\n{_titles()}")
        found += [experiment for experiment in fitting if experiment not in found]
    return found


def _titles() -> str:
    return "\n".join(experiment.title for experiment in EXPERIMENTS)


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the results as a Markdown table, the unchanged recipe first, questions together."""
    questions = list(dict.fromkeys(experiment.question for experiment in EXPERIMENTS))
    shown = ["noc@80", "noc@85", "iou@1", "iou@3", "iou@5", "seconds"]
    names = ["NoC@80", "NoC@85", "IoU@1", "IoU@3", "IoU@5", "CPU seconds"]
    for part in SWITCHED_OFF:
        if any(f"noc@85 without {part}" in found for found in results.values()):
            shown += [f"noc@85 without {part}", f"iou@3 without {part}"]
            names += [f"NoC@85, {part} off", f"IoU@3, {part} off"]
    rows = [f"| question | run | {' | '.join(names)} |", "| --- " * (len(names) + 2) + "|"]
    for experiment in sorted(EXPERIMENTS, key=lambda experiment: questions.index(experiment.question)):
        found = results.get(experiment.title)
        if found is not None:
            cells = [_cell(name, found[name]) if name in found else "" for name in shown]
            rows.append(f"| {experiment.question} | {experiment.name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(name: str, value: float) -> str:
    digits = 0 if name == "seconds" else 2 if name.startswith("noc") else 3
    return f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, help="folder that holds the training sets by their names")
    parser.add_argument("--initialisation", type=Path, required=True, help="backbone weights")
    for name in OTHER_ENCODERS:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=Path,
            metavar="BACKBONE.safetensors",
            help="for its experiments",
        )
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--size", type=int, default=160, help="side of the crops")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2, help="clicks with a gradient per step and crop")
    parser.add_argument("--precision", default="float32", help="or bfloat16, see TrainingConfiguration")
    parser.add_argument("--objects", type=int, default=50, help="of the development split")
    # Nearer to the small training crops than the product's frames.
    parser.add_argument("--frame", type=int, default=256, help="side of the frames while measuring")
    parser.add_argument("--switched-off", action="store_true", help="also measure without FFCM, without CFFM")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="the experiments whose title holds it"
    )
    arguments = parser.parse_args()
    experiments = chosen(arguments.only)
    torch.set_num_threads(1)
    base = load_configuration(RECIPE)
    base = replace(
        base,
        out=str(arguments.out),
        steps=arguments.steps,
        seed=0,
        sources=tuple(
            replace(source, path=str(arguments.sets / Path(source.path).name)) for source in base.sources
        ),
        phases=(PhaseConfiguration(1.0, arguments.size, arguments.batch),),
        precision=arguments.precision,
        # Crops and encoder as they were in the recorded runs.
        sampling=replace(
            base.sampling, rounds=arguments.rounds, object_crop=0.55, whole_image=0.25, undistorted=0.0
        ),
        optimizer=replace(
            base.optimizer,
            encoder_factor=0.1,
            warmup=arguments.steps // 10,
            average=max(1 - 4 / arguments.steps, 0.0),
        ),
    )
    photos = [
        photo
        for index, source in enumerate(base.sources)
        for photo in read_photos(open_dataset(source.path), index, 320)
    ]
    training, development = split(photos, base.development_share)
    samples = development_samples(development, arguments.objects)
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = arguments.out / "results.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    backbones = {
        "mobilenetv2": arguments.initialisation,
        **{name: getattr(arguments, name) for name in OTHER_ENCODERS},
    }
    for experiment in experiments:
        name, backbone = experiment.title, backbones[experiment.encoder]
        if name not in results and backbone is not None:
            results[name] = run(
                experiment, base, training, samples, backbone, arguments.frame, arguments.switched_off
            )
            kept.write_text(json.dumps(results, indent=2))
            print(name, {key: round(value, 3) for key, value in results[name].items()}, flush=True)
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
