"""Graphs of the networks, to be filled with weights: what runtimes without torch run.

A graph belongs to an architecture and holds no trained weights: those come from the checkpoint, whichever
it is, when a model is loaded. So new weights need no new graphs; new network code does
(``python -m fcfi_core.engines.export``). Each variant has one file beside this one,
``exported/VARIANT.zip``:

    graph.json                   :class:`Graph`
    encoder.xml, encoder.bin     OpenVINO's form of ``encode`` for one image, weights as inputs
    decoder.xml, decoder.bin     of ``answer``, likewise
    first.xml, first.bin         of ``first_answers``, where the architecture has it
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import WeightsError

FOLDER = Path(__file__).parent / "exported"
FORMAT = 2
PARTS = ("encoder", "decoder")
FIRST = "first"
"""The part that a network may lack."""

OTHERS = "others"
"""How the names of the weights begin that this part alone has."""

OTHER_ANSWERS = "other_answers"
OUTSIDE = ("expansion_ratio", "disk_radius", "auxiliary_output", OTHER_ANSWERS)
"""Arguments of networks that do not change the graphs of :data:`PARTS`."""


@dataclass(frozen=True)
class Graph:
    """What to know about the graphs of one variant.

    Args:
        format: of the file.
        variant: name of the architecture.
        arguments: all constructor arguments of the network that was exported.
        size_multiple: both sides of an image must be multiples of this.
        disk_radius: of clicks, pixels.
        folds: (convolution, batch norm, its epsilon) by name: one absorbs the other.
        encodings: number of maps that the encoder hands to the decoder.
        features: which of them describe places of the image, by index.
    """

    format: int
    variant: str
    arguments: Mapping[str, Any]
    size_multiple: int
    disk_radius: float
    folds: list[tuple[str, str, float]]
    encodings: int
    features: list[int]

    def fits(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether a network with these constructor arguments has this graph."""
        whole = {**self.arguments, **arguments}
        if arguments.get(OTHER_ANSWERS, 0) not in (0, self.arguments.get(OTHER_ANSWERS)):
            return False
        return all(
            whole[name] == value for name, value in self.arguments.items() if name not in OUTSIDE
        ) and (whole.keys() == self.arguments.keys())


def path_of(variant: str) -> Path:
    """Return where the graphs of ``variant`` are, or would be."""
    return FOLDER / f"{variant}.zip"


def read(variant: str) -> Graph | None:
    """Return what is known of the graphs of ``variant``; None if there are none.

    Raises:
        WeightsError: if the file is damaged or of another version.
    """
    path = path_of(variant)
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as file:
            graph = Graph(**json.loads(file.read("graph.json")))
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{str(path)!r} cannot be read ({error}); install the package again.") from None
    if graph.format != FORMAT:
        raise WeightsError(f"{str(path)!r} has format {graph.format}; install the package again.")
    return graph


def files(variant: str, part: str) -> tuple[bytes, bytes]:
    """Return OpenVINO's XML and constants of ``part``, one of :data:`PARTS` or :data:`FIRST`.

    Raises:
        WeightsError: if the file is damaged.
    """
    try:
        with zipfile.ZipFile(path_of(variant)) as file:
            return file.read(f"{part}.xml"), file.read(f"{part}.bin")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{str(path_of(variant))!r} cannot be read ({error}); install the package again."
        ) from None


def write(graph: Graph, contents: Mapping[str, bytes]) -> Path:
    """Write the graphs of a variant and return their file; equal contents give equal bytes."""
    FOLDER.mkdir(exist_ok=True)
    path = path_of(graph.variant)
    description = json.dumps(asdict(graph), indent=1, sort_keys=True).encode() + b"\n"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {"graph.json": description, **contents}.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content, compresslevel=9)
    return path


def folded(weights: Mapping[str, NDArray[Any]], graph: Graph) -> dict[str, NDArray[Any]]:
    """Return ``weights``, batch norms absorbed by the convolutions before them.

    The same numbers as those of :func:`fcfi_core.networks.folding.folded`.

    Args:
        weights: a ``state_dict`` as arrays.
        graph: says which belong together.

    Raises:
        WeightsError: if some are missing.
    """
    found = dict(weights)
    lacking = not any(name.startswith(f"{OTHERS}.") for name in weights)
    try:
        for convolution, norm, epsilon in graph.folds:
            if lacking and norm.startswith(f"{OTHERS}."):
                continue
            variance, mean = (found[f"{norm}.running_{name}"].astype(np.float64) for name in ("var", "mean"))
            scale = found[f"{norm}.weight"].astype(np.float64) / np.sqrt(variance + epsilon)
            shift = found[f"{norm}.bias"]
            kernel = found[f"{convolution}.weight"].astype(np.float64) * scale.reshape(-1, 1, 1, 1)
            bias = found.get(f"{convolution}.bias", np.zeros_like(shift)).astype(np.float64)
            found[f"{convolution}.weight"] = kernel.astype(np.float32)
            found[f"{convolution}.bias"] = (shift.astype(np.float64) + (bias - mean) * scale).astype(
                np.float32
            )
    except KeyError as error:
        raise WeightsError(
            f"weights lack the tensor {error} that {graph.variant} needs; the file is incomplete or belongs "
            "to another architecture."
        ) from None
    return found
