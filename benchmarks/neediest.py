"""Is fine-tuning on the photos that `fcfi rank` calls neediest worth more than on as many at random?

    python benchmarks/neediest.py FOLDER --out WORK [--count 15] [--test 30] [--steps 60] [--seeds 2]

FOLDER is a data set (images/, masks/) of a domain that the weights were not trained on. Its photos are dealt,
by their names' digests, into a test part and a pool. The pool is ranked with a box around each object; the
model is then trained further, by the recipe of fine-tuning, on the --count neediest and on as many at random,
each once for every seed, and mixtures of the old and the new weights are measured on the test part. There is
no gate: what is forgotten elsewhere is not measured.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.datasets.folder import Folder
from fcfi_core.datasets.samples import choose
from fcfi_core.training.fine_tuning import mixed

_CLICKS = 5
_SHARES = (0.25, 0.5, 1.0)
_RECIPE = """
out = "{out}"
steps = {steps}
start = "default"
seed = {seed}
threads = 1
development_objects = 0
save_every = {steps}

[[phases]]
share = 1.0
size = {size}
batch = 6

[sampling]
rounds = 3
continuation = 0.45
longest_episode = 3

[optimizer]
learning_rate = 4e-4
frozen_blocks = 7
warmup = 30
average = 0.98

[[sources]]
path = "{photos}"
"""


def part_of(folder: Path, names: list[str], out: Path) -> Path:
    """Return a data set with those photos of ``folder`` alone."""
    for kind in ("images", "masks"):
        (out / kind).mkdir(parents=True, exist_ok=True)
        for file in (folder / kind).iterdir():
            if file.stem in names:
                shutil.copy(file, out / kind)
    return out


def boxes_of(folder: Path, out: Path) -> Path:
    """Write the box of each object as COCO JSON; return the file."""
    images: dict[str, dict[str, object]] = {}
    annotations: list[dict[str, object]] = []
    for sample in choose(Folder(folder)):
        stem, (height, width) = sample.image_name, sample.truth.shape
        name = next(file.name for file in (folder / "images").iterdir() if file.stem == stem)
        image = images.setdefault(
            stem, {"id": len(images) + 1, "file_name": name, "width": width, "height": height}
        )
        rows, columns = np.nonzero(sample.truth)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image["id"],
                "category_id": 1,
                "bbox": [int(side) for side in box],
            }
        )
    categories = [{"id": 1, "name": "object"}]
    out.write_text(
        json.dumps({"images": [*images.values()], "annotations": annotations, "categories": categories})
    )
    return out


def fcfi(*words: object) -> str:
    """Run a verb of the command line; return what it printed."""
    command = [str(Path(sys.executable).with_name("fcfi")), *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def measured(test: Path, model: object, out: Path) -> dict[str, float]:
    """Return the figures of ``model`` on the test part."""
    words = ("--no-boundaries", "--all-clicks", "--max-clicks", _CLICKS, "--threads", 1, "--json", out)
    fcfi("evaluate", test, "--model", model, *words)
    (dataset,) = json.loads(out.read_text())["datasets"]
    return {f"iou@{count}": dataset[f"iou@{count}"] for count in range(1, _CLICKS + 1)}


def mixture(new: Path, share: float, out: Path) -> Path:
    """Write the old weights with so much of the new ones in them, as fine-tuning does; return the file."""
    old, trained = read_checkpoint(resolve("default")), read_checkpoint(new)
    write_checkpoint(out, mixed(old.state, trained.state, share), trained.header)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=15)
    parser.add_argument("--test", type=int, default=30, help="photos that are measured and never trained on")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=160, help="of the crops, pixels")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    folder, out = arguments.folder.resolve(), arguments.out.resolve()
    names = [file.stem for file in (folder / "images").iterdir()]
    names.sort(key=lambda name: hashlib.blake2b(name.encode()).digest())
    test = part_of(folder, names[: arguments.test], out / "test")
    pool = part_of(folder, names[arguments.test :], out / "pool")
    boxes = boxes_of(pool, out / "boxes.json")
    ranking = out / "ranking.csv"
    fcfi("rank", boxes, "--images", pool / "images", "--out", ranking, "--quiet")
    with ranking.open(encoding="utf-8") as file:
        ranked = [Path(row["image"]).stem for row in csv.DictReader(file)]
    print("before", measured(test, "default", out / "before.json"), flush=True)
    for seed in range(arguments.seeds):
        ways = {
            "neediest": ranked[: arguments.count],
            "random": random.Random(seed).sample(sorted(ranked), arguments.count),
        }
        for way, chosen in ways.items():
            run = out / f"{way.replace(' ', '-')}-{seed}"
            photos = part_of(pool, chosen, run / "photos")
            recipe = run / "recipe.toml"
            settings = {"steps": arguments.steps, "seed": seed, "size": arguments.size}
            recipe.write_text(_RECIPE.format(out=run / "run", photos=photos, **settings))
            fcfi("train", recipe, "--json")
            for share in _SHARES:
                weights = mixture(run / "run" / "latest.safetensors", share, run / f"{share:g}.safetensors")
                found = measured(test, weights, run / f"{share:g}.json")
                print(f"{way}, seed {seed}, {share:.0%} new", found, flush=True)


if __name__ == "__main__":
    main()
