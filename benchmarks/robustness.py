"""What bad clicks and bad photos cost: clicks needed under each disturbance, for one or more weights.

    python benchmarks/robustness.py CONFIG.toml default before.safetensors --objects 60

The objects are those of the development split of a configuration, see ``development.py``; every
condition meets the same ones. The first line has no disturbance. Times are not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from development import mean_of, network_of, parser_of, samples_for

from fcfi_core.datasets.samples import Sample
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.benchmark import Rules, trace
from fcfi_core.evaluation.clicker import ClickNoise, NearBorder, UniformJitter
from fcfi_core.evaluation.degradations import degraded
from fcfi_core.model import Model, rating_of
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol

CLICKS: dict[str, ClickNoise] = {
    "clicks up to 10 pixels off": UniformJitter(10),
    "the same, also across the outline": UniformJitter(10, may_miss=True),
    "clicks near the border": NearBorder(0.5),
}
PHOTOS = (
    "jpeg:30",
    "jpeg:10",
    "blur:2",
    "shake:9",
    "noise:20",
    "night:0.08",
    "fog:0.6",
    "grey",
    "thermal",
    "drawing",
)
TARGETS = (0.85, 0.90)


def measured(
    predictor: Predictor, samples: Sequence[Sample], noise: ClickNoise | None, max_clicks: int
) -> dict[str, float]:
    """Return the click metrics on ``samples``."""
    rules = Rules(max_clicks=max_clicks, targets=TARGETS, boundaries=False, noise=noise)
    series = [trace(predictor, sample, rules)[0].ious for sample in samples]
    return metrics.evaluate(metrics.table(series, max_clicks), targets=TARGETS)


def main() -> None:
    parser = parser_of(__doc__, objects=60)
    parser.add_argument("--max-clicks", type=int, default=20)
    arguments = parser.parse_args()
    samples = samples_for(arguments)
    predictors = []
    for text in arguments.weights:
        checkpoint = mean_of(text)
        model = Model.from_network(
            network_of(checkpoint),
            variant=checkpoint.variant,
            protocol=Protocol.from_dict(dict(checkpoint.protocol)),
            device="cpu",
            threads=1,
            rating=rating_of(checkpoint, Path(text)),
        )
        predictors.append(Predictor(model, memo_bytes=64 * 2**20))
    conditions: list[tuple[str, ClickNoise | None, str | None]] = [("none", None, None)]
    conditions += [(name, noise, None) for name, noise in CLICKS.items()]
    conditions += [(kind, None, kind) for kind in PHOTOS]
    print(f"{len(samples)} objects; {', '.join(arguments.weights)}: NoC@85, NoC@90, IoU@1, IoU@3\n")
    print("| disturbance |" + " | | | |" * len(predictors))
    print("| --- |" + " --- | --- | --- | --- |" * len(predictors), flush=True)
    for name, noise, kind in conditions:
        seen = samples
        if kind is not None:
            seen = [replace(sample, image=degraded(sample.pixels, kind)) for sample in samples]
        cells = []
        for predictor in predictors:
            figures = measured(predictor, seen, noise, arguments.max_clicks)
            cells += [f"{figures['noc@85']:.2f}", f"{figures['noc@90']:.2f}"]
            cells += [f"{figures['iou@1']:.3f}", f"{figures['iou@3']:.3f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
