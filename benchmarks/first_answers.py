"""What it takes to give the likeliest of several answers to a first click instead of the usual one.

    python benchmarks/first_answers.py [--model default] [--repeats 40]

Milliseconds of processor time, median over all repeats, one thread, frames of three shapes: the look at
the image (``encode``), the usual answer alone (``decode``), all answers (``first_answers``), their rating.
The last column is the whole first click with all answers, as a share of that with the usual one alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fcfi_core import candidates, load_model
from fcfi_core.clicks import Click
from fcfi_core.engines import layout
from fcfi_core.engines.base import SeveralAnswers
from fcfi_core.geometry import Frame
from fcfi_core.logits import probability_of
from fcfi_core.regions import Region
from fcfi_core.rules import State

SIZES = ((480, 640), (640, 480), (512, 512))
"""(height, width) of the images."""

SIDE = 384


def milliseconds(function: Callable[[], Any]) -> float:
    """Return the processor time that ``function`` takes once."""
    began = time.process_time()
    function()
    return 1000 * (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    model = load_model(arguments.model, engine=arguments.engine, device="cpu", threads=1)
    engine, rating = model.engine, model.rating
    if not isinstance(engine, SeveralAnswers) or rating is None:
        parser.error(f"{arguments.model} does not rate its answers")
    names = ("encode", "usual", "all answers", "rating")
    print(f"{model.name} {model.version}, {engine.name}\n\n| frame | {' | '.join(names)} | first click |")
    print(f"| --- |{' --- |' * (len(names) + 1)}", flush=True)
    for height, width in SIZES:
        frame = Frame.of(
            Region.whole(height, width), (height, width), target=SIDE, multiple=engine.size_multiple
        )
        click = Click(width // 2, height // 2)
        image = np.random.default_rng(0).random((1, *frame.size, 3), np.float32)
        marks = layout.of_clicks(frame, [click], False)
        nothing = np.zeros((1, *frame.size), np.float32)
        encoded = engine.encode(image)
        views = probability_of(engine.first_answers(encoded, frame.size, *marks)[0])
        states = [State(frame, view, view, view, None) for view in views]
        ways: dict[str, Callable[[], Any]] = {
            "encode": lambda image=image: engine.encode(image),
            "usual": lambda e=encoded, n=nothing, m=marks: engine.decode(e, n, *m, 0.0),
            "all answers": lambda e=encoded, f=frame, m=marks: engine.first_answers(e, f.size, *m),
            "rating": lambda s=states, c=click: rating.expected(candidates.described(s, c, 0.5)[None]),
        }
        times: dict[str, list[float]] = {name: [] for name in names}
        for repeat in range(arguments.repeats + 3):
            for name, way in ways.items():  # in turn, so that a busy machine is busy for all
                taken = milliseconds(way)
                if repeat >= 3:
                    times[name].append(taken)
        medians = {name: float(np.median(values)) for name, values in times.items()}
        before = medians["encode"] + medians["usual"]
        after = medians["encode"] + medians["all answers"] + medians["rating"]
        cells = " | ".join(f"{medians[name]:.1f}" for name in names)
        print(f"| {frame.width} x {frame.height} | {cells} | {after / before:.2f} |", flush=True)


if __name__ == "__main__":
    main()
