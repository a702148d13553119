"""``fcfi models``: what can be loaded by name, and what is here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

HELP = "list the models known by name"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi models``."""
    parser.add_argument("--json", action="store_true", help="print the catalogue as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    from fcfi_core.checkpoints import CATALOGUE

    if arguments.json:
        rows = [
            {**asdict(entry), "path": str(entry.path) if entry.path else None} for entry in CATALOGUE.values()
        ]
        print(json.dumps({"models": rows}, indent=2))
        return 0
    for entry in CATALOGUE.values():
        print(f"{entry.name}  ({entry.variant}, {entry.megabytes:g} MiB)")
        print(f"  file      {entry.path or 'not here: get it from its source, then run fcfi convert'}")
        print(f"  sha256    {entry.sha256 or 'unknown'}")
        print(f"  licence   {entry.licence}")
        print(f"  source    {entry.source}")
        print(f"  trained   {entry.training_data}")
    return 0
