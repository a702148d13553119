"""How many clicks weights, and means of weights, take on the development split of a configuration.

    python benchmarks/development.py CONFIG.toml default latest.safetensors default+latest.safetensors

The split holds the photos that training keeps out by their names; objects are drawn as a training run
draws them, so the same sets and count give the same objects. ``a+b`` is the mean of two weights,
``a*2+b`` gives the first twice the weight. ``--write`` keeps the last one as a checkpoint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from fcfi_core.datasets.samples import Sample
from fcfi_core.model import load_model
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.registry import build
from fcfi_core.protocol import Protocol
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.development import clicks_needed, clicks_with, development_samples
from fcfi_core.training.run import read_development_photos

FIGURES = ("noc@80", "noc@85", "noc@90", "missed@90", "iou@1", "iou@2", "iou@3", "iou@5")


def mean_of(text: str) -> Checkpoint:
    """Return the checkpoint, or the weighted mean of the checkpoints, that ``text`` names."""
    total: dict[str, Tensor] = {}
    weights = 0.0
    for term in text.split("+"):
        name, _, factor = term.partition("*")
        weight = float(factor or 1)
        checkpoint = read_checkpoint(resolve(name))
        weights += weight
        for key, tensor in checkpoint.state.items():
            if tensor.is_floating_point():
                total[key] = total.get(key, 0) + weight * tensor
            else:
                total[key] = tensor
    for key, tensor in total.items():
        if tensor.is_floating_point():
            total[key] = tensor / weights
    return Checkpoint(checkpoint.variant, checkpoint.arguments, checkpoint.protocol, total, checkpoint.header)


def samples_of(configuration: Path, sets: Sequence[str], objects: int, longest_side: int) -> list[Sample]:
    """Return objects of the photos that ``configuration`` keeps out, of the named sets (none: of all)."""
    settings = replace(load_configuration(configuration), longest_side=longest_side)
    return development_samples(read_development_photos(settings, sets), objects)


def parser_of(description: str | None, objects: int) -> argparse.ArgumentParser:
    """Return the parser of what every measurement on the split asks: which objects, and which weights."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("configuration", type=Path, help="CONFIG.toml of a training run")
    parser.add_argument("weights", nargs="+", help="a name or file; several joined by + are averaged")
    parser.add_argument("--sets", default="", help="comma-separated folder names (default: all sources)")
    parser.add_argument("--objects", type=int, default=objects)
    parser.add_argument("--longest-side", type=int, default=512, help="pixels")
    return parser


def samples_for(arguments: argparse.Namespace) -> list[Sample]:
    """Return the objects that the arguments of :func:`parser_of` ask for; from here on, one thread."""
    torch.set_num_threads(1)
    sets = [name for name in arguments.sets.split(",") if name]
    return samples_of(arguments.configuration, sets, arguments.objects, arguments.longest_side)


def network_of(checkpoint: Checkpoint) -> InteractiveNetwork:
    """Return the network of a checkpoint, ready to be measured."""
    network = build(checkpoint.variant, **checkpoint.arguments)
    network.load_state_dict(checkpoint.state)
    return network.eval()


def main() -> None:
    parser = parser_of(__doc__, objects=260)
    parser.add_argument("--write", type=Path, help="keep the last weights here")
    parser.add_argument("--engine", help="runs single weights (default: torch, which means need too)")
    arguments = parser.parse_args()
    if arguments.engine and (arguments.write or any("+" in text for text in arguments.weights)):
        parser.error("--engine takes single names or files, and writes nothing")
    samples = samples_for(arguments)
    print(f"{len(samples)} objects of {len({(one.dataset, one.image_name) for one in samples})} photos")
    print(" | ".join(("weights", *FIGURES, "processor seconds")), flush=True)
    for text in arguments.weights:
        began = time.process_time()
        if arguments.engine:
            figures = clicks_with(load_model(text, engine=arguments.engine, device="cpu", threads=1), samples)
        else:
            checkpoint = mean_of(text)
            figures = clicks_needed(
                network_of(checkpoint),
                samples,
                variant=checkpoint.variant,
                protocol=Protocol.from_dict(dict(checkpoint.protocol)),
                device="cpu",
                threads=1,
            )
        row = (f"{figures[name]:.3f}" for name in FIGURES)
        print(" | ".join((text, *row, f"{time.process_time() - began:.0f}")), flush=True)
    if arguments.write:
        write_checkpoint(arguments.write, checkpoint.state, checkpoint.header)


if __name__ == "__main__":
    main()
