"""What several verbs share: the model's options, and output."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fcfi_core import allowance, plugins, settings
from fcfi_core.engines import registry
from fcfi_core.errors import SettingsError
from fcfi_core.stores import named

if TYPE_CHECKING:
    from fcfi_core.predictor import Predictor


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--model``, ``--device``, ``--engine``, ``--threads``, ``--refine`` and ``--trace``."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="name that `fcfi models` lists, or a .safetensors file "
        "(default: FCFI_MODEL, else what `fcfi models use` chose)",
    )
    group.add_argument("--device", help="auto, cpu, cuda or cuda:N (default: FCFI_DEVICE, else auto)")
    group.add_argument("--engine", help=f"{', '.join(registry.names())} (default: FCFI_ENGINE, else auto)")
    group.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads (default: FCFI_THREADS, else the container's share)",
    )
    group.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        help="make each answer by one more pass in a finer frame (default: FCFI_REFINE, else no)",
    )
    group.add_argument(
        "--trace",
        action=argparse.BooleanOptionalAction,
        help="trace thin structures through large photos, window by window (default: FCFI_TRACE, else no)",
    )


def add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--tolerance``, ``--max-points`` and ``--raw``: how masks are written."""
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        help="for polygons: pixels off the edge (default: %(default)s)",
    )
    parser.add_argument(
        "--max-points", type=int, default=200, help="for polygons: points per object (default: %(default)s)"
    )
    parser.add_argument("--raw", action="store_true", help="keep specks and pinholes")


def add_images_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--images``: where the photos of a source are."""
    parser.add_argument(
        "--images",
        metavar="DIR",
        type=named,
        help="folder of the images, here or in a store, s3://... (default: beside SOURCE)",
    )


def exports() -> str:
    """Return how to call the exports that plugins read, for a list of what a verb takes."""
    titles = plugins.titles("readers")
    return f"an export of {' or '.join(titles)}" if titles else "a platform's export"


def core_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the core's settings: the environment, overruled by the command line.

    Raises:
        SettingsError: for a bad value in either.
    """
    values = settings.read(settings.CORE_VARIABLES, os.environ)
    for name in ("model", "device", "engine", "threads", "refine", "trace"):
        if getattr(arguments, name, None) is not None:
            values[f"FCFI_{name.upper()}"] = getattr(arguments, name)
    if values["FCFI_THREADS"] < 0:
        raise SettingsError(f"threads is {values['FCFI_THREADS']}; give 1 or more, or 0 for all there are.")
    allowance.PROCESS.limit(allowance.capacity_of(values["FCFI_MEMORY_MEGABYTES"]))
    return values


def load_predictor(arguments: argparse.Namespace) -> Predictor:
    """Return the predictor that the command line and the environment ask for."""
    from fcfi_core.predictor import Predictor

    return Predictor.from_settings(core_settings(arguments))


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    print(json.dumps(value, separators=(",", ":")))


def rounded(timings: Mapping[str, float]) -> dict[str, float]:
    """Return milliseconds with one decimal."""
    return {name: round(value, 1) for name, value in timings.items()}
