"""Where a verb's work is done: ``--workers`` and ``--cluster``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core import allowance

if TYPE_CHECKING:
    from fcfi_core.predictor import Predictor
    from fcfi_core.protocol import Protocol
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


def whole_paths(arguments: argparse.Namespace, *names: str) -> None:
    """Write the paths that the arguments of these names hold from the root, for workers of a cluster.

    They begin in a folder of their own.
    """
    if arguments.cluster is None:
        return
    for name in names:
        value = getattr(arguments, name)
        if isinstance(value, list):
            setattr(arguments, name, [_whole(path) for path in value])
        else:
            setattr(arguments, name, _whole(value))


def _whole(path: object) -> object:
    return path.absolute() if isinstance(path, Path) else path


def runs_on_processor(values: Mapping[str, Any]) -> bool:
    """Return whether the network runs on a processor, by the core's settings."""
    from fcfi_core.engines.devices import has_cuda

    return values["FCFI_DEVICE"] == "cpu" or (values["FCFI_DEVICE"] == "auto" and not has_cuda())


def for_workers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the core's settings as workers get them.

    One thread for each network on a processor, unless they say otherwise: the bits of a mask depend on it, so
    it is the same however many workers there are. The file of a checkpoint by its whole path.
    """
    found = dict(values)
    if runs_on_processor(values):
        found["FCFI_THREADS"] = values["FCFI_THREADS"] or 1
    if Path(values["FCFI_MODEL"]).is_file():
        found["FCFI_MODEL"] = str(Path(values["FCFI_MODEL"]).absolute())
    return found


def place_of(
    arguments: argparse.Namespace,
    values: Mapping[str, Any],
    *,
    default: int | None = None,
    read: Sequence[object] = (),
) -> Place:
    """Return where the work is done.

    Args:
        arguments: of :func:`add_place_arguments`.
        values: the core's settings, as :func:`for_workers` returns them, where there are several.
        default: number of workers of this machine if none is given; None: as many as it has processors for,
            or 2 beside a GPU.
        read: files and folders that the work reads; what is no path is passed over.

    Raises:
        SettingsError: for a number of workers below 1.
    """
    from fcfi_core.engines.threads import container_share
    from fcfi_core.workers import Processes, Threads

    on_processor = runs_on_processor(values)
    threads = max(values["FCFI_THREADS"], 1)
    if arguments.cluster is None:
        if default is None:
            default = max(container_share() // threads, 1) if on_processor else 2
        count = default if arguments.workers is None else arguments.workers
        return Processes(count) if on_processor else Threads(count)
    from fcfi_core.workers.cluster import Cluster

    return Cluster(
        arguments.cluster,
        arguments.workers,
        processors=threads if on_processor else 1,
        gpus=0 if on_processor else 1,
        folders=[path for path in read if isinstance(path, Path)],
    )


def predictor_maker(
    values: Mapping[str, Any], place: Place, change: Callable[[Protocol], Protocol] | None = None
) -> partial[Predictor]:
    """Return what makes the predictor in each worker process of ``place``.

    Args:
        values: the core's settings.
        place: where the processes are.
        change: makes the protocol to use of the model's own, picklable; None: use that.
    """
    from fcfi_core.workers import Processes

    return partial(_predictor, dict(values), place.count if isinstance(place, Processes) else None, change)


def _predictor(
    values: Mapping[str, Any], beside: int | None, change: Callable[[Protocol], Protocol] | None
) -> Predictor:
    """Return the predictor of one of several worker processes, which share the memory that work may take.

    Args:
        beside: how many share this machine; None: as many as there are processors for.
        change: see :func:`predictor_maker`.
    """
    from fcfi_core.engines.threads import container_share
    from fcfi_core.predictor import Predictor

    if beside is None:
        beside = max(container_share() // max(values["FCFI_THREADS"], 1), 1)
    allowance.PROCESS.limit(allowance.capacity_of(values["FCFI_MEMORY_MEGABYTES"]) // beside)
    own = {**values, "FCFI_MEMO_MEGABYTES": values["FCFI_MEMO_MEGABYTES"] / beside}
    return Predictor.from_settings(own, change)
