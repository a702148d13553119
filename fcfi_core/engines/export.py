"""Makes the graphs of all variants anew: ``python -m fcfi_core.engines.export [VARIANT...]``.

For maintainers, after a change of network code; new weights need nothing. Needs torch and OpenVINO.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fcfi_core.engines import click_maps, graphs
from fcfi_core.engines.openvino_package import openvino
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.cropped_correction import Focus, with_cropped_correction
from fcfi_core.networks.folding import foldable, folded
from fcfi_core.networks.registry import VARIANTS, build

_EXAMPLE = (96, 128)
_WHOLE = {"mobilenetv2": {graphs.OTHER_ANSWERS: 2}}
"""Arguments of the networks that have all parts."""

WEIGHT = "weight:"
"""Begins the names of inputs that are weights."""


def export(variant: str, **arguments: Any) -> Path:
    """Write the graphs of ``variant`` and return their file.

    Args:
        variant: a name in :data:`~fcfi_core.networks.registry.VARIANTS`.
        arguments: constructor arguments of the network that differ from the variant's.
    """
    arguments = {**_WHOLE.get(variant, {}), **arguments}
    whole = build(variant, **arguments).eval()
    network = with_cropped_correction(folded(whole)).requires_grad_(False)
    height, width = _EXAMPLE
    image = torch.rand(1, 3, height, width)
    encoding = network.encode(image)
    focus = click_maps.focus(np.array([height // 2, width // 2, 1]), _EXAMPLE, 0.3)
    asked = {
        "feedback": torch.rand(1, 1, height, width),
        "disks": torch.rand(1, 2, height, width).round(),
        **{name: torch.from_numpy(array) for name, array in focus._asdict().items()},
        "gate": torch.ones(1, 1, 1, 1),
        **{f"encoding.{index}": maps.clone() for index, maps in enumerate(encoding)},
    }
    contents: dict[str, bytes] = {}
    outputs = [f"encoding.{index}" for index in range(len(tuple(encoding)))]
    parts: list[tuple[str, nn.Module, dict[str, Tensor], list[str]]] = [
        ("encoder", _Encoder(network), {"image": image}, outputs),
        ("decoder", _Decoder(network, type(encoding)), asked, ["logits", "corrected", "fused"]),
    ]
    if whole.other_answers:
        asked = {name: tensor for name, tensor in asked.items() if name not in ("feedback", "gate")}
        parts.append((graphs.FIRST, _First(network, type(encoding)), asked, ["logits"]))
    for part, wrapped, inputs, names in parts:
        contents |= _files(part, _traced(wrapped, inputs, names))
    signature = inspect.signature(type(whole)).parameters
    graph = graphs.Graph(
        format=graphs.FORMAT,
        variant=variant,
        arguments={
            name: arguments.get(name, VARIANTS[variant].argument(name))
            for name in signature
            if name != "self"
        },
        size_multiple=whole.size_multiple,
        disk_radius=whole.disk_radius,
        folds=[(name, behind, norm.eps) for (name, _), (behind, norm) in foldable(whole)],
        encodings=len(outputs),
        features=[type(encoding)._fields.index(name) for name in whole.feature_names],
    )
    return graphs.write(graph, contents)


class _Encoder(nn.Module):
    def __init__(self, network: InteractiveNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(image))


class _Decoder(nn.Module):
    def __init__(self, network: InteractiveNetwork, encoding: Any) -> None:
        super().__init__()
        self.network = network
        self._encoding = encoding

    def forward(self, feedback: Tensor, disks: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        count = len(Focus._fields)
        focus, gate, encoding = Focus(*others[:count]), others[count], self._encoding(*others[count + 1 :])
        output = self.network.answer(encoding, feedback, disks, focus, gate)  # type: ignore[arg-type]
        return output.logits, output.corrected, output.fused


class _First(nn.Module):
    def __init__(self, network: InteractiveNetwork, encoding: Any) -> None:
        super().__init__()
        self.network = network
        self._encoding = encoding

    def forward(self, disks: Tensor, *others: Tensor) -> Tensor:
        count = len(Focus._fields)
        focus, encoding = Focus(*others[:count]), self._encoding(*others[count:])
        return self.network.first_answers(encoding, torch.zeros_like(disks[:, :1]), disks, focus)  # type: ignore[arg-type]


class _WeightsGiven(nn.Module):
    """Calls ``inner`` with weights that are given as inputs.

    Args:
        inner: loses its own.
        names: of the weights, in the order in which they are given after the other inputs.
    """

    def __init__(self, inner: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self._inner = [inner]  # in a list: tracing would make constants of the weights of a child
        self._names = names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        count = len(inputs) - len(self._names)
        for name, weight in zip(self._names, inputs[count:], strict=True):
            parent, _, attribute = name.rpartition(".")
            module = self._inner[0].get_submodule(parent)
            module._parameters.pop(attribute, None)
            module._buffers.pop(attribute, None)
            module.__dict__[attribute] = weight
        found: tuple[Tensor, ...] = self._inner[0](*inputs[:count])
        return found


def _traced(wrapped: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str]) -> openvino.Model:
    """Return the graph of ``wrapped``: maps of any size, weights as inputs, everything named."""
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    weights = {
        name: tensor.detach().clone()
        for name, tensor in wrapped.state_dict().items()
        if tensor.is_floating_point()
    }
    names = [*inputs, *(WEIGHT + name.removeprefix("network.") for name in weights)]
    example = (*inputs.values(), *weights.values())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # comparisons of sizes, which come out alike for every frame
        decoder = TorchScriptPythonDecoder(
            _WeightsGiven(copy.deepcopy(wrapped), list(weights)), example_input=example
        )
        frontend = openvino.frontend.FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    parameters = model.get_parameters()
    assert len(parameters) == len(names), "an input was lost while tracing"
    for parameter, name, tensor in zip(parameters, names, example, strict=True):
        parameter.set_friendly_name(name)
        parameter.output(0).get_tensor().set_names({name})
        parameter.set_partial_shape(openvino.PartialShape(_shape(name, tensor)))
        parameter.set_element_type(openvino.Type(tensor.numpy().dtype))
        if name.startswith(WEIGHT) and not parameter.output(0).get_target_inputs():
            model.remove_parameter(parameter)
    for output, name in zip(model.outputs, outputs, strict=True):
        output.get_tensor().set_names({name})
    model.validate_nodes_and_infer_types()
    return model


def _shape(name: str, example: Tensor) -> list[int]:
    """Return the shape of an input; -1 along the axes of maps."""
    if name.startswith(WEIGHT) or example.numel() == 1:
        return list(example.shape)
    return [*example.shape[:2], -1, -1] if example.dim() == 4 else [-1] * example.dim()


def _files(part: str, model: openvino.Model) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{part}.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return {file.name: file.read_bytes() for file in (path, path.with_suffix(".bin"))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", default=list(VARIANTS))
    for variant in parser.parse_args().variants:
        made = export(variant)
        print(f"{made}: {made.stat().st_size / 1024:.0f} KiB")
