"""fcfi train: train or fine-tune a model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "train or fine-tune a model from a configuration file; an interrupted run continues"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("configuration", metavar="CONFIG.toml", type=Path, help="the run, see docs/training.md")
    parser.add_argument("--out", type=Path, help="folder of the run, instead of the file's")
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of the file's")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Train to the last step."""
    from dataclasses import replace

    from tqdm import tqdm

    from fcfi_core.training.configuration import load_configuration
    from fcfi_core.training.run import prepare

    configuration = load_configuration(arguments.configuration)
    if arguments.out is not None:
        configuration = replace(configuration, out=str(arguments.out.resolve()))
    if arguments.steps is not None:
        configuration = replace(configuration, steps=arguments.steps)
    with tqdm(total=configuration.steps, unit="step", disable=arguments.json) as bar:

        def report(line: str) -> None:
            bar.update(training.trainer.step - bar.n if training is not None else 0)
            if not arguments.json:
                bar.write(line)

        training = None
        training = prepare(configuration, report)
        training.train()
    folder = Path(configuration.out)
    best = folder / "best.safetensors"
    written = best if best.is_file() else folder / "latest.safetensors"
    if arguments.json:
        print(json.dumps({"weights": str(written), "steps": training.trainer.step, "best": training.best}))
    else:
        print(f"weights: {written}\ntry them: fcfi serve --model {written}")
    return 0
