"""Which order of CVAT's split click lists serves the annotator best?

    python benchmarks/click_order.py DATA_FOLDER... [--model FILE] [--objects 40] [--clicks 10]

A simulated annotator corrects the masks it is shown. After each click the clicks so far are split into left
and right ones, merged again by the rule under test, and replayed, as the nuclio function must do it. "true
order" never splits them: the reference. Printed per rule: mean clicks to IoU 85 % and 90 %, IoU after 3, 5
and the last click, how often the merged order was the true one, and network passes per click.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from fcfi_core import Click, Predictor, load_model, ordering
from fcfi_core.datasets.folder import Folder
from fcfi_core.datasets.samples import Sample, choose
from fcfi_core.engines.base import Engine, Maps
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.benchmark import Rules, trace
from fcfi_core.results import Result
from fcfi_core.session import Session

Rule = Callable[[Result | None, Click, Click, list[Click]], bool]
"""(present result, head of the left clicks, head of the right clicks, merged so far) -> left is next?"""


def positives_first(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    return True


def negatives_after_first(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    return not merged


def alternating(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    return not merged or not merged[-1].positive


def contradiction(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    """The head that the present probability contradicts more."""
    return result is None or 1 - result.probability_at(left) >= result.probability_at(right)


def wrong_side(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    """The head that lies on the wrong side of the mask; the left one if both or neither do."""
    if result is None:
        return True
    return not result.mask[left.y, left.x] or not result.mask[right.y, right.x]


def distance_to_mask(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    """The head that lies deeper on the wrong side of the mask's edge, in pixels."""
    if result is None:
        return True
    outside, inside = (_depth(part) for part in (~result.mask, result.mask))
    left_depth = outside[left.y, left.x] - inside[left.y, left.x]
    right_depth = inside[right.y, right.x] - outside[right.y, right.x]
    return bool(left_depth >= right_depth)


def shipped(result: Result | None, left: Click, right: Click, merged: list[Click]) -> bool:
    """The same in the network's frame, as the function does it."""
    return ordering.positive_is_next(result, left, right)


def _depth(part: np.ndarray) -> np.ndarray:
    padded = np.pad(part.astype(np.uint8), 1, mode="edge")
    return cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


RULES: dict[str, Rule | None] = {
    "true order": None,
    "positives first": positives_first,
    "first positive, then negatives": negatives_after_first,
    "alternating": alternating,
    "wrong side of the mask": wrong_side,
    "distance to the mask's edge, full size": distance_to_mask,
    "contradiction of probability": contradiction,
    "as shipped: distance, in the frame": shipped,
}


def merge(session: Session, clicks: list[Click], rule: Rule) -> tuple[Result, list[Click]]:
    """Replay ``clicks``, split into two lists, by ``rule``; return the result and the order taken."""
    left = deque(click for click in clicks if click.positive)
    right = deque(click for click in clicks if not click.positive)
    result: Result | None = None
    merged: list[Click] = []
    while left or right:
        take_left = bool(left) and (not right or rule(result, left[0], right[0], merged))
        merged.append((left if take_left else right).popleft())
        result = session.click(merged[-1].x, merged[-1].y, merged[-1].positive)
    assert result is not None
    return result, merged


@dataclass
class SplitLists:
    """A segmenter as CVAT sees it: every click sends both lists anew."""

    predictor: Predictor
    rule: Rule | None
    recovered: list[bool] = field(default_factory=list)

    def open(self, image: np.ndarray) -> SplitSession:
        return SplitSession(self, self.predictor.open(image))


@dataclass
class SplitSession:
    segmenter: SplitLists
    session: Session
    clicks: list[Click] = field(default_factory=list)

    def click(self, x: int, y: int, positive: bool = True) -> Result:
        self.clicks.append(Click(x, y, positive))
        if self.segmenter.rule is None:
            return self.session.click(x, y, positive)
        self.session.reset()
        result, merged = merge(self.session, self.clicks, self.segmenter.rule)
        self.segmenter.recovered.append(merged == self.clicks)
        return result


def samples(folders: list[str], count: int) -> Iterator[Sample]:
    for folder in folders:
        yield from choose(Folder(folder), count=count, seed=1, min_area=400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="each with images/ and masks/")
    parser.add_argument("--model", default="default")
    parser.add_argument("--objects", type=int, default=40, help="per folder")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    model = load_model(arguments.model, threads=arguments.threads)
    chosen = list(samples(arguments.folders, arguments.objects))
    rules = Rules(max_clicks=arguments.clicks, targets=(0.85, 0.90, 0.95), boundaries=False)
    last = arguments.clicks
    print(f"{len(chosen)} objects, {last} clicks at most, model {model.name} {model.version}\n")
    print(f"| order | NoC@85 | NoC@90 | IoU@3 | IoU@5 | IoU@{last} | true order found | passes per click |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, rule in RULES.items():
        engine = CountingEngine(model.engine)
        segmenter = SplitLists(Predictor(replace(model, engine=engine)), rule)
        series = [trace(segmenter, sample, rules)[0].ious for sample in chosen]
        table = metrics.table(series, last)
        figures = [metrics.noc(table, target) for target in (0.85, 0.90)]
        figures += [metrics.mean_at(table, click) for click in (3, 5, last)]
        found = f"{100 * np.mean(segmenter.recovered):.0f} %" if segmenter.recovered else "-"
        cells = [
            *(f"{figure:.3f}" for figure in figures),
            found,
            f"{engine.passes / sum(map(len, series)):.2f}",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


class CountingEngine:
    """An engine that counts the passes of the one it hands everything to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.passes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def decode(self, *arguments: Any, **named: Any) -> Maps:
        self.passes += 1
        return self._engine.decode(*arguments, **named)


if __name__ == "__main__":
    main()
