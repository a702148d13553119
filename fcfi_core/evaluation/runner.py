"""Evaluation of one segmenter, and of others beside it on the same objects in the same run.

:func:`evaluate` returns a :class:`Report`; ``report.to_dict()`` is the JSON form::

    {"model": ..., "protocol": {...}, "rules": {...}, "machine": {...},
     "datasets": [{"name", "objects", "noc@85", "nof@85", ..., "iou@1", ..., "ms_per_click", "left_out",
                   "traces"}],
     "compared": [{"model", "protocol", "datasets"}]}
"""

from __future__ import annotations

import heapq
import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from tqdm import tqdm

from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, listed
from fcfi_core.datasets.samples import UNREADABLE, Selection, choose
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.benchmark import Rules, Segmenter, SegmentFunction, Trace
from fcfi_core.evaluation.clicking import Clicked, Contestants, clicked, clicking
from fcfi_core.evaluation.panoptic import PanopticQuality
from fcfi_core.evaluation.pictures import picture
from fcfi_core.masks import coco
from fcfi_core.workers import Job, Lost, Place, Threads, finished, suited

GIVEN_UP = "photos whose workers ended"


@dataclass(frozen=True)
class WorstCase:
    """An object that went badly, with a picture of how.

    Args:
        trace: what happened.
        jpeg: photo, truth, last mask and clicks.
    """

    trace: Trace
    jpeg: bytes


