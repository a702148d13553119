"""What ``fcfi bench`` measured: tables of milliseconds, and the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcfi_core.cli._footprint import Footprint

PLAIN = "plain"
"""The path of a row that goes the official way."""

_MOST_LOAD = 0.10
_MOST_SPREAD = 0.25

Triple = tuple[float, float, float]
"""10th percentile, median, 95th percentile."""


@dataclass(frozen=True)
class Row:
    """Milliseconds of one path of one model; see :data:`Triple`.

    Args:
        model: name and variant.
        path: name of an engine, or "plain".
        busy: processes that were kept busy beside the clicks.
        frame: longer side of the network's input.
        first: a click that looks at a new frame, wall.
        further: a click that looks at the frame of the click before, wall.
        network: what of such a click is the network's, wall.
        first_processor, further_processor: likewise, time of the processor.
        clicks: number of clicks measured.
    """

    model: str
    path: str
    busy: int
    frame: int
    first: Triple
    further: Triple
    network: Triple
    first_processor: Triple
    further_processor: Triple
    clicks: int

    @property
    def spread(self) -> float:
        """Width between the percentiles of the further clicks, as a share of their median."""
        return (self.further[2] - self.further[0]) / self.further[1]


@dataclass(frozen=True)
class PhotoRow:
    """Milliseconds of processor time from a click to its cleaned mask in a run-length code.

    Args:
        engine: name.
        megapixels: of the photo.
        first, further: as in :class:`Row`.
        output: what of a further click is the mask at full size, its cleaning and its code.
    """

    engine: str
    megapixels: float
    first: Triple
    further: Triple
    output: Triple


def percentiles(values: Sequence[float]) -> Triple:
    """Return the 10th percentile, the median and the 95th percentile of ``values``."""
    twentieths = statistics.quantiles(values, n=20, method="inclusive")
    return twentieths[1], statistics.median(values), twentieths[-1]


def _shown(times: Triple) -> str:
    low, middle, high = times
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"


def doubts_about(rows: list[Row], load: float) -> Iterator[str]:
    """Yield the reasons not to trust the figures."""
    if load > _MOST_LOAD:
        yield f"other programs used {100 * load:.0f} % of this machine's CPU time"
    for row in rows:
        if row.spread > _MOST_SPREAD:
            yield f"{row.model}, {row.path}: the times spread by {100 * row.spread:.0f} % of their median"


def print_tables(rows: list[Row], photos: list[PhotoRow], sizes: list[Footprint], doubts: list[str]) -> None:
    """Print what was measured, and the verdict, or why there is none."""
    titles = ("first click", "processor", "next click", "of it network", "processor")
    print(f"{'model':<26}{'path':<15}{'busy':>5}{'frame':>6}" + "".join(f"{title:>24}" for title in titles))
    for row in rows:
        times = (row.first, row.first_processor, row.further, row.network, row.further_processor)
        cells = "".join(f" {_shown(each):>23}" for each in times)
        print(f"{row.model:<26}{row.path:<15}{row.busy:>5}{row.frame:>6}{cells}")
    print("Milliseconds, median (10th-95th percentile); first click: new frame, next click: same frame.\n")
    parts = ("first click", "next click", "of it mask and code")
    print(f"{'engine':<15}{'megapixels':>11}" + "".join(f"{title:>22}" for title in parts))
    for photo in photos:
        cells = "".join(f"{_shown(each):>22}" for each in (photo.first, photo.further, photo.output))
        print(f"{photo.engine:<15}{photo.megapixels:>11.1f}{cells}")
    print("Milliseconds of processor time from a click to its cleaned mask in COCO's run-length code.\n")
    columns = ("parameters", "file", "ready after", "memory", "resting")
    print(f"{'model':<26}{'engine':<15}" + "".join(f"{title:>13}" for title in columns))
    for size in sizes:
        cells = f"{size.parameters:>11.2f} M{size.file:>9.1f} MiB{size.ready:>11.1f} s"
        print(
            f"{size.model:<26}{size.engine:<15}{cells}{size.memory:>9.0f} MiB{size.memory_resting:>9.0f} MiB"
        )
    print(
        "Ready: a new Python process has answered two clicks; memory: its largest resident size until then; "
        "resting: its size when nothing is asked any more."
    )
    if doubts:
        print(f"No verdict on wall times: {'; '.join(doubts)}.")
    else:
        for line in _verdict([row for row in rows if not row.busy]):
            print(line)


def _verdict(rows: list[Row]) -> Iterator[str]:
    """Yield how much faster each engine is than the official way."""
    plain = {row.model: row for row in rows if row.path == PLAIN}
    for row in rows:
        if row.path != PLAIN:
            slow = plain[row.model]
            first, further = slow.first[1] / row.first[1], slow.further[1] / row.further[1]
            yield (
                f"{row.model}, {row.path}: {first:.1f} x faster than the official way on a first click, "
                f"{further:.1f} x on a next click."
            )
