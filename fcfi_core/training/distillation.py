"""Gives trained weights another image encoder: ``python -m fcfi_core.training.distillation``.

The new encoder, with the layers that hand its maps to the rest, learns to make the encoding that the old
one makes (feature distillation, as in Romero et al., FitNets, ICLR 2015); everything behind the encoding is
taken over as it is. Ordinary training goes on from there.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.errors import WeightsError
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.mobilenet import MobileNetEncoding, MobileNetFeedbackNetwork
from fcfi_core.outputs import require_writable, told
from fcfi_core.training.configuration import TrainingConfiguration
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.crops import CropSampler
from fcfi_core.training.prefetch import Prefetcher
from fcfi_core.training.run import sampler_of, settled, starting_network

_LEARNT = ("context", "embedding", "lateral", "detail", "edges")
_WARMUP = 20


def taken_over(network: InteractiveNetwork, teacher: InteractiveNetwork) -> int:
    """Copy every tensor of ``teacher`` that ``network`` has too, but for the encoder's; return how many."""
    present = network.state_dict()
    found = {
        name: tensor
        for name, tensor in teacher.state_dict().items()
        if not name.startswith("backbone.") and name in present and present[name].shape == tensor.shape
    }
    network.load_state_dict(found, strict=False)
    return len(found)


def distil(
    network: MobileNetFeedbackNetwork,
    teacher: MobileNetFeedbackNetwork,
    sampler: CropSampler,
    configuration: TrainingConfiguration,
    *,
    steps: int,
    learning_rate: float,
    size: int,
    batch: int,
) -> list[float]:
    """Train the encoder of ``network`` in place; return the loss of each step.

    Args:
        network: the encoder's ``frozen_blocks`` stay as they are, the others learn ``encoder_factor`` times
            as fast as the layers behind them.
        teacher: makes the wanted encoding.
        sampler: draws crops of training photos.
        configuration: says what is frozen, how fast the encoder learns, and in which precision.
        steps: optimiser steps, with cosine decay.
        learning_rate: of the layers behind the encoder, at the start.
        size: of the crops, pixels.
        batch: crops of a step.
    """
    settings = configuration.optimizer
    teacher.eval().requires_grad_(False)
    network.eval().requires_grad_(False)
    adapters = nn.ModuleList(
        (
            network.context_projection,
            network.embedding_projection,
            network.lateral_projection,
            network.detail_projection,
            network.edge_projection,
        )
    )
    adapters.requires_grad_(True).train()
    network.backbone.requires_grad_(True)
    network.backbone.features[: settings.frozen_blocks].requires_grad_(False)
    moving = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(adapters.parameters()), "factor": 1.0},
            {"params": moving, "factor": settings.encoder_factor},
        ],
        learning_rate,
        weight_decay=settings.weight_decay,
    )
    crops, losses = Prefetcher(sampler, size, 0), []
    began = time.process_time()
    try:
        for step in range(steps):
            decay = 0.02 + 0.49 * (1 + math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["factor"] * decay * min((step + 1) / _WARMUP, 1)
            pixels = np.stack([crops.next()[0].image for _ in range(batch)])
            image = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
            image = image.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=configuration.precision == "bfloat16"):
                with torch.no_grad():
                    wanted = teacher.encode(image)
                found = network.encode(image)
            parts = differences(found, wanted)
            loss = torch.stack(parts).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimizer.step()
            losses.append(float(loss.detach()))
            if (step + 1) % 20 == 0:
                minutes, words = (time.process_time() - began) / 60, _words(parts)
                mean = np.mean(losses[-20:])
                print(f"step {step + 1}/{steps}  {minutes:.1f} min  loss {mean:.3f}  {words}", flush=True)
    finally:
        crops.close()
    network.eval().requires_grad_(True)
    return losses


def differences(found: MobileNetEncoding, wanted: MobileNetEncoding) -> list[Tensor]:
    """Return how far the learnt maps are from the wanted ones, each as a share of its variance."""
    parts = []
    for name in _LEARNT:
        ours, theirs = getattr(found, name).float(), getattr(wanted, name).float()
        spread = (theirs - theirs.mean(dim=(0, 2, 3), keepdim=True)).square().mean()
        parts.append(functional.mse_loss(ours, theirs) / spread.clamp(min=1e-12))
    return parts


def _words(parts: Sequence[Tensor]) -> str:
    return "  ".join(f"{name} {float(part.detach()):.3f}" for name, part in zip(_LEARNT, parts, strict=True))


def main(argv: Sequence[str] | None = None) -> None:
    """Write a checkpoint whose encoder has learnt."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configuration", type=Path, metavar="CONFIG.toml", help="of the run to follow")
    parser.add_argument("teacher", metavar="WEIGHTS", help="a name or file of trained weights")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--size", type=int, default=256, help="of the crops, pixels")
    parser.add_argument("--batch", type=int, default=10)
    arguments = parser.parse_args(argv)
    configuration = load_configuration(arguments.configuration)
    teacher_file = resolve(arguments.teacher)
    require_writable(arguments.out, "OUT", (".safetensors",), [arguments.configuration, teacher_file])
    settled(configuration, print)
    checkpoint = read_checkpoint(teacher_file)
    teacher = checkpoint.network()
    network, header = starting_network(
        replace(configuration, start=None, arguments=dict(checkpoint.arguments))
    )
    if not isinstance(teacher, MobileNetFeedbackNetwork) or not isinstance(network, MobileNetFeedbackNetwork):
        raise WeightsError(
            f"{checkpoint.variant} and {configuration.variant} do not share what is behind the encoder; "
            "take two variants of the light network."
        )
    print(f"{taken_over(network, teacher)} tensors taken over", flush=True)
    sampler = sampler_of(configuration, print)
    distil(
        network,
        teacher,
        sampler,
        configuration,
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        size=arguments.size,
        batch=arguments.batch,
    )
    write_checkpoint(arguments.out, network.state_dict(), header)


if __name__ == "__main__":
    with told("distillation"):
        main()
