"""What training for edges and thin parts gives: short runs from the default's weights, one change at a time.

    python benchmarks/edge_training.py SETS_FOLDER --out RESULTS_FOLDER [--only NAME ...]

Every run goes on from the default's weights with the settings of ``edge_training.toml`` beside this file and
one change, at an equal budget of pixels; its weights are ``RESULTS_FOLDER/NAME/latest.safetensors``. What is
there already is not trained again, and an interrupted run continues. Measure them with ``edges.py --model``
and ``development.py``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipe import configured

from fcfi_core.training.configuration import PhaseConfiguration
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.run import prepare, read_training_photos

SETTINGS = Path(__file__).with_suffix(".toml")

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "unchanged": {},
    "another-seed": {"seed": 8},
    "weight": {"loss.edge_weight": 5.0},
    "weight-thin": {"loss.edge_weight": 5.0, "sampling.thin": 0.25},
    "weight-512": {
        "loss.edge_weight": 5.0,
        "phases": (PhaseConfiguration(1.0, 512, 4),),
        "steps": 50,
    },
}
"""Name -> entries of the configuration that are changed, ``section.entry`` or ``entry``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", type=Path, help="folder that holds the training sets by their names")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    arguments = parser.parse_args()
    base = load_configuration(SETTINGS)
    sources = tuple(
        replace(source, path=str(arguments.sets / Path(source.path).name)) for source in base.sources
    )
    base = replace(base, sources=sources)
    photos = read_training_photos(base, print)
    for name in arguments.only:
        configuration = configured(replace(base, out=str(arguments.out / name)), EXPERIMENTS[name])
        run = prepare(configuration, photos=photos)
        start = time.process_time()
        run.train()
        print(f"{name}: {time.process_time() - start:.0f} seconds of processor time", flush=True)


if __name__ == "__main__":
    main()
