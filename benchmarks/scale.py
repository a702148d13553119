"""How many cores a team needs: annotators, processes, queues and what processes remember, simulated on
measured times.

    fcfi bench --threads 1 --json > bench.json
    python benchmarks/scale.py --bench bench.json

An annotator opens an object, clicks on it (three to eight times), looks at each mask before the next
click, and goes on to the next object. A process has one core, answers in the order of asking, and
remembers the clicks of an object that it saw; one that sees an object's later clicks first computes the
earlier ones, too, as the program does. Requests go to processes by chance (*any*, what a Kubernetes
service does) or always to the same one (*sticky*). For each number of annotators the smallest number of
cores is searched whose 95th percentile of waiting, queue included, is below the goal. Teams beyond --cell
annotators are taken as so many cells, each with processes of its own.

Processor times come from `fcfi bench` (the whole way of a click, small photo), and --overhead is what
HTTP, JSON and the photo add (measured by benchmarks/load_balancing.py: its processor time a click, less
the way of a click). The pace of annotators is assumed: --pause between a mask and the next click, --rest
between two objects, mean seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import simpy

FEWEST_CLICKS, MOST_CLICKS = 3, 8
MEDIAN = 1  # of the three figures of each time: lower, median, upper


@dataclass(frozen=True)
class Times:
    """Processor seconds of one click, and the pace of people.

    Args:
        first: the first click on an object, the whole way.
        later: any further one.
        again: a click before, that another process answered: its network alone.
        overhead: HTTP, JSON, the photo.
        pause, rest: mean seconds between mask and click, and between objects.
    """

    first: float
    later: float
    again: float
    overhead: float
    pause: float
    rest: float

    def of(self, clicks: int, remembered: int) -> float:
        """Return what answering takes, after ``clicks`` of which ``remembered`` were answered here."""
        missing = max(1, clicks - remembered)
        before = self.again * (missing - 1)
        begins = self.first if remembered == 0 else self.later
        return self.overhead + begins + before


@dataclass
class Figures:
    """What one simulation showed."""

    waits: list[float]
    hits: int
    busy: float

    def percentile(self, share: float) -> float:
        """Return the wait that ``share`` of the clicks stay below."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)))]


def simulated(times: Times, annotators: int, cores: int, seconds: float, sticky: bool) -> Figures:
    """Return how ``annotators`` fare with ``cores``; the first fifth of the time does not count."""
    world = simpy.Environment()
    processes = [simpy.Resource(world) for _ in range(cores)]
    figures = Figures([], 0, 0.0)
    draws = random.Random(annotators * 1000 + cores)

    def person(number: int) -> Iterator[simpy.Event]:
        yield world.timeout(draws.uniform(0, times.rest + 5 * times.pause))
        while True:
            seen: dict[int, int] = {}
            for clicks in range(1, draws.randint(FEWEST_CLICKS, MOST_CLICKS) + 1):
                place = number % cores if sticky else draws.randrange(cores)
                asked = world.now
                with processes[place].request() as turn:
                    yield turn
                    remembered = seen.get(place, 0)
                    spent = times.of(clicks, remembered)
                    yield world.timeout(spent)
                seen[place] = clicks
                if asked > 0.2 * seconds:
                    figures.waits.append(world.now - asked)
                    figures.hits += remembered == clicks - 1
                    figures.busy += spent
                yield world.timeout(draws.lognormvariate(math.log(times.pause) - 0.125, 0.5))
            yield world.timeout(draws.expovariate(1 / times.rest))

    for number in range(annotators):
        world.process(person(number))
    world.run(seconds)
    return figures


def cores_for(
    times: Times, annotators: int, goal: float, seconds: float, sticky: bool
) -> tuple[int, Figures]:
    """Return the fewest cores with which 95 % of the clicks are answered within ``goal`` seconds."""

    @cache
    def tried(cores: int) -> Figures:
        return simulated(times, annotators, cores, seconds, sticky)

    low, high = 0, 1
    while tried(high).percentile(0.95) > goal:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if tried(middle).percentile(0.95) > goal:
            low = middle
        else:
            high = middle
    return high, tried(high)


def measured(path: Path) -> tuple[float, float, float]:
    """Return the processor seconds of a first, a later, and a repeated click that `fcfi bench` told."""
    told = json.loads(path.read_text(encoding="utf-8"))
    engine = told["rows"][0]["path"]
    photo = min((row for row in told["photos"] if row["engine"] == engine), key=lambda row: row["megapixels"])
    middles = photo["first"][MEDIAN], photo["further"][MEDIAN], told["rows"][0]["further_processor"][MEDIAN]
    return middles[0] / 1000, middles[1] / 1000, middles[2] / 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", type=Path, help="what `fcfi bench --threads 1 --json` printed")
    parser.add_argument("--first", type=float, default=61, help="milliseconds, without --bench (61)")
    parser.add_argument("--later", type=float, default=45, help="milliseconds, without --bench (45)")
    parser.add_argument("--again", type=float, default=19, help="milliseconds, without --bench (19)")
    parser.add_argument("--overhead", type=float, default=6, help="milliseconds (6)")
    parser.add_argument("--pause", type=float, default=2.0)
    parser.add_argument("--rest", type=float, default=4.0)
    parser.add_argument("--goal", type=float, default=300, help="milliseconds (300)")
    parser.add_argument("--seconds", type=float, default=120, help="simulated (120)")
    parser.add_argument("--cell", type=int, default=1000, help="annotators of one group of processes (1000)")
    parser.add_argument("annotators", type=int, nargs="*", default=[10, 100, 1_000, 100_000])
    arguments = parser.parse_args()
    first, later, again = arguments.first / 1000, arguments.later / 1000, arguments.again / 1000
    if arguments.bench:
        first, later, again = measured(arguments.bench)
    times = Times(first, later, again, arguments.overhead / 1000, arguments.pause, arguments.rest)
    told = f"first {1000 * first:.0f} ms, later {1000 * later:.0f} ms, repeated {1000 * again:.0f} ms"
    print(f"{told} of processor time")
    print("| annotators | to which process | cores | p50, ms | p95, ms | busy | remembered |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for annotators in arguments.annotators:
        cells = math.ceil(annotators / arguments.cell)
        for name, sticky in (("sticky", True), ("any", False)):
            team = math.ceil(annotators / cells)
            cores, figures = cores_for(times, team, arguments.goal / 1000, arguments.seconds, sticky)
            busy = figures.busy / (0.8 * arguments.seconds * cores)
            halves = [1000 * figures.percentile(share) for share in (0.5, 0.95)]
            print(
                f"| {annotators:,} | {name} | {cores * cells:,} | {halves[0]:.0f} | {halves[1]:.0f} "
                f"| {busy:.0%} | {figures.hits / len(figures.waits):.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
