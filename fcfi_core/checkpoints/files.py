"""Reading and writing checkpoints: safetensors with the architecture in the header.

The header's metadata hold one entry, ``"fcfi"``: JSON of ::

    {"format": 1,
     "variant": "mobilenetv2",      name in fcfi_core.networks.registry
     "arguments": {...},            constructor arguments of the network
     "protocol": {...},             settings of fcfi_core.protocol.Protocol; missing ones keep defaults
     "rating": {...},               of fcfi_core.rating.Rating, where answers to a first click are rated
     "model_card": {...}}           version, licence, data, figures: for people

Tensors carry the key names of the network's ``state_dict``. Floating-point tensors may be stored as
float16; they become float32 when read. No code is stored and none is run.

What a file says of itself, and its weights as NumPy arrays, can be read without torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fcfi_core import outputs
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.networks.registry import VARIANTS, build

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fcfi_core.networks.base import InteractiveNetwork

FORMAT = 1
_KEY = "fcfi"
_NOT_FINITE = "weight {!r} has values that are no numbers; the file is damaged, or its training failed."
_LARGEST_ARGUMENT = 1024
_LONGEST_ARGUMENT = 64


@dataclass(frozen=True)
class Description:
    """What a checkpoint file says of itself.

    Attributes:
        path: of the file.
        variant: name of the architecture.
        arguments: constructor arguments of the network.
        protocol: settings the weights were trained for.
        header: the whole header, model card included.
    """

    path: Path
    variant: str
    arguments: Mapping[str, Any]
    protocol: Mapping[str, Any]
    header: Mapping[str, Any] = field(repr=False)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the network's ``state_dict`` as arrays, floating-point ones as float32.

        Raises:
            WeightsError: if the file is damaged.
        """
        weights, _ = _content(self.path, "numpy")
        for key, array in weights.items():
            if not np.isfinite(array).all():
                raise WeightsError(_NOT_FINITE.format(key))
        return {
            key: array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array
            for key, array in weights.items()
        }


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        variant: name of the architecture.
        arguments: constructor arguments of the network.
        protocol: settings the weights were trained for.
        state: the network's ``state_dict``, floating-point tensors as float32, on the CPU.
        header: the whole header, model card included.
    """

    variant: str
    arguments: Mapping[str, Any]
    protocol: Mapping[str, Any]
    state: dict[str, Tensor] = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)

    def network(self) -> InteractiveNetwork:
        """Return the network with these weights, in evaluation mode.

        Raises:
            WeightsError: if weights and architecture do not fit each other.
        """
        import torch

        # First without memory: arguments that do not belong to these weights may ask for any amount of it.
        with torch.device("meta"):
            require_layout(self.state, build(self.variant, **self.arguments).state_dict(), self.variant)
        for key, tensor in self.state.items():
            if not bool(torch.isfinite(tensor).all()):
                raise WeightsError(_NOT_FINITE.format(key))
        network = build(self.variant, **self.arguments).eval()
        network.load_state_dict(self.state, strict=True)
        return network


def require_layout(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], variant: str) -> None:
    """Raise WeightsError unless ``state`` has the keys, shapes and kinds of number of ``expected``."""
    missing = [key for key in expected if key not in state]
    if missing:
        raise WeightsError(
            f"weights lack {len(missing)} tensors that {variant} needs, the first is {missing[0]!r}; "
            "the file is incomplete or belongs to another architecture."
        )
    surplus = [key for key in state if key not in expected]
    if surplus:
        raise WeightsError(
            f"weights hold {len(surplus)} tensors unknown to {variant}, the first is {surplus[0]!r}; "
            "the file belongs to another architecture."
        )
    for key, tensor in expected.items():
        if state[key].shape != tensor.shape:
            raise WeightsError(
                f"weight {key!r} has the shape {tuple(state[key].shape)}, but {variant} needs "
                f"{tuple(tensor.shape)}; the file belongs to another architecture."
            )
        if state[key].is_floating_point() != tensor.is_floating_point():
            raise WeightsError(
                f"weight {key!r} is {state[key].dtype}, but {variant} needs {tensor.dtype}; "
                "the file is damaged."
            )


def describe(path: str | Path) -> Description:
    """Return what the file ``path`` says of itself; its weights are not read.

    Raises:
        WeightsError: if the file is missing, damaged, of another program, or from a newer version.
    """
    path = Path(path)
    _, metadata = _content(path, None)
    header = _header(metadata, path)
    return Description(
        path, header["variant"], header.get("arguments", {}), header.get("protocol", {}), header
    )


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the checkpoint in the file ``path``.

    Raises:
        WeightsError: if the file is missing, damaged, of another program, or from a newer version.
    """
    path = Path(path)
    state, metadata = _content(path, "pt")
    header = _header(metadata, path)
    return Checkpoint(
        variant=header["variant"],
        arguments=header.get("arguments", {}),
        protocol=header.get("protocol", {}),
        state={
            key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()
        },
        header=header,
    )


