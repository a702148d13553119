"""``fcfi train``: train a model from a configuration, or fine-tune one on a team's photos."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from fcfi_core.cli._common import core_settings, exports
from fcfi_core.cli._duration import seconds_of
from fcfi_core.errors import SettingsError, plain
from fcfi_core.outputs import real, say

if TYPE_CHECKING:
    from fcfi_core.training.configuration import TrainingConfiguration

HELP = "train a model, or fine-tune one on your own photos; an interrupted run continues"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("configuration", metavar="CONFIG.toml", type=Path, nargs="?", help="a training run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument("--steps", type=int, metavar="N", help="optimiser steps")
    parser.add_argument(
        "--for",
        dest="stretch",
        metavar="TIME",
        help="train a stretch of this length, for example 9m or 2h30m, and save; the same command goes on",
    )
    parser.add_argument(
        "--device",
        help="auto, cpu, cuda or cuda:N (default: what CONFIG.toml says; for fine-tuning FCFI_DEVICE, "
        "else auto)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads (default: what CONFIG.toml says; for fine-tuning FCFI_THREADS, else the "
        "container's share)",
    )
    parser.add_argument(
        "--pack", type=Path, metavar="FILE.zip", help="read the photos from what `fcfi pack` wrote"
    )
    parser.add_argument(
        "--licences",
        choices=("any", "permissive"),
        default="any",
        help="permissive: leave out sources whose licence asks for more than naming the authors",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    tuning = parser.add_argument_group("fine-tuning (instead of CONFIG.toml)")
    tuning.add_argument(
        "--from", dest="start", metavar="NAME|FILE", help="model to start from, for example default"
    )
    tuning.add_argument(
        "--data",
        metavar="EXPORT",
        help=f"{exports()}, COCO, LabelMe or Datumaro JSON, a YOLO-seg folder, or a folder with images/ and "
        "masks/",
    )
    tuning.add_argument("--images", metavar="DIR", help="folder of the export's photos (default: beside it)")
    tuning.add_argument(
        "--clicks",
        metavar="LOG",
        type=Path,
        help="a click log: begin and correct where people really clicked on these photos",
    )
    tuning.add_argument(
        "--reference",
        metavar="DIR",
        type=Path,
        action="append",
        help="data set that must not get worse; may be repeated (default: the one in the package)",
    )
    tuning.add_argument(
        "--margin",
        type=float,
        metavar="IOU",
        help="how much worse the reference may get, mean IoU of ten clicks (default: 0.01)",
    )
    tuning.add_argument(
        "--click-margin",
        type=float,
        metavar="CLICKS",
        help="the same in clicks to an IoU of 0.85 and 0.90, of objects that got there (default: 0.25)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; the exit code is 1 if fine-tuned weights did not pass the gate."""
    if (arguments.configuration is None) == (arguments.start is None):
        raise SettingsError(
            "give either a configuration (fcfi train CONFIG.toml) or what to fine-tune "
            "(fcfi train --from default --data EXPORT --out DIR)."
        )
    if arguments.steps is not None and arguments.steps < 1:
        raise SettingsError(f"--steps is {arguments.steps}; give at least 1.")
    return _train(arguments) if arguments.configuration is not None else _fine_tune(arguments)


def _train(arguments: argparse.Namespace) -> int:
    from fcfi_core.training.configuration_file import load_configuration
    from fcfi_core.training.run import prepare

    until = None if arguments.stretch is None else time.monotonic() + seconds_of(arguments.stretch, "--for")
    for option in ("data", "images", "clicks", "reference", "margin", "click_margin"):
        if getattr(arguments, option) is not None:
            raise SettingsError(
                f"--{option.replace('_', '-')} belongs to fine-tuning (--from default); "
                "a configuration names its photos itself."
            )
    configuration = load_configuration(arguments.configuration)
    if arguments.out is not None:
        configuration = replace(configuration, out=str(real(arguments.out)))
    if arguments.steps is not None:
        configuration = replace(configuration, steps=arguments.steps)
    if arguments.device is not None:
        configuration = replace(configuration, device=arguments.device)
    if arguments.threads is not None:
        configuration = replace(configuration, threads=arguments.threads)
    if arguments.pack is not None:
        configuration = replace(configuration, pack=str(real(arguments.pack)))
    if arguments.licences == "permissive":
        configuration = _permissive(configuration, quiet=arguments.json)
    folder = Path(configuration.out)
    with _interruptible(folder), _Progress(configuration.steps, quiet=arguments.json) as progress:
        training = prepare(configuration, progress.report)
        ended = training.train(until)
    best = folder / "best.safetensors"
    written = best if best.is_file() else folder / "latest.safetensors"
    if arguments.json:
        print(json.dumps({"weights": str(written), "steps": training.trainer.step, "ended": ended}))
    elif not ended:
        say(
            f"the stretch ended at step {training.trainer.step} of {configuration.steps}; "
            "the same command goes on there"
        )
    else:
        say(f"weights: {written}", f"try them: fcfi serve --model {written}")
    return 0


