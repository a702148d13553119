"""``fcfi pack``: all training photos of a configuration in one small file."""

from __future__ import annotations

import argparse
from pathlib import Path

from fcfi_core import outputs
from fcfi_core.errors import SettingsError

HELP = "put all training photos of a configuration into one small file, to train from elsewhere"

_EPILOG = """example:
  fcfi pack run.toml --out sets.zip --at-most 60
  fcfi train run.toml --pack sets.zip --for 30m

Photos are reduced until the file fits."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("configuration", metavar="CONFIG.toml", type=Path, help="a training run")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="the pack")
    parser.add_argument(
        "--at-most",
        type=float,
        default=60.0,
        metavar="MIB",
        help="size limit, MiB of 2^20 bytes (default: %(default)s)",
    )
    parser.add_argument(
        "--quality", type=int, default=50, metavar="Q", help="of the photos, 1 to 100 (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the pack and say what is in it."""
    from fcfi_core.training.configuration_file import load_configuration
    from fcfi_core.training.pack import write_pack

    if not arguments.at_most > 0:
        raise SettingsError(f"--at-most is {arguments.at_most:g}; give more than 0 MiB.")
    if not arguments.out.absolute().parent.is_dir():
        raise SettingsError(
            f"cannot write {str(arguments.out)!r}: its folder does not exist; create it first."
        )
    packed = write_pack(
        load_configuration(arguments.configuration),
        arguments.out,
        most_bytes=int(arguments.at_most * 2**20),
        quality=arguments.quality,
    )
    outputs.say(
        f"{packed.photos} photos of at most {packed.longest_side} pixels, {packed.bytes / 2**20:.1f} MiB: "
        f"{arguments.out}",
        f"train from it: fcfi train {arguments.configuration} --pack {arguments.out}",
    )
    return 0