def _content(
    path: Path, framework: Literal["pt", "numpy"] | None
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Return the tensors of a file by name, as those of ``framework`` (None: none), and its metadata."""
    if not path.is_file():
        raise WeightsError(f"there is no checkpoint file {str(path)!r}; check the path.")
    try:
        with safe_open(path, framework=framework or "numpy") as file:
            names = file.keys() if framework else ()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{str(path)!r} is not a readable .safetensors file ({error}); copy it again, or convert an "
            "official .pth file with: fcfi convert OFFICIAL.pth OUT.safetensors"
        ) from None


def _header(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return the checked header of the file ``path``."""
    try:
        header = json.loads(metadata[_KEY])
        variant, version = header["variant"], header["format"]
        sections = [header.get(name, {}) for name in ("arguments", "protocol", "model_card")]
        if not (type(version) is int and isinstance(variant, str)):
            raise ValueError("the variant is a name and the format a number")
        if not all(isinstance(section, dict) for section in sections):
            raise ValueError("sections must be objects")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise WeightsError(
            f"{str(path)!r} has no usable {_KEY!r} header, so its architecture is unknown; give a file "
            "written by fcfi train or fcfi convert."
        ) from None
    if version != FORMAT:
        raise WeightsError(
            f"{str(path)!r} has format {version}, this version reads format {FORMAT}; update this package."
        )
    if variant not in VARIANTS:
        raise WeightsError(
            f"{str(path)!r} is of the unknown variant {variant[:80]!r}; this version knows "
            f"{', '.join(VARIANTS)}."
        )
    for name, value in header.get("arguments", {}).items():
        if not _is_plain(value):
            raise WeightsError(
                f"{str(path)!r} asks for a network with {name[:80]!r} = {repr(value)[:80]}, which none has; "
                "the file is damaged."
            )
    return dict(header)


def _is_plain(value: object, *, within: bool = False) -> bool:
    """Return whether ``value`` can be an argument of a network: small, and of a plain type."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) <= _LARGEST_ARGUMENT
    if isinstance(value, str):
        return len(value) <= _LONGEST_ARGUMENT
    few = isinstance(value, list) and len(value) <= _LONGEST_ARGUMENT and not within
    return few and all(_is_plain(one, within=True) for one in value)  # type: ignore[attr-defined]


def write_checkpoint(
    path: str | Path,
    network_state: Mapping[str, Tensor],
    header: Mapping[str, Any],
    dtype: Literal["float16", "float32"] = "float16",
) -> None:
    """Write a checkpoint; the file appears complete or not at all.

    Args:
        path: of the new file; its folder must exist.
        network_state: the network's ``state_dict``.
        header: "variant" and, as needed, "arguments", "protocol" and "model_card"; plain values only.
        dtype: how floating-point tensors are stored.

    Raises:
        WeightsError: if the header names no known variant, or a number does not fit into ``dtype``.
    """
    path = Path(path)
    header = {"format": FORMAT, **header}
    metadata = {_KEY: json.dumps(header)}
    _header(metadata, path)
    import torch
    from safetensors.torch import save

    kind = {"float16": torch.float16, "float32": torch.float32}[dtype]
    stored = {key: _stored(key, tensor, kind) for key, tensor in network_state.items()}
    try:
        # Not save_file, whose files nobody but the owner may read.
        outputs.write(path, save(stored, metadata=metadata), "choose another place for the checkpoint")
    except SettingsError as error:
        raise WeightsError(str(error)) from None


def _stored(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``tensor`` as it goes into the file."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.to(dtype)
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"weight {key!r} has values that are not finite as {str(dtype).removeprefix('torch.')}; "
                "store the checkpoint as float32, or check the training."
            )
    # Tied weights share memory, which safetensors refuses: every tensor gets its own.
    return tensor.clone(memory_format=torch.contiguous_format)
