"""How much room a model takes and how long it takes to start: measured in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_BYTES_PER_WEIGHT = 2
"""Files hold float16."""

_NO_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Footprint:
    """The size of one model with one engine.

    Args:
        model: name and variant.
        engine: what runs it.
        parameters: millions.
        file: MiB as a float16 checkpoint.
        ready: seconds from the start of a Python process until it has answered two clicks.
        ready_processor: seconds of processor time that took.
        memory: MiB, the largest resident size until then.
        memory_resting: MiB, resident when nothing is asked any more.
        memory_without: MiB, the same before the engine exists: Python, numpy and OpenCV.
    """

    model: str
    engine: str
    parameters: float
    file: float
    ready: float
    ready_processor: float
    memory: float
    memory_resting: float
    memory_without: float


def footprint(model: str, engine: str, weights: Path | None, variant: str, threads: int | None) -> Footprint:
    """Return the footprint of a checkpoint, or of a variant with random weights.

    Args:
        model: name for the table.
        engine: name; random weights are for torch.
        weights: checkpoint, or None.
        variant: built with random weights if ``weights`` is None.
        threads: CPU threads; None: the container's share.
    """
    start = time.perf_counter()
    asked = json.dumps([engine, str(weights) if weights else None, variant, threads])
    done = subprocess.run(
        [sys.executable, "-m", "fcfi_core.cli._footprint", asked],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout)
    return Footprint(model=model, engine=engine, ready=time.perf_counter() - start, **found)


def _measured(engine: str, weights: str | None, variant: str, threads: int | None) -> dict[str, float]:
    from fcfi_core.checkpoints.files import describe
    from fcfi_core.engines.base import Resting
    from fcfi_core.model import Model, load_model
    from fcfi_core.predictor import Predictor

    memory_without = _largest_resident()
    if weights:
        model = load_model(weights, engine=engine, device="cpu", threads=threads)
    else:
        from fcfi_core.networks import registry

        network = registry.build(variant)
        model = Model.from_network(network, variant=variant, device="cpu", threads=threads)
    Predictor(model).warm_up()
    ready, memory = time.process_time(), _largest_resident()
    if isinstance(model.engine, Resting):
        model.engine.rest()
    memory_resting = _resident("VmRSS") or memory
    sizes = (
        {name: array.size for name, array in describe(weights).weights().items()}
        if weights
        else {name: tensor.numel() for name, tensor in network.state_dict().items()}
    )
    parameters = sum(size for name, size in sizes.items() if not name.endswith(_NO_PARAMETERS))
    file = Path(weights).stat().st_size if weights else sum(sizes.values()) * _BYTES_PER_WEIGHT
    return {
        "parameters": parameters / 1e6,
        "file": file / 2**20,
        "ready_processor": ready,
        "memory": memory,
        "memory_resting": memory_resting,
        "memory_without": memory_without,
    }


def _largest_resident() -> float:
    """Return the largest resident size of this process so far, MiB."""
    largest = _resident("VmHWM")  # on Linux, getrusage also counts what the parent process once held
    if largest is not None:
        return largest
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _resident(which: str) -> float | None:
    """Return a resident size of this process, MiB, by its name in Linux's ``status``; None elsewhere."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{which}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(_measured(*json.loads(sys.argv[1]))))
