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

from fcfi_core import Click, load_model, masks
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.images import LoadedImage, load
from fcfi_core.memo import Memo
from fcfi_core.prompt import Prompt
from fcfi_core.recurrence import Recurrence
from fcfi_core.rules import ProductRules, Size, State
from fcfi_core.stopwatch import Stopwatch

CLICKS = 2


class CentreOnly(ProductRules):
    """A box implies nothing but a click in its centre."""

    def shown(self, prompt: Prompt, size: Size) -> tuple[Click, ...]:
        implied = prompt.implied_click
        return prompt.clicks if implied is None else (implied,)


class Afresh(Recurrence):
    """Every list of clicks starts from the rectangle, not from the mask that the box gave."""

    def state(self, image: LoadedImage, prompt: Prompt, watch: Stopwatch | None = None) -> State | None:
        state = self.rules.start(prompt, (image.height, image.width))
        for length in range(1, len(prompt.clicks) + 1) or (0,):
            state = self.advance(image, state, prompt.prefix(length), watch)
        return state


def ious(recurrence: Recurrence, sample: Sample) -> list[float]:
    """Return the IoU with the box alone and after each click."""
    image, prompt = load(sample.pixels), Prompt(box=masks.box_of(sample.truth))
    annotator, found = Clicker(sample.truth, sample.ignore), []
    for _ in range(CLICKS + 1):
        result = recurrence.result(image, prompt)
        found.append(metrics.iou(result.mask, sample.truth, sample.ignore))
        click = annotator.next(result.mask)
        if click is not None:
            prompt = prompt.with_clicks((*prompt.clicks, click))
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
    for name, kind, rules in (
        ("rectangle", Afresh, CentreOnly),
        ("rectangle, then its mask", Recurrence, CentreOnly),
        ("with surroundings", Recurrence, ProductRules),
    ):
        recurrence = kind(model, model.protocol, Memo(2**28))
        recurrence.rules = rules(model.protocol, model.engine.size_multiple)
        table = np.array([ious(recurrence, sample) for sample in samples])
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in table.mean(axis=0))} |", flush=True)


if __name__ == "__main__":
    main()
