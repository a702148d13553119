"""What dilated convolutions by phases save in a training step: processor time of its passes, both ways.

    python benchmarks/training_step.py --sizes 256 320 384 --clicks 1 3

Random weights, crops and clicks, one thread; looking at the crops, the answers to the clicks, and the way
back, without drawing crops and without the optimiser. Both ways take turns. Medians, milliseconds a crop.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from statistics import median

import torch

from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.registry import build
from fcfi_core.training.gradients import quicken_gradients

WAYS = ("as torch does it", "by phases")


def passes(network: InteractiveNetwork, image: torch.Tensor, clicks: int, bfloat16: bool) -> float:
    """Return the seconds of processor time that looking, answering and the way back took."""
    batch, _, size, _ = image.shape
    points = torch.full((batch, 2, 3), -1.0)
    points[:, 0] = torch.tensor((size / 2, size / 2, 0))
    newest = torch.tensor((size / 2, size / 2, 1.0)).expand(batch, 1, 3)
    feedback = torch.zeros(batch, 1, size, size)
    began = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        encoding, total = network.encode(image), torch.zeros(())
        for _ in range(clicks):
            output = network.decode(encoding, feedback, points, newest, torch.ones(batch, 1, 1, 1))
            maps = (output.logits, output.corrected, output.fused)
            total = total + sum(part.float().square().mean() for part in maps)
            feedback = output.logits.detach().float().sigmoid()
    total.backward()  # type: ignore[no-untyped-call]
    return time.process_time() - began


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="mobilenetv2")
    parser.add_argument("--sizes", type=int, nargs="+", default=(256, 320, 384), help="sides of the crops")
    parser.add_argument("--clicks", type=int, nargs="+", default=(1, 3), help="answers to each look")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--float32", action="store_true", help="instead of bfloat16")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    networks = []
    for way in WAYS:
        torch.manual_seed(0)
        network = build(arguments.variant).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if way == "by phases":
            quicken_gradients(network)
        networks.append(network)
    print(f"| side | clicks a look | {' | '.join(WAYS)} |\n| --- | --- | --- | --- |")
    for size in arguments.sizes:
        image = torch.rand(arguments.batch, 3, size, size).contiguous(memory_format=torch.channels_last)
        for clicks in arguments.clicks:
            times: list[list[float]] = [[] for _ in WAYS]
            for turn in range(arguments.rounds + 1):
                for network, taken in zip(networks, times, strict=True):
                    seconds = passes(network, image, clicks, not arguments.float32)
                    if turn:  # the first one prepares kernels for this size
                        taken.append(seconds)
            shown = " | ".join(f"{1000 * median(taken) / arguments.batch:.0f}" for taken in times)
            print(f"| {size} | {clicks} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
