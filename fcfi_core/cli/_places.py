"""Where a verb's work is done: ``--workers`` and ``--cluster``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core import allowance

if TYPE_CHECKING:
    from fcfi_core.predictor import Predictor
    from fcfi_core.workers import Place


def add_place_arguments(parser: argparse.ArgumentParser, workers: str) -> None:
    """Declare ``--workers`` and ``--cluster``.

    Args:
        workers: what stands for the default number of workers of this machine.
    """
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help=f"images in work at the same time (default: {workers}; of a cluster, all it has room for)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="work on this Ray cluster: auto (this machine belongs to it), HOST:PORT or ray://HOST:PORT",
    )


def runs_on_processor(values: Mapping[str, Any]) -> bool:
    """Return whether the network runs on a processor, by the core's settings."""
    from fcfi_core.engines.devices import has_cuda

    return values["FCFI_DEVICE"] == "cpu" or (values["FCFI_DEVICE"] == "auto" and not has_cuda())


def place_of(
    arguments: argparse.Namespace,
    values: Mapping[str, Any],
    *,
    default: int,
    read: Sequence[Path | None] = (),
) -> Place:
    """Return where the work is done.

    Args:
        arguments: of :func:`add_place_arguments`.
        values: the core's settings, with the threads that each network has.
        default: number of workers of this machine if none is given.
        read: files and folders that the work reads; None are passed over.

    Raises:
        SettingsError: for a number of workers below 1.
    """
    from fcfi_core.workers import Processes, Threads

    on_processor = runs_on_processor(values)
    if arguments.cluster is None:
        count = default if arguments.workers is None else arguments.workers
        return Processes(count) if on_processor else Threads(count)
    from fcfi_core.workers.cluster import Cluster

    return Cluster(
        arguments.cluster,
        arguments.workers,
        processors=values["FCFI_THREADS"] if on_processor else 1,
        gpus=0 if on_processor else 1,
        folders=[path for path in read if isinstance(path, Path)],
    )


def predictor_maker(values: Mapping[str, Any], place: Place) -> partial[Predictor]:
    """Return what makes the predictor in each worker process of ``place``."""
    from fcfi_core.workers import Processes

    return partial(_predictor, dict(values), place.count if isinstance(place, Processes) else None)


def _predictor(values: Mapping[str, Any], beside: int | None) -> Predictor:
    """Return the predictor of one of several worker processes, which share the memory that work may take.

    Args:
        beside: how many share this machine; None: as many as there are processors for.
    """
    from fcfi_core.engines.threads import container_share
    from fcfi_core.predictor import Predictor

    if beside is None:
        beside = max(container_share() // max(values["FCFI_THREADS"], 1), 1)
    allowance.PROCESS.limit(allowance.capacity_of(values["FCFI_MEMORY_MEGABYTES"]) // beside)
    return Predictor.from_settings({**values, "FCFI_MEMO_MEGABYTES": values["FCFI_MEMO_MEGABYTES"] / beside})
