"""Counters for Prometheus; one registry per server, so that tests and embedders do not share them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

STAGES = ("fetch", "decode", "infer", "encode")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 80)
_OPEN_OBJECTS = 1024


class Metrics:
    """What the server counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "fcfi_requests", "Requests answered.", ("endpoint", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "fcfi_predict_seconds", "Time from request to answer.", buckets=_SECONDS, registry=self.registry
        )
        self.stages = Histogram(
            "fcfi_stage_seconds", "Time per stage.", ("stage",), buckets=_SECONDS, registry=self.registry
        )
        self.in_flight = Gauge(
            "fcfi_in_flight", "Predictions asked for and not answered.", registry=self.registry
        )
        self.errors = Counter(
            "fcfi_errors", "Predictions refused or failed.", ("kind",), registry=self.registry
        )
        self.superseded = Counter(
            "fcfi_superseded",
            "Requests not computed because a newer one replaced them.",
            registry=self.registry,
        )
        self.clicks = Histogram(
            "fcfi_clicks_per_object",
            "Clicks of an object when its annotator went on to another.",
            buckets=(1, 2, 3, 4, 5, 7, 10, 15, 20, 50),
            registry=self.registry,
        )
        self._open: OrderedDict[Hashable, tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()

    def saw_clicks(self, task: Hashable, first: str, count: int) -> None:
        """Note that the object that began with region ``first`` in ``task`` has ``count`` clicks now.

        Digests are kept, not names: these come from strangers and may be of any length.
        """
        task, first = _digest(repr(task)), _digest(first)
        with self._lock:
            before = self._open.pop(task, None)
            if before is not None and before[0] != first:
                self.clicks.observe(before[1])
            self._open[task] = first, count
            while len(self._open) > _OPEN_OBJECTS:
                self.clicks.observe(self._open.popitem(last=False)[1][1])

    def observe(self, name: str, what: str, statistics: Callable[[], Mapping[str, int]]) -> None:
        """Publish a cache's own counters: hits, misses, evictions, and its bytes (empty: not there yet)."""
        self.registry.register(_Source(name, what, statistics))

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Publish a number that is asked for whenever somebody looks."""
        Gauge(f"fcfi_{name}", f"Memory {what}.", registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


class _Source(Collector):
    """Reads counters that someone else keeps."""

    def __init__(self, name: str, what: str, statistics: Callable[[], Mapping[str, int]]) -> None:
        self._name = name
        self._what = what
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        now = self._statistics()
        for counter in ("hits", "misses", "evictions"):
            value = float(now.get(counter, 0))
            yield CounterMetricFamily(
                f"fcfi_{self._name}_{counter}", f"{counter} of {self._what}", value=value
            )
        size = float(now.get("bytes", 0))
        yield GaugeMetricFamily(f"fcfi_{self._name}_bytes", f"memory of {self._what}", value=size)
