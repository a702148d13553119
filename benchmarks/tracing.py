"""What tracing gives on thin structures drawn into large photos, and takes from other objects.

    python benchmarks/tracing.py PHOTOS [--objects 12] [--side 1600] [--clicks 4]
    python benchmarks/tracing.py PHOTOS --own

Square cuts of held-out photos, enlarged to the side with grain added, get a branching line of 1.6 to 8 px,
as training draws it; ``--own`` asks for the photos' own objects instead. The simulated annotator works with
each way by itself and looks at its masks: IoU after each click, boundary IoU (2 pixels) after the last, and
processor time of an answer, the reading of the photo apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fcfi_core import images
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.model import load_model
from fcfi_core.predictor import Predictor
from fcfi_core.training.thin import draw_thin_structure

_GRAIN = 5.0
"""Standard deviation of the noise on an enlarged photo, grey levels."""
_SMALLEST = 50

WAYS = {"colours (default)": (False, False), "refined": (True, False), "traced": (False, True)}
"""Name -> (refined, traced)."""


def enlarged(folder: Path, count: int, side: int, held_out: float | None, own: bool) -> Iterator[Sample]:
    """Yield photos of ``side`` x ``side`` pixels, each with its own object or with a line drawn into it."""
    photos = choose(open_dataset(folder), count=count, held_out=held_out, min_area=_SMALLEST)
    for number, sample in enumerate(photos):
        random = np.random.default_rng((number, side))
        edge = min(sample.truth.shape)
        cut = np.s_[:edge, :edge]
        large = cv2.resize(sample.loaded.pixels[cut], (side, side), interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(large + random.normal(0, _GRAIN, large.shape), 0, 255).astype(np.uint8)
        if own:
            share = cv2.resize(sample.truth[cut].astype(np.float32), (side, side))
            truth = share > 0.5
        else:
            pixels, target = draw_thin_structure(pixels, random)
            truth = target == 1
        if np.count_nonzero(truth) > _SMALLEST:
            yield Sample(folder.name, str(number), 1, images.load(pixels), truth, None)


def clicked(predictor: Predictor, sample: Sample, clicks: int) -> list[float]:
    """Return IoU after each click, boundary IoU after the last, and milliseconds of an answer."""
    annotator, session = Clicker(sample.truth, sample.ignore), predictor.open(sample.loaded)
    mask, found, start = np.zeros(sample.truth.shape, np.bool_), [], 0.0
    for _ in range(clicks):
        click = annotator.next(mask)
        if click is not None:
            began = time.process_time()
            mask = session.click(click.x, click.y, click.positive).finished().mask
            start += time.process_time() - began
        found.append(metrics.iou(mask, sample.truth, sample.ignore))
    narrow = metrics.boundary_iou(mask, sample.truth, sample.ignore, pixels=metrics.NARROW)
    return [*found, narrow, 1000 * start / clicks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--own", action="store_true", help="the photos' own objects, nothing is drawn")
    parser.add_argument("--objects", type=int, default=12, help="of each set")
    parser.add_argument("--side", type=int, default=1600, help="of the photos, pixels")
    parser.add_argument("--clicks", type=int, default=4)
    parser.add_argument("--held-out", type=float, default=0.06, help="share; 1: every photo")
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    model = load_model(arguments.model, threads=1)
    predictors = {
        name: Predictor(model, protocol=model.protocol.switched(refined=refined, traced=traced))
        for name, (refined, traced) in WAYS.items()
    }
    held_out = None if arguments.held_out >= 1 else arguments.held_out
    titles = [f"IoU@{number + 1}" for number in range(arguments.clicks)] + ["2 px", "ms"]
    print(f"{'set':<22}{'objects':>8}  {'way':<18}" + "".join(f"{title:>8}" for title in titles))
    for folder in arguments.folders:
        samples = enlarged(folder, arguments.objects, arguments.side, held_out, arguments.own)
        rows: dict[str, list[list[float]]] = {}
        for sample in samples:
            for name, predictor in predictors.items():
                rows.setdefault(name, []).append(clicked(predictor, sample, arguments.clicks))
        for name, found in rows.items():
            *shown, milliseconds = np.nanmean(np.array(found), axis=0)
            cells = "".join(f"{value:8.3f}" for value in shown) + f"{milliseconds:8.0f}"
            print(f"{folder.name:<22}{len(found):>8}  {name:<18}{cells}", flush=True)


if __name__ == "__main__":
    main()
