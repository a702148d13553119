"""``fcfi models``: what can be loaded by name, what is here, and which model is in use."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from fcfi_core.outputs import say

HELP = "list the models known by name, or choose the one to use"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi models``."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    actions = parser.add_subparsers(dest="action", metavar="use")
    use = actions.add_parser("use", help="choose the model that servers and commands take from now on")
    use.add_argument("model", metavar="NAME|FILE", help="a .safetensors file, or default to go back")
    use.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue, or write the choice."""
    return _use(arguments) if arguments.action == "use" else _list(arguments)


def _use(arguments: argparse.Namespace) -> int:
    from fcfi_core.checkpoints import choose
    from fcfi_core.model import load_model

    file = Path(arguments.model).expanduser()
    name = os.path.realpath(file) if file.is_file() else arguments.model
    # Weights that would not load are refused before anything depends on them.
    load_model(name)
    choose(name)
    if arguments.json:
        print(json.dumps({"chosen": name}))
    else:
        say(
            f"chosen: {name}",
            "A running fcfi serve takes it within seconds; other servers when they are started again.",
        )
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from fcfi_core.checkpoints import CATALOGUE, chosen

    if arguments.json:
        rows = [
            {**asdict(entry), "path": str(entry.path) if entry.path else None} for entry in CATALOGUE.values()
        ]
        print(json.dumps({"models": rows, "chosen": chosen()}, indent=2))
        return 0
    for entry in CATALOGUE.values():
        say(
            f"{entry.name}  ({entry.variant}, {entry.megabytes:g} MiB)",
            f"  file      {entry.path or 'not here: get it from its source, then run fcfi convert'}",
            f"  sha256    {entry.sha256 or 'unknown'}",
            f"  licence   {entry.licence}",
            f"  source    {entry.source}",
            f"  trained   {entry.training_data}",
        )
    say(f"in use: {chosen()}  (change it with: fcfi models use NAME|FILE)")
    return 0
