"""What a click costs beside other programs: engines, wait policies and numbers of threads, in one run.

    python benchmarks/busy_machine.py [--busy 0 4] [--threads 1 2] [--users 1] [--seconds 6] [--ways openvino]

``--users`` people click as fast as answers come, each in photos of their own, five clicks on an object and
then on the next, with one predictor for all, while ``--busy`` other processes keep a core each busy. The
combinations take turns in short spans, so that whatever else runs on the machine meets all of them. Wall
time is what the user waits for; processor time is what the click took from the machine, spinning included.
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

WAYS = (("torch", "ACTIVE"), ("torch", "PASSIVE"), ("openvino", "PASSIVE"), ("openvino-bf16", "PASSIVE"))
"""Engine, and how OpenMP's threads wait; OpenVINO has other threads."""

ROUNDS = 3
_BUSY = "while True: pass"


def main(arguments: argparse.Namespace) -> None:
    """Measure every combination and print the table."""
    ways = [way for way in WAYS if way[0] in arguments.ways]
    found: dict[tuple[int, str, str, int], list[tuple[float, float]]] = defaultdict(list)
    lasted: dict[tuple[int, str, str, int], float] = defaultdict(float)
    for busy in arguments.busy:
        for _ in range(ROUNDS):
            for (engine, policy), threads in product(ways, arguments.threads):
                with others(busy):
                    environment = {**os.environ, "OMP_WAIT_POLICY": policy, "FCFI_ENGINE": engine}
                    command = [sys.executable, __file__, "--clicks", str(threads)]
                    command += ["--seconds", str(arguments.seconds / ROUNDS), "--users", str(arguments.users)]
                    answer = subprocess.run(
                        command, env=environment, check=True, capture_output=True, text=True
                    )
                clicks, seconds = json.loads(answer.stdout)
                found[busy, engine, policy, threads] += clicks
                lasted[busy, engine, policy, threads] += seconds
    times = f"{'wall p50':>10}{'p95':>8}{'processor':>11}"
    print(f"{'busy':>5} {'engine':<14}{'policy':<8}{'threads':>7}{'clicks':>8}{'a second':>10}{times}  ms")
    for (busy, engine, policy, threads), clicks in found.items():
        wall, processor = (sorted(1000 * click[index] for click in clicks) for index in (0, 1))
        last = wall[min(len(wall) - 1, int(0.95 * len(wall)))]
        cells = f"{statistics.median(wall):>10.0f}{last:>8.0f}{statistics.median(processor):>11.0f}"
        rate = len(clicks) / lasted[busy, engine, policy, threads]
        print(f"{busy:>5} {engine:<14}{policy:<8}{threads:>7}{len(clicks):>8}{rate:>10.1f}{cells}")


def click_on(threads: int, seconds: float, users: int) -> None:
    """Print (wall, processor) seconds of every click, and seconds in all, of about ``seconds``, as JSON.

    With several users a click's processor time is the mean of all.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from fcfi_core import Predictor, load_model

    predictor = Predictor(load_model("default", engine=os.environ["FCFI_ENGINE"], threads=threads))
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[120:360, 160:480] = (200, 120, 40)
    places = ((320, 240), (200, 150), (420, 300), (260, 330), (60, 60))
    predictor.warm_up()
    began, worked = time.perf_counter(), time.process_time()

    def user(number: int) -> list[tuple[float, float]]:
        times: list[tuple[float, float]] = []
        while time.perf_counter() < began + seconds or not times:
            own = pixels.copy()  # a photo of which nothing is remembered
            own[0, 0] = number, len(times) // 5 % 256, len(times) // 1280
            session = predictor.open(own)
            for x, y in places:
                start = time.perf_counter(), time.process_time()
                _ = session.click(x, y, positive=x > 100).mask
                times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        return times

    with ThreadPoolExecutor(users) as people:
        clicks = [click for times in people.map(user, range(users)) for click in times]
    if users > 1:
        mean = (time.process_time() - worked) / len(clicks)
        clicks = [(wall, mean) for wall, _ in clicks]
    print(json.dumps((clicks, time.perf_counter() - began)))


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
    parser.add_argument("--users", type=int, default=1, help="people who click at the same time")
    parser.add_argument("--ways", nargs="+", default=["torch", "openvino"], help="engines")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each combination, over all rounds")
    parser.add_argument("--clicks", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    given = parsed()
    if given.clicks is None:
        main(given)
    else:
        click_on(given.clicks, given.seconds, given.users)
