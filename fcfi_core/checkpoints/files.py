"""Reading and writing checkpoints: safetensors with the architecture in the header.

The header's metadata hold one entry, ``"fcfi"``: JSON of ::

    {"format": 1,
     "variant": "mobilenetv2",      name in fcfi_core.networks.registry
     "arguments": {...},            constructor arguments of the network
     "protocol": {...},             settings of fcfi_core.protocol.Protocol; missing ones keep defaults
     "model_card": {...}}           version, licence, data, figures: for people

Tensors carry the key names of the network's ``state_dict``. Floating-point tensors may be stored as
float16; they become float32 when read. No code is stored and none is run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fcfi_core.errors import WeightsError
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.registry import VARIANTS, build

FORMAT = 1
_KEY = "fcfi"
_DTYPES = {"float16": torch.float16, "float32": torch.float32}


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
        network = build(self.variant, **self.arguments).eval()
        require_layout(self.state, network.state_dict(), self.variant)
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


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the checkpoint in the file ``path``.

    Raises:
        WeightsError: if the file is missing, damaged, of another program, or from a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no checkpoint file {str(path)!r}; check the path.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{str(path)!r} is not a readable .safetensors file ({error}); copy it again, or convert an "
            "official .pth file with: fcfi convert OFFICIAL.pth OUT.safetensors"
        ) from None
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


def _header(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return the checked header of the file ``path``."""
    try:
        header = json.loads(metadata[_KEY])
        variant, version = header["variant"], header["format"]
        sections = [header.get(name, {}) for name in ("arguments", "protocol", "model_card")]
        if not (isinstance(version, int) and all(isinstance(section, dict) for section in sections)):
            raise ValueError("sections must be objects")
    except (KeyError, TypeError, ValueError, AttributeError):
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
            f"{str(path)!r} is of the unknown variant {variant!r}; this version knows {', '.join(VARIANTS)}."
        )
    return dict(header)


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
    stored = {key: _stored(key, tensor, _DTYPES[dtype]) for key, tensor in network_state.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        # Not save_file, whose files nobody but the owner may read.
        part.write_bytes(save(stored, metadata=metadata))
        part.replace(path)
    except OSError as error:
        raise WeightsError(f"cannot write the checkpoint {str(path)!r} ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)


def _stored(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``tensor`` as it goes into the file."""
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
