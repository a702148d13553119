"""Do two worker processes of `fcfi annotate` do twice the work of one?

    python benchmarks/linearity.py FOLDER [--photos 200] [--rounds 2]

Each photo of FOLDER, taken as often as it needs, gets a click. They are done in turn by one worker process
and by two, one thread each. Each worker notes for every photo when it began and ended, its processor time,
and how long it was idle before: neither computing nor waiting for a core (the kernel's own count, Linux), but
waiting for work, for a lock or for the disk. A worker's first photos do not count.

Wall time needs two cores that nobody else uses. On a busy machine the last line stands in for it: two workers
are twice as quick as one if a photo costs them no more processor time, the handing out included, and they are
never idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cluster import make_source

from fcfi_core import Predictor, load_model
from fcfi_core.pipelines.annotate import annotate
from fcfi_core.pipelines.sources import open_source
from fcfi_core.workers import Job, Processes

WARM = 5
"""Photos of each worker that do not count."""


def make_predictor() -> Predictor:
    """Return the default model on one thread."""
    return Predictor(load_model("default", device="cpu", threads=1))


class Watched:
    """The work of a worker, which notes what each unit took.

    Args:
        make: makes the work.
        folder: where the notes go, a file for each worker.
    """

    def __init__(self, make: Callable[[], Callable[[Any], Any]], folder: Path) -> None:
        self._work = make()
        self._notes = (folder / f"{os.getpid()}.txt").open("w", buffering=1)
        self._ended = self._now()

    def __call__(self, unit: Any) -> Any:
        began, scheduled = self._now()
        idle = began - self._ended[0] - (scheduled - self._ended[1])
        processor = time.process_time()
        answer = self._work(unit)
        spent = time.process_time() - processor
        self._ended = self._now()
        self._notes.write(f"{began} {self._ended[0]} {spent} {idle}\n")
        return answer

    @staticmethod
    def _now() -> tuple[float, float]:
        """Return the time, and for how long this thread ran or waited for a core; seconds."""
        ran, queued, _ = map(int, Path("/proc/thread-self/schedstat").read_text().split())
        return time.monotonic(), (ran + queued) / 1e9


@dataclass(frozen=True)
class WatchedProcesses(Processes):
    """Processes whose work is watched; also one alone.

    Args:
        folder: where the notes go.
    """

    folder: Path = Path()
    fewest = 0

    def hire(self, job: Job[Any, Any]) -> Any:
        """Return a process."""
        assert job.make is not None
        return super().hire(replace(job, make=partial(Watched, job.make, self.folder)))


@dataclass(frozen=True)
class Figures:
    """Seconds a photo, and the share of the workers' time in which they were idle."""

    wall: float
    workers: float
    main: float
    idle: float


def run(predictor: Predictor, source: Path, folder: Path, count: int) -> Figures:
    """Let ``count`` workers do all photos, and return what one took."""
    folder.mkdir()
    photos = open_source(source, source.parent / "photos")
    begun = time.process_time()
    place = WatchedProcesses(count, folder)
    with annotate(predictor, photos, folder / "out", place=place, make_predictor=make_predictor) as journal:
        main = (time.process_time() - begun) / len(journal)
    notes = [
        [tuple(map(float, line.split())) for line in file.read_text().splitlines()][WARM:]
        for file in folder.glob("*.txt")
    ]
    lines = [line for one in notes for line in one]
    rates = [len(one) / (one[-1][1] - one[0][0]) for one in notes]
    present = sum(one[-1][1] - one[0][0] for one in notes)
    return Figures(
        wall=1 / sum(rates),
        workers=statistics.fmean(spent for _, _, spent, _ in lines),
        main=main,
        idle=sum(idle for *_, idle in lines) / present,
    )


def main() -> None:
    """Run both in turn, and tell the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    predictor = make_predictor()
    found: dict[int, list[Figures]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        source = make_source(arguments.folder, Path(name), arguments.photos)
        for number in range(arguments.rounds):
            for count, figures in found.items():
                figures.append(run(predictor, source, Path(name) / f"{count}-{number}", count))
    print("| worker processes | wall, ms | processor time of workers, ms | of the main process, ms | idle |")
    print("| --- | --- | --- | --- | --- |")
    one, two = (
        Figures(*(statistics.median(column) for column in zip(*map(_values, figures), strict=True)))
        for figures in found.values()
    )
    for count, each in ((1, one), (2, two)):
        times = " | ".join(f"{1000 * value:.1f}" for value in _values(each)[:3])
        print(f"| {count} | {times} | {each.idle:.1%} |")
    print(f"linear by wall time: {one.wall / (2 * two.wall):.2f}")
    linear = (one.workers + one.main) / (two.workers + two.main) * (1 - two.idle) / (1 - one.idle)
    print(f"linear by processor time and idleness: {linear:.2f}")


def _values(figures: Figures) -> tuple[float, ...]:
    return figures.wall, figures.workers, figures.main, figures.idle


if __name__ == "__main__":
    main()
