"""Where a CVAT request spends its time, stage by stage, for frames of several sizes.

    python benchmarks/cvat_stages.py [--model FILE] [--clicks 5] [--threads 1] [--cpu]

The handler is called as nuclio calls it, click after click. Per frame size and answer form, the median over
the clicks after the first, in milliseconds: reading the request, decoding the frame, the network, the rest
of the clicks (frames, memo, mask at full size), writing the answer; and the answer's size. With --cpu it is
processor time instead of wall time (for a busy machine; one thread only).
"""

from __future__ import annotations

import argparse
import base64
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from cvat_function import main as function
from cvat_function.settings import FORMS
from cvat_function.stages import Stages
from fcfi_core.predictor import Predictor

SIZES = ((640, 480), (1920, 1080), (6000, 4000))
STAGES = ("request", "image", "network", "clicks", "answer")


class TimedEngine:
    """An engine that adds up the seconds spent in the one it hands everything to."""

    def __init__(self, engine: Any, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def encode(self, images: Any) -> Any:
        return self._timed(self._engine.encode, images)

    def decode(self, *arguments: Any, **named: Any) -> Any:
        return self._timed(self._engine.decode, *arguments, **named)

    def _timed(self, call: Any, *arguments: Any, **named: Any) -> Any:
        start = self._clock()
        result = call(*arguments, **named)
        self.seconds += self._clock() - start
        return result


class Context:
    """What nuclio gives a handler, keeping the numbers it logs."""

    def __init__(self) -> None:
        self.user_data = lambda: None
        self.logger = self
        self.logged: dict[str, float] = {}

    def info_with(self, message: str, **numbers: Any) -> None:
        self.logged = numbers

    def Response(self, body: str, **_: Any) -> str:
        return body


def frame(width: int, height: int) -> str:
    """Return a JPEG of a textured scene as base64 text."""
    noise = np.random.default_rng(0).integers(0, 60, (height // 4, width // 4, 3), np.uint8)
    pixels = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.ellipse(pixels, (width // 2, height // 2), (width // 4, height // 3), 20, 0, 360, (40, 90, 220), -1)
    return base64.b64encode(cv2.imencode(".jpg", pixels)[1].tobytes()).decode()


def session(width: int, height: int, clicks: int) -> list[dict[str, Any]]:
    """Return the bodies that CVAT posts while one object is clicked."""
    random = np.random.default_rng(1)
    image = frame(width, height)
    points = [(width / 2, height / 2), *random.uniform(0.3, 0.7, (clicks - 1, 2)) * (width, height)]
    return [
        {
            "image": image,
            "pos_points": [list(map(float, point)) for point in points[:count:2]],
            "neg_points": [list(map(float, point)) for point in points[1:count:2]],
            "obj_bbox": [],
        }
        for count in range(1, clicks + 1)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of wall time")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu else time.perf_counter
    function.Stages = partial(Stages, clock)  # type: ignore[assignment, misc]
    os.environ.update(FCFI_MODEL=arguments.model, FCFI_THREADS=arguments.threads)
    print(f"| frame | form | {' | '.join(STAGES)} | all but the network | answer, bytes |")
    print(f"| --- | --- |{' --- |' * (len(STAGES) + 2)}")
    for form in FORMS:
        os.environ["FCFI_CVAT_RESPONSE"] = form
        context = Context()
        function.init_context(context)
        model = context.user_data.predictor.model
        engine = TimedEngine(model.engine, clock)
        context.user_data.predictor = Predictor(replace(model, engine=engine), max_pixels=None)
        for width, height in SIZES:
            rows = []
            for body in session(width, height, arguments.clicks):
                engine.seconds, context.logged = 0.0, {}
                function.handler(context, type("Event", (), {"body": body}))
                numbers = dict(context.logged, network=1000 * engine.seconds)
                numbers["clicks"] -= numbers["network"]
                rows.append([numbers[name] for name in (*STAGES, "bytes")])
            medians = np.median(rows[1:], axis=0)
            rest = medians[:-1].sum() - medians[STAGES.index("network")]
            cells = [f"{value:.1f}" for value in (*medians[:-1], rest)]
            print(f"| {width} x {height} | {form} | {' | '.join(cells)} | {medians[-1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
