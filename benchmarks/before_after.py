"""What a click takes in two versions of this package, in one run: whether speed was lost in between.

    python benchmarks/before_after.py BEFORE/bin/python AFTER/bin/python [--checkpoint FILE] [--engine torch]

Each interpreter has its version installed and opens the same checkpoint on one thread. They take turns, an
object each, so that whatever else runs on the machine meets both; what counts is processor time. An object is
a photo of its own, a first click and four more in the same frame, up to the mask at the photo's size.
``--plain-edges`` leaves out the last step of versions that sharpen edges by the photo's colours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace

CLICKS = ((320, 240), (330, 240), (320, 250), (315, 235), (325, 245))
"""Pixels of a photo of 640 x 480."""


def main(arguments: argparse.Namespace) -> None:
    """Let both take turns and print the table."""
    options = [arguments.engine, str(arguments.scale), "plain" if arguments.plain_edges else "usual"]
    workers = [
        subprocess.Popen(
            [python, __file__, "--work", arguments.checkpoint, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for python in arguments.pythons
    ]
    found: list[list[list[float]]] = [[] for _ in workers]
    for number in range(arguments.objects + 1):
        for worker, times in zip(workers, found, strict=True):
            assert worker.stdin is not None
            assert worker.stdout is not None
            print(number, file=worker.stdin, flush=True)
            times.append(json.loads(worker.stdout.readline()))
    for worker in workers:
        worker.communicate()
    print(f"{'version':<40}{'first click':>24}{'next click':>24}  ms of processor time, 10 %, 50 %, 90 %")
    for python, times in zip(arguments.pythons, found, strict=True):
        kept = times[1:]  # the first object warms up
        first, further = [one[0] for one in kept], [click for one in kept for click in one[1:]]
        cells = "".join(f"{' / '.join(percentiles(values)):>24}" for values in (first, further))
        print(f"{python[-38:]:<40}{cells}")


def percentiles(values: list[float]) -> list[str]:
    """Return the 10th, 50th and 90th percentile, written."""
    values = sorted(values)
    return [f"{values[round(share * (len(values) - 1))]:.1f}" for share in (0.1, 0.5, 0.9)]


def work(checkpoint: str, engine: str, scale: int, edges: str) -> None:
    """Answer each line with the milliseconds of processor time of an object's clicks."""
    import cv2
    import numpy as np

    from fcfi_core import Predictor, load_model

    cv2.setNumThreads(1)
    model = load_model(checkpoint, device="cpu", engine=engine, threads=1)
    protocol = model.protocol
    if edges == "plain" and hasattr(protocol, "local_colours"):
        protocol = replace(protocol, local_colours=False)
    predictor = Predictor(model, protocol=protocol)
    for line in sys.stdin:
        random = np.random.default_rng(int(line))
        small = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        photo = cv2.resize(small, (640 * scale, 480 * scale), interpolation=cv2.INTER_CUBIC)
        session = predictor.open(photo)
        times = []
        for x, y in CLICKS:
            began = time.process_time()
            _ = session.click(x * scale, y * scale).mask
            times.append(1000 * (time.process_time() - began))
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        parser = argparse.ArgumentParser(
            description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("pythons", nargs=2, metavar="PYTHON", help="interpreters: before and after")
        parser.add_argument("--checkpoint", default="default", help="name or file that both can read")
        parser.add_argument("--engine", default="torch", help="(default: %(default)s)")
        parser.add_argument("--objects", type=int, default=30, help="(default: %(default)s)")
        parser.add_argument("--scale", type=int, default=1, help="photos of 640 x 480 times so much")
        parser.add_argument("--plain-edges", action="store_true", help="do not sharpen edges")
        main(parser.parse_args())