@dataclass(frozen=True)
class DatasetResult:
    """What one segmenter did on one data set.

    Args:
        name: of the data set.
        traces: one for each object, in order.
        rules: of the run.
        worst: the objects with the lowest mean IoU over the clicks, worst first.
        left_out: what the set holds and could not be used, ``{kind: how many}``.
        panoptic: quality of the last masks of each photo's objects, overlaps resolved.
    """

    name: str
    traces: tuple[Trace, ...]
    rules: Rules
    worst: tuple[WorstCase, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    panoptic: PanopticQuality | None = None

    @property
    def ious(self) -> metrics.Table:
        """(objects, clicks) IoU."""
        return metrics.table((one.ious for one in self.traces), self.rules.max_clicks)

    def metrics(self) -> dict[str, float]:
        """Return every figure of this data set by name; NaN where there is nothing to average."""
        limit = self.rules.max_clicks
        bious, narrow_bious, assds = (
            metrics.table((getattr(one, name) for one in self.traces), limit)
            if self.rules.boundaries
            else None
            for name in ("bious", "narrow_bious", "assds")
        )
        quality = metrics.evaluate(
            self.ious, bious, assds, narrow_bious=narrow_bious, targets=self.rules.targets
        )
        best = [one.best_first for one in self.traces if not math.isnan(one.best_first)]
        chosen = {"best@1": sum(best) / len(best)} if best else {}
        return {
            **quality,
            **chosen,
            **_panoptic(self.panoptic),
            **_times(self.traces),
            "confidence_rank_correlation": _honesty(self.traces),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return name, number of objects, every figure, and what happened with each object."""
        return {
            "name": self.name,
            "objects": len(self.traces),
            **{name: _number(value) for name, value in self.metrics().items()},
            "left_out": dict(self.left_out),
            "traces": [_trace_to_dict(one) for one in self.traces],
        }


@dataclass(frozen=True)
class Entry:
    """What one segmenter did on all data sets.

    Args:
        model: its name.
        protocol: its settings, for the record.
        datasets: one result each.
    """

    model: str
    protocol: Mapping[str, Any]
    datasets: tuple[DatasetResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "model": self.model,
            "protocol": dict(self.protocol),
            "datasets": [result.to_dict() for result in self.datasets],
        }


@dataclass(frozen=True)
class Report:
    """The outcome of a run.

    Args:
        main: the segmenter that was asked about.
        compared: others on the same objects.
        rules: of the annotator.
        machine: where it ran.
    """

    main: Entry
    compared: tuple[Entry, ...]
    rules: Rules
    machine: Mapping[str, Any] = field(default_factory=lambda: _machine())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All segmenters, the main one first."""
        return (self.main, *self.compared)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; see the module's text."""
        main = self.main.to_dict()
        datasets = main.pop("datasets")
        rules = asdict(self.rules)
        rules["noise"] = None if self.rules.noise is None else repr(self.rules.noise)
        return {
            **main,
            "rules": rules,
            "machine": dict(self.machine),
            "datasets": datasets,
            "compared": [entry.to_dict() for entry in self.compared],
        }


def evaluate(
    segmenter: Segmenter | SegmentFunction,
    datasets: Sequence[Dataset | Selection],
    *,
    name: str | None = None,
    compare: Mapping[str, Segmenter | SegmentFunction] | None = None,
    rules: Rules | None = None,
    worst: int = 10,
    place: Place | None = None,
    make_contestants: Callable[[], Contestants] | None = None,
    progress: bool = False,
) -> Report:
    """Return how many clicks ``segmenter`` needs on the objects of ``datasets``.

    Args:
        segmenter: a predictor, or anything that turns clicks into masks.
        datasets: whole sets, or choices of objects (:func:`~fcfi_core.datasets.samples.choose`).
        name: of the segmenter, for the report; None: what it calls itself.
        compare: further segmenters by name; each sees the same objects in the same run.
        rules: of the annotator; None: the product's.
        worst: how many of the worst objects of each set to keep pictures of.
        place: where the work is done, photo by photo; None: in one thread, where times mean most. The figures
            are the same everywhere, but for times.
        make_contestants: makes the segmenters, by the same names, in each worker process; None: threads.
        progress: show a bar on standard error.

    Raises:
        DataError: if a data set holds no object that can be used.
        WorkerError: if worker processes end whatever they are given.
    """
    rules = rules or Rules()
    contestants: Contestants = {name or describe(segmenter)[0]: segmenter, **(compare or {})}
    selections = [one if isinstance(one, Selection) else choose(one) for one in datasets]
    tables = [_Table(selection, list(contestants), worst) for selection in selections]
    rows = [(table, row) for table in tables for row in range(len(table.photos))]
    photos = [table.photos[row] for table, row in rows]
    job = Job(
        partial(clicked, contestants, rules),
        partial(clicking, make_contestants, rules) if make_contestants else None,
    )
    pending = range(len(photos))
    with (
        suited(place or Threads(), job, photos, pending) as opened,
        tqdm(total=sum(map(len, photos)), unit="object", disable=not progress, dynamic_ncols=True) as bar,
    ):
        for index, answer in finished(opened, job, photos, pending):
            table, row = rows[index]
            table.add(row, answer)
            bar.update(len(photos[index]))
    main, *others = (
        Entry(
            contestant,
            describe(contestants[contestant])[1],
            tuple(table.result(contestant, rules) for table in tables),
        )
        for contestant in contestants
    )
    return Report(main, tuple(others), rules)


def describe(segmenter: Segmenter | SegmentFunction) -> tuple[str, dict[str, Any]]:
    """Return a segmenter's own name and its settings, as far as it tells."""
    protocol = getattr(segmenter, "protocol", None)
    model = getattr(segmenter, "model", None)
    name = getattr(model or segmenter, "name", None) or type(segmenter).__name__
    if protocol is not None:
        return str(name), dict(protocol.to_dict())
    settings = getattr(segmenter, "__dataclass_fields__", {})
    return str(name), {key: getattr(segmenter, key) for key in settings}


class _Table:
    """What came of each photo of one data set, in whatever order; pictures only of the worst objects.

    Args:
        selection: the photos.
        contestants: names of the segmenters; the worst objects are those of the first.
        worst: how many to keep.
    """

    def __init__(self, selection: Selection, contestants: Sequence[str], worst: int) -> None:
        self._dataset = selection.dataset
        self.photos = tuple(selection.photos())
        self._before = [0, *accumulate(map(len, self.photos))]
        self._main = contestants[0]
        self._worst = worst
        self._rows: dict[int, Clicked] = {}
        self._heap: list[tuple[float, int, int, Trace, Mapping[str, Any]]] = []

    def add(self, row: int, answer: Clicked | Lost) -> None:
        """Keep what came of one photo."""
        if isinstance(answer, Lost):
            self._dataset.left_out.add(GIVEN_UP, f"{self.photos[row].image_name}: {answer}")
            return
        if answer.unreadable:
            self._dataset.left_out.add(UNREADABLE, answer.unreadable)
            return
        for number, (found, mask) in enumerate(zip(answer.traces[self._main], answer.masks, strict=True)):
            badness = 1 - sum(found.ious) / len(found.ious) if found.ious else math.nan
            if math.isfinite(badness) and self._worst:
                # Of equally bad ones the first: by the order of the set, not of the answers.
                heapq.heappush(self._heap, (badness, -(self._before[row] + number), row, found, mask))
                if len(self._heap) > self._worst:
                    heapq.heappop(self._heap)
        self._rows[row] = replace(answer, masks=())

    def result(self, contestant: str, rules: Rules) -> DatasetResult:
        """Return what one segmenter did.

        Raises:
            DataError: if no object could be used.
        """
        rows = [self._rows[row] for row in sorted(self._rows)]
        if not rows:
            raise DataError(
                f"no object of {self._dataset.name} can be evaluated "
                f"(left out: {listed(self._dataset.left_out)}); repair these, or give another set."
            )
        traces = tuple(one for row in rows for one in row.traces[contestant])
        quality = sum((row.panoptic[contestant] for row in rows), PanopticQuality())
        worst = tuple(self._cases()) if contestant == self._main else ()
        return DatasetResult(
            self._dataset.name, traces, rules, worst, LeftOut(self._dataset.left_out), quality
        )

    def _cases(self) -> Iterator[WorstCase]:
        """Yield the worst cases, worst first; a photo that is gone by now has no picture."""
        for _, _, row, found, mask in sorted(self._heap, key=lambda item: item[:2], reverse=True):
            photo = replace(self.photos[row], object_ids=(found.object_id,))
            with suppress(FcfiError):
                (sample,) = photo.samples(photo.read())
                yield WorstCase(found, picture(sample, coco.decode(mask), found.clicks))


def _panoptic(quality: PanopticQuality | None) -> dict[str, float]:
    return {} if quality is None else {"pq": quality.pq, "sq": quality.sq, "rq": quality.rq}


def _times(traces: Sequence[Trace]) -> dict[str, float]:
    """Return milliseconds per click: mean, its two parts, median; and the official figure."""
    network = np.array([ms for one in traces for ms in one.network_ms])
    rest = np.array([ms for one in traces for ms in one.rest_ms])
    if not network.size:
        return dict.fromkeys(
            ("ms_per_click", "ms_per_click_network", "ms_per_click_rest", "ms_per_click_median", "spc_ms"),
            float("nan"),
        )
    return {
        "ms_per_click": float((network + rest).mean()),
        "ms_per_click_network": float(network.mean()),
        "ms_per_click_rest": float(rest.mean()),
        "ms_per_click_median": float(np.median(network + rest)),
        "spc_ms": sum(one.elapsed_ms for one in traces) / network.size,
    }


def _honesty(traces: Sequence[Trace]) -> float:
    """Return the rank correlation of confidence and IoU over all clicks, -1..1 (Spearman); NaN if unknown."""
    pairs = np.array([pair for one in traces for pair in zip(one.confidences, one.ious, strict=True)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)] if pairs.size else pairs
    if len(pairs) < 3 or not np.ptp(pairs, axis=0).all():
        return float("nan")
    return float(np.corrcoef(_ranks(pairs[:, 0]), _ranks(pairs[:, 1]))[0, 1])


def _ranks(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the rank of each value; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    shared: np.ndarray[Any, np.dtype[np.float64]] = (ends - (counts - 1) / 2)[inverse]
    return shared


def _trace_to_dict(one: Trace) -> dict[str, Any]:
    return {
        "image": one.image_name,
        "object": one.object_id,
        "area": one.area,
        "clicks": [[click.x, click.y, click.positive] for click in one.clicks],
        "ious": [_number(value, 4) for value in one.ious],
        "confidences": [_number(value, 4) for value in one.confidences],
    }


def _number(value: float, digits: int = 6) -> float | int | None:
    """Return ``value`` as JSON can hold it: NaN has no JSON form and becomes null."""
    if isinstance(value, int):
        return value
    return round(value, digits) if math.isfinite(value) else None


def _machine() -> dict[str, Any]:
    return {"processor": platform.processor() or platform.machine(), "cpus": len(os.sched_getaffinity(0))}
