"""``fcfi convert``: an official checkpoint becomes one of ours."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "convert an official .pth checkpoint to .safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi convert``."""
    parser.add_argument(
        "official", metavar="OFFICIAL.pth", type=Path, help="file saved by the official training"
    )
    parser.add_argument("out", metavar="OUT.safetensors", type=Path, help="file to write")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="how weights are stored; float16 halves the file and rounds (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT.safetensors if it exists")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was found."""
    from fcfi_core import outputs
    from fcfi_core.checkpoints import write_checkpoint
    from fcfi_core.checkpoints.convert import read_official
    from fcfi_core.errors import SettingsError

    outputs.require_writable(arguments.out, "OUT", (".safetensors",), [arguments.official])
    if arguments.out.exists() and not arguments.force:
        raise SettingsError(f"{str(arguments.out)!r} exists already; give another name, or --force.")
    checkpoint = read_official(arguments.official)
    write_checkpoint(arguments.out, checkpoint.state, checkpoint.header, arguments.dtype)
    parameters = sum(parameter.numel() for parameter in checkpoint.network().parameters())
    if arguments.json:
        found = {"variant": checkpoint.variant, "arguments": checkpoint.arguments, "parameters": parameters}
        print(json.dumps({"out": str(arguments.out), **found}))
    else:
        size, millions = arguments.out.stat().st_size / 2**20, parameters / 1e6
        outputs.say(
            f"{arguments.out}: {checkpoint.variant}, {millions:.2f} million parameters, {size:.1f} MiB"
        )
    return 0
