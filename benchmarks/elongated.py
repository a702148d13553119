"""IoU after one click in pictures that are many times longer than high.

    python benchmarks/elongated.py PHOTOS --objects 60 --aspects 1,3,10,20 --first-aspects 1.5,2,3,1000000

Photos of a data set are scaled to one height and put side by side until the picture has the aspect asked for;
the object is in the middle one, and the click is where the simulated annotator makes its first one. 1 is
the photo alone, cut to a square around the object where it is wider. ``--upright`` turns the pictures.
Pictures of at most 2:1 are always looked at as a whole. Times are not measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core import Predictor, load_model
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.evaluation.clicker import Clicker

HEIGHT = 300


@dataclass(frozen=True, eq=False)
class Strip:
    """A picture of several photos, and the mask of the object in the middle one."""

    pixels: NDArray[np.uint8]
    truth: NDArray[np.bool_]


def scaled(sample: Sample) -> Strip:
    """Return the photo and its mask at the common height."""
    height, width = sample.truth.shape
    size = max(1, round(width * HEIGHT / height)), HEIGHT
    pixels = cv2.resize(sample.pixels, size, interpolation=cv2.INTER_AREA)
    truth = cv2.resize(sample.truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return Strip(np.asarray(pixels, np.uint8), truth)


def strip(middle: Sample, others: Sequence[Sample], aspect: float) -> Strip:
    """Return a picture ``aspect`` times as wide as high with ``middle`` in its middle."""
    own = scaled(middle)
    width = max(round(aspect * HEIGHT), own.truth.shape[1] if aspect > 1 else 1)
    sides: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]] = ([], [])
    have = own.truth.shape[1]
    for number, other in enumerate(others):
        if have >= width:
            break
        pixels = scaled(other).pixels
        sides[number % 2].append(pixels)
        have += pixels.shape[1]
    left, right = (np.hstack(side) if side else np.zeros((HEIGHT, 0, 3), np.uint8) for side in sides)
    pixels = np.hstack((left, own.pixels, right))
    truth = np.zeros(pixels.shape[:2], bool)
    truth[:, left.shape[1] : left.shape[1] + own.truth.shape[1]] = own.truth
    columns = np.flatnonzero(truth.any(axis=0))
    centre = (columns[0] + columns[-1]) // 2
    start = min(max(centre - width // 2, 0), max(pixels.shape[1] - width, 0))
    window = slice(start, start + width)
    return Strip(np.ascontiguousarray(pixels[:, window]), truth[:, window])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", help="data sets")
    parser.add_argument("--objects", type=int, default=60, help="per set")
    parser.add_argument("--aspects", default="1,3,5,10,20")
    parser.add_argument("--first-aspects", default="1.5,2,3,1000000", help="limits to try; 1000000: none")
    parser.add_argument("--clicks", type=int, default=1)
    parser.add_argument("--upright", action="store_true", help="high pictures instead of wide ones")
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    limits = [float(text) for text in arguments.first_aspects.split(",")]
    model = load_model(arguments.model)
    predictors = [Predictor(model, protocol=replace(model.protocol, first_aspect=limit)) for limit in limits]
    samples = [
        sample
        for path in arguments.photos
        for sample in choose(open_dataset(path, None), count=arguments.objects, seed=0, min_area=2000)
    ]
    print(f"{len(samples)} objects; mean IoU after {arguments.clicks} click(s) by limit of the first frame")
    print("aspect   " + "".join(f"{limit:>12g}" for limit in limits))
    for aspect in (float(text) for text in arguments.aspects.split(",")):
        sums = np.zeros(len(limits))
        for number, sample in enumerate(samples):
            picture = strip(sample, samples[number + 1 :] + samples[:number], aspect)
            turned = (1, 0, 2) if arguments.upright else (0, 1, 2)
            pixels, truth = picture.pixels.transpose(turned), picture.truth.transpose(turned[:2])
            for index, predictor in enumerate(predictors):
                clicker, session = Clicker(truth), predictor.open(np.ascontiguousarray(pixels))
                mask = np.zeros_like(truth)
                for _ in range(arguments.clicks):
                    click = clicker.next(mask)
                    if click is None:
                        break
                    mask = session.click(click.x, click.y, positive=click.positive).mask
                sums[index] += (mask & truth).sum() / (mask | truth).sum()
        print(f"{aspect:>6g}:1 " + "".join(f"{value:>12.3f}" for value in sums / len(samples)), flush=True)


if __name__ == "__main__":
    main()
