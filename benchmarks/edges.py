"""What the last steps of an answer give: local colours, and a pass in a finer frame.

    python benchmarks/edges.py FOLDER... [--objects 20] [--clicks 3] [--narrower 4]

The same clicks of the simulated annotator for all four answers, on photos that training keeps out
(``--held-out 1``: on all): IoU, boundary IoU (band of 2 pixels and of 2 %), the share of objects that a
step makes worse by more than .01, and processor time of an answer from its state on. ``--narrower``: only
objects of at least 50 pixels that are less than so many pixels wide, twice the area by the outlines' length.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.masks import to_polygons
from fcfi_core.model import load_model
from fcfi_core.predictor import Predictor
from fcfi_core.results import Result

_THIN_PIXELS = 50

STEPS = {"plain": (False, False), "colours": (True, False), "finer": (False, True), "both": (True, True)}
"""Name -> (local colours, finer pass)."""


def figures(result: Result, sample: Sample, colours: bool, finer: bool) -> tuple[float, ...]:
    """Return IoU, boundary IoU at 2 pixels and at 2 %, and milliseconds of processor time."""
    start = time.process_time()
    answer = replace(result.refined() if finer else result, sharp=colours)
    mask = answer.finished().mask
    milliseconds = 1000 * (time.process_time() - start)
    truth, ignore = sample.truth, sample.ignore
    return (
        metrics.iou(mask, truth, ignore),
        metrics.boundary_iou(mask, truth, ignore, pixels=metrics.NARROW),
        metrics.boundary_iou(mask, truth, ignore),
        milliseconds,
    )


def answer_after(predictor: Predictor, sample: Sample, clicks: int) -> Result | None:
    """Return the answer after so many clicks of the annotator, who looks at the predictor's masks."""
    annotator, session = Clicker(sample.truth, sample.ignore), predictor.open(sample.loaded)
    result, mask = None, np.zeros(sample.truth.shape, np.bool_)
    for _ in range(clicks):
        click = annotator.next(mask)
        if click is None:
            break
        result = session.click(click.x, click.y, click.positive)
        mask = result.mask
    return result


def width_of(sample: Sample) -> float:
    """Return how many pixels wide the object is, as if it were a band."""
    rings = [
        ring for part in to_polygons(sample.truth, 1.0, None).parts for ring in (part.exterior, *part.holes)
    ]
    length = sum(float(np.hypot(*(ring - np.roll(ring, 1, axis=0)).T).sum()) for ring in rings)
    return 2 * np.count_nonzero(sample.truth) / length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--clicks", type=int, nargs="+", default=[3])
    parser.add_argument("--held-out", type=float, default=0.06, help="share; 1: every photo")
    parser.add_argument("--model", default="default")
    parser.add_argument("--narrower", type=float, help="than so many pixels: only such objects")
    arguments = parser.parse_args()
    predictor = Predictor(load_model(arguments.model, threads=1))
    titles = "".join(f"{title:>7}" for title in ("IoU", "2 px", "2 %", "worse", "ms"))
    print(f"{'set':<16}{'clicks':>7}{'objects':>8}  {'step':<9}{titles}")
    for folder in arguments.folders:
        held_out = None if arguments.held_out >= 1 else arguments.held_out
        narrower = arguments.narrower
        count, smallest = (arguments.objects, 1) if narrower is None else (None, _THIN_PIXELS)
        samples: Iterable[Sample] = choose(
            open_dataset(folder), count=count, held_out=held_out, min_area=smallest
        )
        if narrower is not None:
            samples = islice((one for one in samples if width_of(one) < narrower), arguments.objects)
        rows: dict[tuple[int, str], list[tuple[float, ...]]] = {}
        for sample in samples:
            for clicks in arguments.clicks:
                result = answer_after(predictor, sample, clicks)
                if result is None:
                    continue
                for step, switches in STEPS.items():
                    rows.setdefault((clicks, step), []).append(figures(result, sample, *switches))
        for (clicks, step), found in rows.items():
            table, before = np.array(found), np.array(rows[clicks, "plain"])
            worse = float((table[:, 0] < before[:, 0] - 0.01).mean())
            iou, narrow, wide = np.nanmean(table[:, :3], axis=0)
            cells = f"{iou:7.3f}{narrow:7.3f}{wide:7.3f}{worse:7.2f}{np.median(table[:, 3]):7.0f}"
            print(f"{folder.name:<16}{clicks:>7}{len(found):>8}  {step:<9}{cells}", flush=True)


if __name__ == "__main__":
    main()
