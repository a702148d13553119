"""Thousands of mixed requests to a running CVAT function: same request, same answer, flat memory.

    python benchmarks/cvat_soak.py http://localhost:PORT/ [--requests 2000] [--pid WORKER]

Users with different frames, clicks, boxes and undos take turns with broken bodies, images that are none, a
frame of 24 megapixels and one of 900 that must be refused. Every answer is compared with the first one to
the same request. With the worker's process id (on this machine) its memory is followed too.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image


def picture(width: int, height: int, seed: int, kind: str = "PNG") -> str:
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    disc = (columns - width * 0.4) ** 2 + (rows - height * 0.5) ** 2 < (0.3 * min(width, height)) ** 2
    pixels = np.where(disc[..., None], random.integers(90, 255, 3), random.integers(0, 90, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def bomb() -> str:
    buffer = io.BytesIO()
    Image.new("1", (30000, 30000)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def requests() -> tuple[list[bytes], list[bytes]]:
    """Return ordinary bodies and rare, heavy ones."""
    ordinary: list[object] = []
    for user in range(12):
        width, height = 160 + 40 * user, 120 + 20 * user
        image = picture(width, height, user)
        points = [[width * 0.4, height * 0.5], [width - 9.0, 9.0], [width * 0.45, height * 0.45], [5.0, 5.0]]
        for count in (1, 2, 3, 4, 3, 2):
            body = {"image": image, "pos_points": points[:count:2], "neg_points": points[1:count:2]}
            ordinary.append({**body, "obj_bbox": []})
        box = [[width * 0.1, height * 0.1], [width * 0.7, height * 0.9]]
        ordinary.append({"image": image, "pos_points": [], "neg_points": [], "obj_bbox": box})
        ordinary.append({"image": image, "pos_points": [[None, 1]], "neg_points": []})
        ordinary.append({"image": image[:200], "pos_points": [[1, 1]], "neg_points": []})
        ordinary.append({"image": image, "pos_points": [[1e9, 1]], "neg_points": []})
    junk = [b"", b"hello", b"null", b"[1]", b'{"image": "\xff"}', b'{"image": 7}']
    large = {
        "image": picture(6000, 4000, 99, "JPEG"),
        "pos_points": [[2400, 2000]],
        "neg_points": [[5500, 300]],
    }
    heavy = [large, {"image": bomb(), "pos_points": [[1, 1]]}]
    return [json.dumps(body).encode() for body in ordinary] + junk, [
        json.dumps(body).encode() for body in heavy
    ]


def post(url: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def resident(pid: int | None) -> float:
    """Return the process's resident memory in megabytes, 0 without one."""
    if pid is None:
        return 0.0
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--pid", type=int)
    arguments = parser.parse_args()
    ordinary, heavy = requests()
    random = np.random.default_rng(0)
    first: dict[bytes, tuple[int, bytes]] = {}
    changed, statuses, memory = 0, dict[int, int](), []
    start = time.perf_counter()
    for number in range(arguments.requests):
        body = heavy[number // 50 % 2] if number % 50 == 49 else ordinary[random.integers(len(ordinary))]
        answer = post(arguments.url, body)
        changed += first.setdefault(body, answer) != answer
        statuses[answer[0]] = statuses.get(answer[0], 0) + 1
        if number % 100 == 99:
            memory.append(resident(arguments.pid))
    seconds = time.perf_counter() - start
    print(f"{arguments.requests} requests in {seconds:.0f} s, statuses {statuses}, {changed} changed answers")
    if arguments.pid:
        print("memory after each hundred, MB:", " ".join(f"{value:.0f}" for value in memory))
    return 1 if changed or set(statuses) - {200, 400} else 0


if __name__ == "__main__":
    sys.exit(main())