def _permissive(configuration: TrainingConfiguration, *, quiet: bool) -> TrainingConfiguration:
    """Return the run with permissive sources only, having said which are left out."""
    from fcfi_core.training.licences import permissive_only
    from fcfi_core.training.pack import source_name

    kept = permissive_only(configuration)
    left_out = [source_name(source) for source in configuration.sources if source not in kept.sources]
    if left_out and not quiet:
        say(f"left out, as their licence is not permissive or not stated: {', '.join(left_out)}")
    return kept


def _fine_tune(arguments: argparse.Namespace) -> int:
    from fcfi_core.training.configuration import SourceConfiguration
    from fcfi_core.training.fine_tuning import REFERENCE, FineTuningOptions, fine_tune

    for given, option in (
        (arguments.stretch is not None, "--for"),
        (arguments.pack is not None, "--pack"),
        (arguments.licences != "any", "--licences"),
    ):
        if given:
            raise SettingsError(
                f"{option} belongs to a configuration (fcfi train CONFIG.toml); leave it out."
            )
    for option in ("data", "out"):
        if getattr(arguments, option) is None:
            raise SettingsError(f"fine-tuning needs --{option}; for example --data export.json --out tuned.")
    given = {
        option: getattr(arguments, option)
        for option in ("margin", "click_margin", "steps")
        if getattr(arguments, option) is not None
    }
    for option in ("margin", "click_margin"):
        if not given.get(option, 0) >= 0:
            raise SettingsError(f"--{option.replace('_', '-')} is {given[option]}; give 0 or more.")
    values = core_settings(arguments)
    options = FineTuningOptions(device=values["FCFI_DEVICE"], threads=values["FCFI_THREADS"], **given)
    folder = real(arguments.out)
    with _interruptible(folder), _Progress(options.steps, quiet=arguments.json) as progress:
        result = fine_tune(
            SourceConfiguration(arguments.data, images=arguments.images),
            folder,
            start=arguments.start,
            reference=arguments.reference or [REFERENCE],
            options=options,
            clicks=arguments.clicks,
            report=progress.report,
        )
    if arguments.json:
        accepted = None if result.accepted is None else result.accepted.share
        print(
            json.dumps(
                {"accepted": accepted, "weights": None if result.weights is None else str(result.weights)}
            )
        )
    else:
        say(*result.table().split("\n"))
        if result.weights is None:
            say("nothing was accepted: the old model stays")
        else:
            use = f"fcfi models use {result.weights}"
            say(f"weights: {result.weights}", f"serve them: {use}   (back: fcfi models use default)")
    return 0 if result.accepted is not None else 1


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Say how to go on when the run in ``folder`` is interrupted."""
    from fcfi_core.training.state import saved_step

    try:
        yield
    except KeyboardInterrupt:
        step = saved_step(folder)
        told = (
            "interrupted before anything was saved; the same command starts afresh"
            if step is None
            else f"interrupted; the same command continues at the last checkpoint, step {step}"
        )
        say(f"fcfi: {told}", error=True)
        raise


class _Progress:
    """A progress bar that lets lines pass above it."""

    def __init__(self, steps: int, *, quiet: bool) -> None:
        self._bar = tqdm(total=steps, unit="step", disable=quiet)
        self._quiet = quiet

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def report(self, line: str) -> None:
        """Show ``line``; "step N/..." moves the bar, "continuing at step N" lets it begin there."""
        if line.startswith("continuing at step "):
            self._bar.initial = self._bar.n = int(line.rpartition(" ")[2])
        elif line.startswith("step "):
            self._bar.update(int(line[5 : line.index("/")]) - self._bar.n)
        if not self._quiet:
            self._bar.write("\n".join(plain(one) for one in line.split("\n")))
