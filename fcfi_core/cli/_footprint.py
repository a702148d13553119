"""How much room a model takes: parameters, file, memory of a process that answers clicks with it."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

_BYTES_PER_WEIGHT = 2
"""Files hold float16."""


@dataclass(frozen=True)
class Footprint:
    """The size of one model.

    Args:
        model: name and variant.
        parameters: millions.
        file: MiB as a float16 checkpoint.
        memory: MiB, the largest resident size of a process that loads it and answers two clicks.
        memory_without: MiB, the same before the network exists: Python, numpy, OpenCV and torch.
    """

    model: str
    parameters: float
    file: float
    memory: float
    memory_without: float


def footprint(model: str, weights: Path | None, variant: str, threads: int | None) -> Footprint:
    """Return the footprint of a checkpoint, or of a variant with random weights, measured in a new process.

    Args:
        model: name for the table.
        weights: checkpoint, or None.
        variant: built with random weights if ``weights`` is None.
        threads: CPU threads; None: the container's share.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (model, weights, variant, threads))


def _measured(model: str, weights: Path | None, variant: str, threads: int | None) -> Footprint:
    from fcfi_core.checkpoints import read_checkpoint
    from fcfi_core.model import Model
    from fcfi_core.networks import registry
    from fcfi_core.predictor import Predictor

    memory_without = _largest_resident()
    network = read_checkpoint(weights).network() if weights else registry.build(variant)
    count = sum(tensor.numel() for tensor in network.state_dict().values())
    predictor = Predictor(
        Model.from_network(network, name=model, variant=variant, device="cpu", threads=threads)
    )
    predictor.warm_up()
    return Footprint(
        model=model,
        parameters=sum(parameter.numel() for parameter in network.parameters()) / 1e6,
        file=weights.stat().st_size / 2**20 if weights else count * _BYTES_PER_WEIGHT / 2**20,
        memory=_largest_resident(),
        memory_without=memory_without,
    )


def _largest_resident() -> float:
    """Return the largest resident size of this process so far, MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux, getrusage also counts what the parent process once held
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
