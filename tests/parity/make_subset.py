"""Copy a small part of a parity kit: ``python make_subset.py KIT OUT``.

What is chosen stands in this file; the arrays are copied bit for bit, and the manifest is cut to what
was copied, so that the result is a complete kit of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

WITHOUT_MODULES = (
    "ffcm/inf_corner00", "ffcm/inf_edge_right", "ffcm/inf_edge_bottom", "ffcm/inf_wide", "ffcm/inf_full",
    "ffcm/inf_batch2", "ffcm/inf_odd2", "ffcm/train_center", "ffcm/train_corner00", "ffcm/train_wide",
)  # fmt: skip
NETWORK, SIZE = "hrnet18s_small", -1  # the last size: odd sides
PROTOCOL = ("hrnet18", "zoom400")


def copy_arrays(source: Path, target: Path, file: str, described: dict, keep) -> dict:
    """Copy the arrays whose name ``keep`` accepts; return their part of the manifest."""
    with np.load(source / file, allow_pickle=False) as arrays:
        chosen = {key: arrays[key] for key in arrays.files if keep(key)}
    np.savez_compressed(target / file, **chosen)
    return {key: described[key] for key in chosen}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    kit, out = arguments.kit, arguments.out
    out.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((kit / "manifest.json").read_text(encoding="utf-8"))
    size = "{}x{}".format(*manifest["sizes"][SIZE])
    dropped = tuple(f"{name}/" for name in WITHOUT_MODULES)
    variant, protocol = PROTOCOL

    def is_of_size(key: str) -> bool:
        return key.startswith(f"{size}/")

    keep = {
        "modules.npz": lambda key: not key.startswith(dropped),
        "clicker.npz": lambda key: True,
        "inputs.npz": is_of_size,
        f"net_{NETWORK}.npz": is_of_size,
        "protocol_inputs.npz": lambda key: True,
        f"protocol_{variant}.npz": lambda key: key.startswith(f"{protocol}/"),
    }
    files = {
        name: copy_arrays(kit, out, name, manifest["files"][name], chosen) for name, chosen in keep.items()
    }
    shutil.copyfile(kit / "zoom_cases.json", out / "zoom_cases.json")
    files["zoom_cases.json"] = manifest["files"]["zoom_cases.json"]
    weights = {name: manifest["weights"][name] for name in (NETWORK, variant)}
    for described in weights.values():
        shutil.copyfile(kit / described["calib"], out / described["calib"])
    manifest |= {
        "set": f"{manifest['set']}, a part of it",
        "files": files,
        "weights": weights,
        "sizes": [manifest["sizes"][SIZE]],
        "module_cases": [case for case in manifest["module_cases"] if case["name"] not in WITHOUT_MODULES],
        "protocol": [case for case in manifest["protocol"] if (case["variant"], case["name"]) == PROTOCOL],
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
