"""Where the network's time goes: OpenVINO's own counts, layer by layer, of the encoder and of a click.

    python benchmarks/layers.py [--model default] [--engine openvino|openvino-bf16] [--size 288 384]

A layer's time is what the plug-in measures on one thread by the clock, the least of all passes: what else
runs on the machine counts, so the sum is only near the processor time, printed beside it, on a quiet one.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np

from fcfi_core.clicks import Click
from fcfi_core.engines import layout
from fcfi_core.engines.openvino_package import openvino
from fcfi_core.geometry import Frame
from fcfi_core.model import load_model
from fcfi_core.regions import Region


class Counting(openvino.Core):  # type: ignore[misc]
    """A core whose compiled models count."""

    def compile_model(self, model: Any, device: str, config: dict[str, Any]) -> Any:
        return super().compile_model(model, device, {**config, "PERF_COUNT": True})


def layers(request: Any) -> Iterable[tuple[str, str, str, float]]:
    """Yield name, kind, how it was executed, and milliseconds of each layer of the last pass that ran."""
    for info in request.profiling_info:
        if info.status == openvino.ProfilingInfo.Status.EXECUTED and info.real_time.total_seconds():
            yield info.node_name, info.node_type, info.exec_type, 1000 * info.real_time.total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--engine", choices=("openvino", "openvino-bf16"), default="openvino")
    parser.add_argument("--size", type=int, nargs=2, default=(288, 384), metavar=("H", "W"))
    parser.add_argument("--passes", type=int, default=30)
    parser.add_argument("--most", type=int, default=12, help="single layers to print")
    arguments = parser.parse_args()
    openvino.Core = Counting
    engine: Any = load_model(arguments.model, engine=arguments.engine, threads=1).engine
    height, width = arguments.size
    random = np.random.default_rng(0)
    frame = Frame.of(Region.whole(height, width), (height, width), target=None)
    clicks = [Click(width // 2, height // 2), Click(width // 3, height // 3, False)]
    points = layout.of_clicks(frame, clicks, False)
    view = random.random((1, height, width, 3), np.float32)
    feedback = random.random((1, height, width), np.float32)
    for part in ("encoder", "decoder"):
        times: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        processor = list[float]()
        encoded = engine.encode(view)
        for _ in range(arguments.passes):
            # Who has slept is let work for a while, whoever else is there; and not always the same layers.
            time.sleep(0.05)
            until = time.perf_counter() + random.uniform(0, 0.004)
            while time.perf_counter() < until:
                pass
            start = time.process_time()
            if part == "encoder":
                engine.encode(view)
            else:
                engine.decode(encoded, feedback, *points, gate=1.0)
            processor.append(1000 * (time.process_time() - start))
            for name, kind, how, spent in layers(getattr(engine, f"_{part}")._request):
                times[name, kind, how].append(spent)
        found = {key: min(spent) for key, spent in times.items() if len(spent) == arguments.passes}
        whole = sum(found.values())
        print(f"\n{part}: {len(found)} layers, {whole:.1f} ms; {median(processor):.1f} ms of processor time")
        for title, by in (("kind", 1), ("executed as", 2)):
            sums: Counter[str] = Counter()
            for key, spent in found.items():
                sums[key[by]] += spent  # type: ignore[assignment]
            print(f"  by {title}: " + ", ".join(f"{name} {spent:.2f}" for name, spent in sums.most_common(8)))
        for (name, kind, how), spent in sorted(found.items(), key=lambda item: -item[1])[: arguments.most]:
            print(f"  {spent:6.2f} ms {100 * spent / whole:4.1f} %  {kind:<22}{how:<28}{name}")


if __name__ == "__main__":
    main()
