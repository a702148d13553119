"""Do the clicks of an object save clicks on its neighbours, as negative ones?

    python benchmarks/scenes.py FOLDER... [--photos 10] [--objects 3] [--clicks 8]

Photos that training keeps out, with several objects each. The simulated annotator cuts out one after the
other: *alone*, and *scene*: the positive clicks of the objects done before stand as negative clicks before
the first one (they are no clicks of this object and are not counted); *first*: only the first of each.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import groupby
from pathlib import Path

import numpy as np

from fcfi_core.clicks import Click
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.model import load_model
from fcfi_core.predictor import Predictor

WAYS = ("alone", "scene", "first")


def series(
    predictor: Predictor, sample: Sample, before: list[Click], most: int
) -> tuple[list[float], list[Click]]:
    """Return the IoU after each click of the annotator, and the clicks, with ``before`` made already."""
    annotator, session = Clicker(sample.truth, sample.ignore), predictor.open(sample.loaded)
    for click in before:
        if not sample.truth[click.y, click.x]:
            session.click(click.x, click.y, False)
    mask, ious, clicks = np.zeros(sample.truth.shape, np.bool_), list[float](), list[Click]()
    while len(clicks) < most and (not ious or ious[-1] < 0.9):
        click = annotator.next(mask)
        if click is None:
            break
        mask = session.click(click.x, click.y, click.positive).mask
        clicks.append(click)
        ious.append(metrics.iou(mask, sample.truth, sample.ignore))
    return ious, clicks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photos", type=int, default=10, help="of each set, the first with several objects")
    parser.add_argument("--objects", type=int, default=3, help="of each photo, the largest")
    parser.add_argument("--clicks", type=int, default=8)
    parser.add_argument("--min-area", type=int, default=1000)
    arguments = parser.parse_args()
    predictor = Predictor(load_model("default", threads=1))
    for folder in arguments.folders:
        tables: dict[str, list[list[float]]] = defaultdict(list)
        photos = 0
        samples = choose(open_dataset(folder), min_area=arguments.min_area, held_out=0.06)
        for _, group in groupby(samples, lambda sample: sample.image_name):
            scene = sorted(group, key=lambda sample: -np.count_nonzero(sample.truth))[: arguments.objects]
            if len(scene) < 2 or photos == arguments.photos:
                continue
            photos += 1
            for way in WAYS:
                done: list[Click] = []
                for sample in scene:
                    ious, clicks = series(predictor, sample, done if way != "alone" else [], arguments.clicks)
                    tables[way].append(ious)
                    positive = [click for click in clicks if click.positive]
                    done += positive[:1] if way == "first" else positive
        for way in WAYS:
            found = metrics.evaluate(metrics.table(tables[way], arguments.clicks), targets=(0.85, 0.9))
            figures = "  ".join(
                f"{name} {found[name]:.3f}" for name in ("noc@85", "noc@90", "iou@1", "iou@3")
            )
            print(f"{folder.name:<16}{way:<7}{len(tables[way]):>4} objects  {figures}", flush=True)


if __name__ == "__main__":
    main()
