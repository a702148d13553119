"""What the light network's encoders cost: processor time of looking at a frame, and of a click in it.

    python benchmarks/encoders.py --side 384 --rounds 20

Random weights, OpenVINO, one thread; the variants take turns, so that what else the machine does meets all
of them alike. Medians, milliseconds of processor time.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
import torch

from fcfi_core.engines import graphs
from fcfi_core.engines.openvino_engine import OpenVinoEngine
from fcfi_core.networks.registry import build
from fcfi_core.protocol import LIGHT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=384, help="of the frame, pixels, a multiple of 32")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    engines, sizes = {}, {}
    for variant in LIGHT:
        graph = graphs.read(variant)
        assert graph is not None, variant
        network = build(variant).eval()
        state = network.state_dict()
        sizes[variant] = sum(tensor.numel() for tensor in network.parameters()) / 1e6
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        engines[variant] = OpenVinoEngine(graph, arrays, {}, threads=1)
    side = arguments.side
    image = torch.rand(1, side, side, 3).numpy()
    feedback = torch.rand(1, side, side).numpy()
    points = np.full((1, 2, 3), -1, np.float32)
    points[0, 0] = (side / 2, side / 2, 0)
    newest = np.array([[[side // 2, side // 2, 1]]], np.int64)
    looks: dict[str, list[float]] = {variant: [] for variant in LIGHT}
    clicks: dict[str, list[float]] = {variant: [] for variant in LIGHT}
    for turn in range(arguments.rounds + 2):
        for variant, engine in engines.items():
            began = time.process_time()
            encoded = engine.encode(image)
            between = time.process_time()
            engine.decode(encoded, feedback, points, newest, 1.0)
            if turn > 1:  # the first ones prepare the graphs for this size
                looks[variant].append(between - began)
                clicks[variant].append(time.process_time() - between)
    print("| variant | million parameters | a look | a click | both |\n| --- | --- | --- | --- | --- |")
    for variant in LIGHT:
        look, click = (1000 * median(times[variant]) for times in (looks, clicks))
        print(f"| {variant} | {sizes[variant]:.2f} | {look:.1f} | {click:.1f} | {look + click:.1f} |")


if __name__ == "__main__":
    main()
