"""Makes trained weights the embedded default: ``python -m fcfi_core.checkpoints.embed WEIGHTS VERSION``.

For maintainers. Writes ``default.safetensors`` (float16) beside this file and its entry, with the new
digest, into ``catalogue.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fcfi_core.checkpoints.catalogue import FOLDER, sha256
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.errors import WeightsError
from fcfi_core.outputs import told

LARGEST_MEGABYTES = 16.0
"""The package stays small enough to install over a slow line."""

LICENCE = "Apache-2.0 for the weights; most training photos are for research use, see the model card"
SOURCE = "trained by this project, see default.md"


def embed(weights: Path, version: str) -> Path:
    """Make the checkpoint ``weights`` the default and return its new place.

    Args:
        weights: checkpoint written by ``fcfi train``.
        version: for the header, for example "2026-11"; shown by the servers with every answer.

    Raises:
        WeightsError: if the file is no checkpoint, or too large.
    """
    checkpoint = read_checkpoint(weights)
    card = dict(checkpoint.header.get("model_card", {}))
    card.update(version=version, licence=LICENCE, source=SOURCE)
    target = FOLDER / "default.safetensors"
    part = target.with_suffix(".part")
    write_checkpoint(part, checkpoint.state, {**checkpoint.header, "model_card": card})
    megabytes = part.stat().st_size / 2**20
    if megabytes > LARGEST_MEGABYTES:
        part.unlink()
        raise WeightsError(
            f"{weights} takes {megabytes:.1f} MiB as float16; the default may take {LARGEST_MEGABYTES}."
        )
    part.replace(target)
    catalogue = FOLDER / "catalogue.json"
    entries = [
        entry for entry in json.loads(catalogue.read_text(encoding="utf-8")) if entry["name"] != "default"
    ]
    entry = {
        "name": "default",
        "variant": checkpoint.variant,
        "file": target.name,
        "sha256": sha256(target),
        "megabytes": round(megabytes, 2),
        "licence": LICENCE,
        "source": SOURCE,
        "training_data": ", ".join(card.get("sources", [])),
    }
    text = json.dumps([entry, *entries], indent=2, ensure_ascii=False)
    catalogue.write_text(text + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, metavar="WEIGHTS")
    parser.add_argument("version", metavar="VERSION")
    arguments = parser.parse_args()
    with told("embed"):
        print(embed(arguments.weights, arguments.version))
