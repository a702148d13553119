"""What a click costs beside other programs: engines, wait policies and numbers of threads, in one run.

    python benchmarks/busy_machine.py [--busy 0 4] [--threads 1 2] [--seconds 6]

One user clicks as fast as answers come, five clicks on an object and then on the next, while ``--busy``
other processes keep a core each busy. The combinations take turns in short spans, so that whatever else
runs on the machine meets all of them. Wall time is what the user waits for; processor time is what the
click took from the machine, spinning included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

WAYS = (("torch", "ACTIVE"), ("torch", "PASSIVE"), ("openvino", "PASSIVE"))
"""Engine, and how OpenMP's threads wait; OpenVINO has other threads."""

ROUNDS = 3
_BUSY = "while True: pass"


def main(arguments: argparse.Namespace) -> None:
    """Measure every combination and print the table."""
    found: dict[tuple[int, str, str, int], list[tuple[float, float]]] = defaultdict(list)
    for busy in arguments.busy:
        for _ in range(ROUNDS):
            for (engine, policy), threads in product(WAYS, arguments.threads):
                with others(busy):
                    environment = {**os.environ, "OMP_WAIT_POLICY": policy, "FCFI_ENGINE": engine}
                    command = [sys.executable, __file__, "--clicks", str(threads)]
                    command += ["--seconds", str(arguments.seconds / ROUNDS)]
                    answer = subprocess.run(
                        command, env=environment, check=True, capture_output=True, text=True
                    )
                found[busy, engine, policy, threads] += json.loads(answer.stdout)
    times = f"{'wall p50':>10}{'p95':>8}{'processor':>11}"
    print(f"{'busy':>5} {'engine':<9}{'policy':<8}{'threads':>7}{'clicks':>8}{times}  ms")
    for (busy, engine, policy, threads), clicks in found.items():
        wall, processor = (sorted(1000 * click[index] for click in clicks) for index in (0, 1))
        last = wall[min(len(wall) - 1, int(0.95 * len(wall)))]
        cells = f"{statistics.median(wall):>10.0f}{last:>8.0f}{statistics.median(processor):>11.0f}"
        print(f"{busy:>5} {engine:<9}{policy:<8}{threads:>7}{len(clicks):>8}{cells}")


def click_on(threads: int, seconds: float) -> None:
    """Print (wall, processor) seconds of every click of about ``seconds``, as JSON."""
    import numpy as np

    from fcfi_core import Predictor, load_model

    predictor = Predictor(load_model("default", engine=os.environ["FCFI_ENGINE"], threads=threads))
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[120:360, 160:480] = (200, 120, 40)
    places = ((320, 240), (200, 150), (420, 300), (260, 330), (60, 60))
    predictor.warm_up()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        predictor.memo.clear()
        session = predictor.open(pixels)
        for x, y in places:
            start = time.perf_counter(), time.process_time()
            _ = session.click(x, y, positive=x > 100).mask
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    print(json.dumps(times))


@contextmanager
def others(count: int) -> Iterator[None]:
    """Keep ``count`` processes busy."""
    running = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=6.0, help="for each combination, over all rounds")
    parser.add_argument("--clicks", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    given = parsed()
    if given.clicks is None:
        main(given)
    else:
        click_on(given.clicks, given.seconds)
