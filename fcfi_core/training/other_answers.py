"""Teaches trained weights further answers to a first click: ``python -m fcfi_core.training.other_answers``.

Everything but the new layers stays as it is, so the usual answer, and every click after it, keeps its bits.
Several targets of one view are clicked on; of the usual answer and the further ones only the best is
made better, so that each learns what the others leave: a part where the usual answer took the whole, the
whole where it took a part (multiple-choice learning, as in Li et al., CVPR 2018, and SAM).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.engines.layout import points_of
from fcfi_core.errors import WeightsError
from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork
from fcfi_core.networks.registry import build
from fcfi_core.outputs import require_writable, told
from fcfi_core.training.configuration import TrainingConfiguration
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.crops import UNKNOWN, CropSampler
from fcfi_core.training.episodes import first_click
from fcfi_core.training.run import sampler_of, settled

Mark = tuple[int, int, bool]
"""A click: row, column, polarity."""

COUNT = 2
VIEWS, TARGETS = 5, 4
"""Photos of a step, and targets clicked on in each."""

_REST = 0.03
"""Weight of the mean of all answers' losses beside that of the best: an answer that never won would die."""
_WARMUP = 30


def teach(
    network: MobileNetFeedbackNetwork,
    sampler: CropSampler,
    configuration: TrainingConfiguration,
    *,
    steps: int,
    learning_rate: float,
    size: int,
) -> None:
    """Train the layers of the further answers in place.

    Args:
        network: with ``other_answers``.
        sampler: draws views of training photos.
        configuration: says where first clicks fall.
        steps: optimiser steps, with cosine decay.
        learning_rate: at the start.
        size: of the views, pixels.
    """
    network.eval().requires_grad_(False)
    others = network.others.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(others.parameters(), learning_rate, weight_decay=1e-4)
    began, recent = time.process_time(), []
    for step in range(steps):
        factor = min((step + 1) / _WARMUP, 1) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        images, targets, clicks = _batch(sampler, configuration, step, size)
        with torch.autocast("cpu", torch.bfloat16, enabled=configuration.precision == "bfloat16"):
            features, usual = _usual(network, images, clicks)
            logits = torch.cat((usual, others(*features, usual)), dim=1)
        loss = least_loss(logits.float(), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(others.parameters(), configuration.optimizer.clip)
        optimizer.step()
        recent.append(float(loss.detach()))
        if (step + 1) % 20 == 0:
            minutes = (time.process_time() - began) / 60
            print(f"step {step + 1}/{steps}  {minutes:.1f} min  loss {np.mean(recent[-40:]):.3f}", flush=True)
    others.eval()


def least_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss of the best answer to each click, a scalar.

    Args:
        logits: (B, K, h, w) of all answers.
        target: (B, 1, H, W) uint8, 1 object, 0 background, 255 unknown; compared at half its size.
    """
    target = target[:, :, ::2, ::2]
    logits = functional.interpolate(logits, target.shape[-2:], mode="bilinear", align_corners=True)
    known = (target != UNKNOWN).float()
    truth = (target == 1).float().expand_as(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * known
    probability = torch.sigmoid(logits) * known
    overlap = (probability * truth).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / ((probability + truth * known).sum(dim=(2, 3)) + 1)
    losses = entropy.sum(dim=(2, 3)) / known.sum(dim=(2, 3)).clamp(min=1) + dice
    return (losses.amin(dim=1) + _REST * losses.mean(dim=1)).mean()


def _batch(
    sampler: CropSampler, configuration: TrainingConfiguration, step: int, size: int
) -> tuple[Tensor, Tensor, list[list[Mark]]]:
    """Return (VIEWS, 3, S, S) images, (VIEWS x TARGETS, 1, S, S) targets, and a click on each of these."""
    images, targets, clicks = [], [], []
    for view in range(VIEWS):
        image, found, random = sampler.draw_together(step * VIEWS + view, size, TARGETS)
        images.append(image)
        targets += found
        first = (first_click(target, random, configuration.sampling) for target in found)
        clicks += [[(click.y, click.x, True)] for click in first]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
    return (
        batch.contiguous(memory_format=torch.channels_last),
        torch.from_numpy(np.stack(targets)).unsqueeze(1),
        clicks,
    )


@torch.no_grad()
def _usual(
    network: MobileNetFeedbackNetwork, images: Tensor, clicks: list[list[Mark]]
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Return the features that the further answers start from, and the usual answer's logits."""
    encoding: Any = network.encode(images)
    encoding = type(encoding)(*(maps.repeat_interleave(TARGETS, 0) for maps in encoding))
    points, newest = points_of(clicks)
    height, width = images.shape[-2:]
    disks = disk_maps(torch.from_numpy(points), height, width, network.disk_radius)
    nothing = torch.zeros_like(disks[:, :1])
    return network.first_features(encoding, nothing, disks, torch.from_numpy(newest).float())


def main(argv: Sequence[str] | None = None) -> None:
    """Write a checkpoint with further answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configuration", type=Path, metavar="CONFIG.toml", help="of a training run")
    parser.add_argument("weights", metavar="WEIGHTS", help="a name or file, with or without further answers")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--size", type=int, default=320, help="of the views, pixels")
    arguments = parser.parse_args(argv)
    configuration = load_configuration(arguments.configuration)
    weights = resolve(arguments.weights)
    require_writable(arguments.out, "OUT", (".safetensors",), [arguments.configuration, weights])
    settled(configuration, print)
    checkpoint = read_checkpoint(weights)
    header = {**checkpoint.header, "arguments": {**checkpoint.arguments, "other_answers": COUNT}}
    header.pop("rating", None)  # of other answers than these
    if not isinstance(checkpoint.network(), MobileNetFeedbackNetwork):
        raise WeightsError(
            f"{arguments.weights!r} is a {checkpoint.variant}; only variants of the light network learn "
            "other answers."
        )
    network = build(checkpoint.variant, **header["arguments"])
    assert isinstance(network, MobileNetFeedbackNetwork)
    network.load_state_dict(checkpoint.state, strict=False)
    sampler = sampler_of(configuration, print)
    teach(
        network,
        sampler,
        configuration,
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        size=arguments.size,
    )
    write_checkpoint(arguments.out, network.state_dict(), header)


if __name__ == "__main__":
    with told("other_answers"):
        main()
