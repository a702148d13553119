"""How honest the confidence is: rank correlation and calibration, as it is and after a monotone map.

    python benchmarks/confidence.py DIR... --held-out 0.06 --objects 24 --seed 11 --min-area 200

Every object is cut out by the simulated annotator with up to five clicks, and once by its box. For each mask
its confidence is compared with its IoU: the rank correlation (Spearman), the expected calibration error (ten
bins) and the mean distance. A map is fitted by isotonic regression on all sets but one and judged on that
one, in turn; the knots printed at the end are fitted on all. For images, the need that ``fcfi rank`` sees
is compared with the error of the masks: with boxes, and without prompts.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcfi_core import Predictor, load_model
from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.errors import DataError
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker
from fcfi_core.masks import box_of
from fcfi_core.pipelines.prompts import ImagePrompts, OpenedImage, PromptSource
from fcfi_core.pipelines.ranking import needs

Values = NDArray[np.float64]

CLICKS = 5
BINS = 10
BOX = 0
"""Stands for the number of clicks where a box was given."""


@dataclass(frozen=True)
class Pair:
    """One mask: its set, its photo, the number of clicks, its confidence and its IoU."""

    dataset: str
    photo: str
    clicks: int
    confidence: float
    iou: float


def pairs_of(predictor: Predictor, sample: Sample) -> list[Pair]:
    """Return what the predictor thinks of its masks of an object, and what they are worth."""
    place = sample.dataset, f"{sample.dataset}/{sample.image_name}"
    found = []
    session, annotator = predictor.open(sample.loaded), Clicker(sample.truth, sample.ignore)
    mask = np.zeros(sample.truth.shape, np.bool_)
    for number in range(1, CLICKS + 1):
        click = annotator.next(mask)
        if click is None:
            break
        result = session.click(click.x, click.y, click.positive).finished()
        mask = result.mask
        found.append(Pair(*place, number, result.confidence, metrics.iou(mask, sample.truth, sample.ignore)))
    result = predictor.segment(sample.loaded, box=box_of(sample.truth)).finished()
    iou = metrics.iou(result.mask, sample.truth, sample.ignore)
    return [*found, Pair(*place, BOX, result.confidence, iou)]


def rank_correlation(one: Values, other: Values) -> float:
    """Return Spearman's, ties in the order in which they come."""
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1]) if len(one) > 2 else float("nan")


def calibration_error(confidence: Values, iou: Values) -> float:
    """Return the mean distance of confidence and IoU over bins, by the number of masks in each."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(
        sum(
            abs(confidence[bins == one].mean() - iou[bins == one].mean()) * (bins == one).mean()
            for one in np.unique(bins)
        )
    )


def monotone(confidence: Values, iou: Values) -> tuple[Values, Values]:
    """Return the knots of the rising map that comes nearest (pool adjacent violators)."""
    blocks: list[tuple[float, int, float]] = []
    for place, value in sorted(zip(confidence.tolist(), iou.tolist(), strict=True)):
        blocks.append((value, 1, place))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (late, more, end), (early, some, _) = blocks.pop(), blocks.pop()
            blocks.append(((late * more + early * some) / (more + some), more + some, end))
    return np.array([end for _, _, end in blocks]), np.array([value for value, _, _ in blocks])


def told(name: str, confidence: Values, iou: Values) -> None:
    """Print a row of figures."""
    print(
        f"{name:<24}{len(iou):>7}{confidence.mean():>12.3f}{iou.mean():>8.3f}"
        f"{rank_correlation(confidence, iou):>10.3f}{calibration_error(confidence, iou):>8.3f}"
        f"{np.abs(confidence - iou).mean():>10.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--held-out", type=float)
    parser.add_argument("--objects", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-area", type=int, default=1)
    arguments = parser.parse_args()
    predictor = Predictor(load_model(arguments.model, threads=1))
    pairs: list[Pair] = []
    alone: dict[str, float] = {}
    for path in arguments.datasets:
        try:
            chosen = choose(
                open_dataset(path, None),
                count=arguments.objects,
                seed=arguments.seed,
                min_area=arguments.min_area,
                held_out=arguments.held_out,
            )
        except DataError as error:
            print(error)
            continue
        for sample in chosen:
            pairs += pairs_of(predictor, sample)
            photo = pairs[-1].photo
            if photo not in alone:
                image = ImagePrompts(photo, lambda loaded=sample.loaded: OpenedImage(loaded, ()))  # type: ignore[misc]
                alone[photo] = needs(predictor, PromptSource("", "", [image], {}))[0].need
        print(f"{path.name}: {len(pairs)} masks so far", flush=True)

    sets = np.array([pair.dataset for pair in pairs])
    clicks = np.array([pair.clicks for pair in pairs])
    confidence = np.array([pair.confidence for pair in pairs])
    iou = np.array([pair.iou for pair in pairs])
    print(f"\n{'':<24}{'masks':>7}{'confidence':>12}{'IoU':>8}{'rank':>10}{'ECE':>8}{'distance':>10}")
    for number in range(CLICKS + 1):
        name = "a box" if number == BOX else f"click {number}"
        told(name, confidence[clicks == number], iou[clicks == number])
    told("all", confidence, iou)
    mapped = confidence.copy()
    for one in np.unique(sets):
        mapped[sets == one] = np.interp(
            confidence[sets == one], *monotone(confidence[sets != one], iou[sets != one])
        )
    told("all, mapped", mapped, iou)
    places, values = monotone(confidence, iou)
    shown = np.linspace(0, 1, 11)
    print("the map: " + ", ".join(f"{at:.1f} -> {np.interp(at, places, values):.2f}" for at in shown))

    for name, number in (("a box", BOX), ("click 1", 1)):
        errors, doubts = defaultdict(list), defaultdict(list)
        for pair in pairs:
            if pair.clicks == number:
                errors[pair.photo].append(1 - pair.iou)
                doubts[pair.photo].append(1 - pair.confidence)
        photos = sorted(errors)
        error = np.array([np.mean(errors[photo]) for photo in photos])
        with_prompts = np.array([np.mean(doubts[photo]) for photo in photos])
        without = np.array([alone[photo] for photo in photos])
        print(
            f"need against the error after {name}, {len(photos)} photos: rank correlation "
            f"{rank_correlation(with_prompts, error):.2f} with that prompt, "
            f"{rank_correlation(without, error):.2f} without any"
        )


if __name__ == "__main__":
    main()
