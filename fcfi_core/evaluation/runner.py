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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import LeftOut, listed
from fcfi_core.datasets.samples import Sample, Selection, choose
from fcfi_core.errors import DataError
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.benchmark import Rules, Segmenter, SegmentFunction, Trace, trace
from fcfi_core.evaluation.clicker import BoolMask
from fcfi_core.evaluation.panoptic import Overlaid, PanopticQuality, compared
from fcfi_core.evaluation.pictures import picture


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
        progress: show a bar on standard error.

    Raises:
        DataError: if a data set holds no object that can be used.
    """
    rules = rules or Rules()
    contestants = {name or describe(segmenter)[0]: segmenter, **(compare or {})}
    results: dict[str, list[DatasetResult]] = {contestant: [] for contestant in contestants}
    selections = [one if isinstance(one, Selection) else choose(one) for one in datasets]
    with tqdm(
        total=sum(map(len, selections)), unit="object", disable=not progress, dynamic_ncols=True
    ) as bar:
        for selection in selections:
            bar.set_description(selection.dataset.name)
            collectors = {
                contestant: _Collector(worst if index == 0 else 0)
                for index, contestant in enumerate(contestants)
            }
            for sample in selection:
                for contestant, collector in collectors.items():
                    collector.add(sample, *trace(contestants[contestant], sample, rules))
                bar.update()
            for contestant, collector in collectors.items():
                results[contestant].append(collector.result(selection.dataset, rules))
    main, *others = (
        Entry(contestant, describe(contestants[contestant])[1], tuple(found))
        for contestant, found in results.items()
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


class _Photo:
    """The objects of one photo and their last masks, overlaps resolved."""

    def __init__(self, sample: Sample) -> None:
        self.name = sample.image_name
        self._ignore = sample.ignore
        self._truth, self._found = Overlaid(sample.truth.shape), Overlaid(sample.truth.shape)

    def add(self, sample: Sample, mask: BoolMask) -> None:
        self._truth.add(sample.truth)
        self._found.add(mask)

    @property
    def quality(self) -> PanopticQuality:
        return compared(self._found.segments, self._truth.segments, self._ignore)


class _Collector:
    """Gathers the traces of one segmenter on one data set; pictures only of the worst objects."""

    def __init__(self, worst: int) -> None:
        self._traces: list[Trace] = []
        self._worst = worst
        self._heap: list[tuple[float, int, WorstCase]] = []
        self._panoptic = PanopticQuality()
        self._photo: _Photo | None = None

    def add(self, sample: Sample, found: Trace, mask: BoolMask) -> None:
        self._traces.append(found)
        if self._photo is None or self._photo.name != sample.image_name:
            self._close_photo()
            self._photo = _Photo(sample)
        self._photo.add(sample, mask)
        badness = 1 - sum(found.ious) / len(found.ious) if found.ious else math.nan
        if not math.isfinite(badness) or self._worst == 0:
            return
        if len(self._heap) < self._worst or badness > self._heap[0][0]:
            case = WorstCase(found, picture(sample, mask, found.clicks))
            heapq.heappush(self._heap, (badness, -len(self._traces), case))
            if len(self._heap) > self._worst:
                heapq.heappop(self._heap)

    def _close_photo(self) -> None:
        """Compare all objects of a photo, once its last one is there."""
        if self._photo is not None:
            self._panoptic += self._photo.quality

    def result(self, dataset: Dataset, rules: Rules) -> DatasetResult:
        if not self._traces:
            raise DataError(
                f"no object of {dataset.name} can be evaluated (left out: {listed(dataset.left_out)}); "
                "repair these, or give another set."
            )
        worst = tuple(case for _, _, case in sorted(self._heap, key=lambda item: item[:2], reverse=True))
        self._close_photo()
        left_out = LeftOut(dataset.left_out)
        return DatasetResult(dataset.name, tuple(self._traces), rules, worst, left_out, self._panoptic)


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
