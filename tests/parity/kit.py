"""A parity kit: golden arrays, and the cases that replay them.

A kit is a folder with ``manifest.json`` and the files it names (tests/golden/README.md tells their
form). Every array belongs to at least one :class:`Case`; a case is replayed by one test, which must take
every array of the case. Together with the test that no array is without a case and no case without a
test, this shows that all of a kit was replayed, whatever its sizes, salts and counts are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Case:
    """What one test replays.

    Args:
        kind: which test takes it.
        name: shown as the test's id.
        arrays: short name -> (file, key in the file).
        parameters: what the manifest says about the case.
    """

    kind: str
    name: str
    kit: Kit = field(repr=False)
    arrays: dict[str, tuple[str, str]]
    parameters: dict[str, Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def take(self, name: str) -> Any:
        """Return an array of the case, and remember that it was used."""
        self.taken.add(name)
        file, key = self.arrays[name]
        return self.kit.content(file)[key]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    @property
    def left(self) -> set[str]:
        """Names of the arrays that were not taken."""
        return set(self.arrays) - self.taken


class Kit:
    """The arrays of a kit's folder, by case.

    Args:
        folder: with a ``manifest.json``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self._open: dict[str, dict[str, Any]] = {}

    def content(self, file: str) -> dict[str, Any]:
        """Return ``{key: array}`` of an .npz file, or ``{index: case}`` of a .json file."""
        if file not in self._open:
            path = self.folder / file
            if path.suffix == ".json":
                cases = json.loads(path.read_text(encoding="utf-8"))
                self._open[file] = {str(index): case for index, case in enumerate(cases)}
            else:
                with np.load(path, allow_pickle=False) as arrays:
                    self._open[file] = {key: arrays[key] for key in arrays.files}
        return self._open[file]

    def files(self, prefix: str) -> dict[str, str]:
        """Return ``{rest of the name: file}`` of the .npz files that start with ``prefix``."""
        names = [name for name in self.manifest["files"] if name.endswith(".npz")]
        return {name[len(prefix) : -4]: name for name in names if name.startswith(prefix)}

    def everything(self) -> set[tuple[str, str]]:
        """Return (file, key) of every golden array, in the folder or promised by the manifest."""
        calibrations = {weights.get("calib") for weights in self.manifest["weights"].values()}
        found = {path.name for path in self.folder.glob("*.npz")} | {
            path.name for path in self.folder.glob("*.json")
        }
        found = (found | set(self.manifest["files"])) - calibrations - {"manifest.json"}
        promised = {
            (file, key)
            for file in found
            if file.endswith(".npz")
            for key in self.manifest["files"].get(file, {})
        }
        return promised | {(file, key) for file in found for key in self.content(file)}

    @cached_property
    def cases(self) -> list[Case]:
        """Every case of the kit."""
        return [
            *self._modules(),
            *self._metrics(),
            *self._zooms(),
            *self._clickers(),
            *self._networks(),
            *self._protocols(),
        ]

    def _grouped(self, file: str, prefix: str) -> dict[str, tuple[str, str]]:
        """Return the arrays of a file below ``prefix``, by the rest of their name."""
        keys = self.content(file) if file in self.manifest["files"] else {}
        return {key[len(prefix) :]: (file, key) for key in keys if key.startswith(prefix)}

    def _modules(self) -> Iterator[Case]:
        for parameters in self.manifest["module_cases"]:
            arrays = self._grouped("modules.npz", f"{parameters['name']}/")
            yield Case(parameters["kind"], parameters["name"], self, arrays, parameters)

    def _metrics(self) -> Iterator[Case]:
        arrays = self._grouped("modules.npz", "metric/")
        for name in dict.fromkeys(key.split("/")[0] for key in arrays):
            group = self._grouped("modules.npz", f"metric/{name}/")
            described = self.manifest["files"]["modules.npz"][f"metric/{name}/{next(iter(group))}"]["what"]
            yield Case(
                "noc" if name == "noc" else "metric", f"metric/{name}", self, group, {"what": described}
            )

    def _zooms(self) -> Iterator[Case]:
        for file in self.manifest["files"]:
            if file.endswith(".json"):
                for index, values in self.content(file).items():
                    yield Case("zoom", f"{Path(file).stem}/{index}", self, {"case": (file, index)}, values)

    def _clickers(self) -> Iterator[Case]:
        for parameters in self.manifest["clicker_cases"]:
            arrays = self._grouped("clicker.npz", f"{parameters['name']}/")
            yield Case("clicker", f"clicker/{parameters['name']}", self, arrays, parameters)

    def _networks(self) -> Iterator[Case]:
        for variant, file in self.files("net_").items():
            for size in dict.fromkeys(key.split("/")[0] for key in self.content(file)):
                arrays = self._grouped(file, f"{size}/") | self._grouped("inputs.npz", f"{size}/")
                yield Case("network", f"{variant}/{size}", self, arrays, {"variant": variant})

    def _protocols(self) -> Iterator[Case]:
        for parameters in self.manifest["protocol"]:
            variant, name = parameters["variant"], parameters["name"]
            arrays = self._grouped(f"protocol_{variant}.npz", f"{name}/") | self._grouped(
                "protocol_inputs.npz", ""
            )
            yield Case("protocol", f"{variant}/{name}", self, arrays, parameters)


def thinned(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return every n-th row and column of ``values`` (..., H, W), n such that ``shape`` comes out."""
    for step in range(1, max(values.shape[-2:]) + 1):
        view = values[..., ::step, ::step]
        if view.shape[-2:] == shape:
            return view
    raise AssertionError(f"no step thins {values.shape} to {shape}")


def numbers_in(text: str, pattern: str) -> list[float]:
    """Return the numbers of the first match of ``pattern`` in ``text``; none if it does not match."""
    match = re.search(pattern, text)
    return [float(number) for number in re.findall(r"\d*\.?\d+", match.group(1))] if match else []
