"""What `fcfi annotate` costs beside the network: opening a large source, its units of work, its journal.

    python benchmarks/pipeline.py [--photos 100000] [--objects 3]

A source of that many photos is made in a folder that is removed in the end (photos are hard links of a
few files). Each figure is taken in a process of its own: seconds of processor time, and the largest resident
memory beyond that of the imports.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcfi_core.pipelines.journal import Journal
from fcfi_core.pipelines.sources import open_source

RING = [12.5, 10.25, 30.5, 10.25, 30.5, 30.75, 12.5, 30.75]


def make(folder: Path, photos: int, objects: int) -> Path:
    """Write a COCO file of ``photos`` images with ``objects`` polygons each, and the photos."""
    (folder / "images").mkdir()
    first = folder / "images" / "000000.png"
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(first)
    for index in range(1, photos):
        photo = folder / "images" / f"{index:06}.png"
        if index % 10_000:
            os.link(first, photo)
        else:  # file systems let a file have some ten thousand names
            first = Path(shutil.copy(first, photo))
    content = {
        "images": [
            {"id": index, "file_name": f"{index:06}.png", "width": 80, "height": 60}
            for index in range(photos)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {
                "id": index * objects + number,
                "image_id": index,
                "category_id": 1,
                "segmentation": [RING],
                "bbox": [12, 10, 19, 21],
            }
            for index in range(photos)
            for number in range(objects)
        ],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def open_it(folder: Path) -> dict[str, Any]:
    """Open the source, and pickle some units."""
    source = open_source(folder / "instances.json")
    units = [len(pickle.dumps(image)) for image in source.images[:: max(len(source.images) // 100, 1)]]
    return {"photos": len(source.images), "largest unit, bytes": max(units)}


def write_journal(folder: Path) -> dict[str, Any]:
    """Write an entry of 1.5 kB for each photo."""
    entry = {"image": "a.png", "width": 80, "height": 60, "objects": [{"segmentation": "0" * 1400}]}
    photos = len(os.listdir(folder / "images"))
    start = time.perf_counter()
    with Journal(folder / "journal.jsonl", {}) as journal:
        for index in range(photos):
            journal.append(index, entry)
    return {"entries a second": round(photos / (time.perf_counter() - start))}


def reopen_journal(folder: Path) -> dict[str, Any]:
    """Open that journal again."""
    start = time.perf_counter()
    with Journal(folder / "journal.jsonl", {}) as journal:
        return {"entries": len(journal), "seconds": round(time.perf_counter() - start, 2)}


STEPS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "open": open_it,
    "write journal": write_journal,
    "reopen journal": reopen_journal,
}


def main() -> None:
    """Make the source, and run each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        before = resource.getrusage(resource.RUSAGE_SELF)
        found = STEPS[arguments.step](arguments.folder)
        after = resource.getrusage(resource.RUSAGE_SELF)
        found["processor seconds"] = round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2
        )
        found["megabytes more"] = round((after.ru_maxrss - before.ru_maxrss) / 1024)
        found["megabytes in all"] = round(after.ru_maxrss / 1024)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as name:
        # A process inherits the largest memory of the one that starts it: this one stays small.
        maker = multiprocessing.get_context("spawn").Process(
            target=make, args=(Path(name), arguments.photos, arguments.objects)
        )
        maker.start()
        maker.join()
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{step}: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
