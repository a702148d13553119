"""What should a box tell the network, and what should the first click after it start from?

    python benchmarks/boxes.py SET_FOLDER... [--model FILE] [--objects 12] [--held-out 0.06]

Each object gets its exact box, then two clicks of the simulated annotator. Compared, by mean IoU:

* *rectangle*: the box as feedback and a click in its centre; the first click starts again from the rectangle;
* *rectangle, then its mask*: the same, but clicks go on from the mask that the box gave;
* *with surroundings*: also negative clicks beyond its sides; clicks go on from that mask (the product).
"""

from __future__ import annotations

import argparse

import numpy as np

from fcfi_core import Box, Click, Predictor, load_model, masks
from fcfi_core.datasets.folder import Sample, choose
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.predictor import Scene, State
from fcfi_core.prior import Prior
from fcfi_core.results import Result
from fcfi_core.stopwatch import Stopwatch

CLICKS = 2


class CentreOnly(Prior):
    """A box that implies nothing but a click in its centre."""

    def implied_clicks(self, height: int, width: int, clicks: object) -> tuple[Click, ...]:
        return () if clicks else (self.implied_click(),)


class Afresh(Predictor):
    """Every list of clicks starts from the rectangle, not from the mask that the box gave."""

    def state(self, scene: Scene, clicks: tuple[Click, ...], watch: Stopwatch | None = None) -> State | None:
        assert scene.prior is not None
        state = self._start(scene.prior, scene.size)
        for length in range(1, len(clicks) + 1) or (0,):
            state = self.advance(scene, state, clicks[:length], watch or Stopwatch())
        return state


def ious(predictor: Predictor, sample: Sample, kind: type[Prior]) -> list[float]:
    """Return the IoU with the box alone and after each click."""
    box = masks.box_of(sample.truth)
    scene = predictor.scene(sample.pixels, box=box)
    assert isinstance(box, Box)
    scene = Scene(scene.image, kind(box, None), 0.0)
    annotator, clicks, found = Clicker(sample.truth, sample.ignore), (), []
    for _ in range(CLICKS + 1):
        result: Result = predictor.result(scene, clicks)
        found.append(metrics.iou(result.mask, sample.truth, sample.ignore))
        click = annotator.next(result.mask)
        if click is not None:
            clicks = (*clicks, click)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="each with images/ and masks/")
    parser.add_argument("--model", default="default")
    parser.add_argument("--objects", type=int, default=12, help="per folder")
    parser.add_argument(
        "--held-out", type=float, default=0.06, help="share kept out of training; 0: all photos"
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    model = load_model(arguments.model, threads=arguments.threads)
    samples = [
        sample
        for folder in arguments.folders
        for sample in choose(
            open_dataset(folder),
            count=arguments.objects,
            seed=5,
            held_out=arguments.held_out or None,
            min_area=300,
        )
    ]
    print(f"{len(samples)} objects, model {model.name} {model.version}\n")
    print("| rule | box alone | + 1 click | + 2 clicks |\n| --- | --- | --- | --- |")
    for name, predictor, kind in (
        ("rectangle", Afresh(model), CentreOnly),
        ("rectangle, then its mask", Predictor(model), CentreOnly),
        ("with surroundings", Predictor(model), Prior),
    ):
        table = np.array([ious(predictor, sample, kind) for sample in samples])
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in table.mean(axis=0))} |", flush=True)


if __name__ == "__main__":
    main()
