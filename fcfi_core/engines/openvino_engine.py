"""The network on OpenVINO: the CPU alone, without torch, from the graphs in ``exported/``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.engines import click_maps, devices, graphs
from fcfi_core.engines.base import Array, Encoded, Maps
from fcfi_core.engines.threads import OwnThread, container_share, in_own_thread
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.heap import give_back, keep_compiled, outside_heap

if TYPE_CHECKING:
    import openvino

    from fcfi_core.checkpoints.files import Description

_WEIGHT = "weight:"
_PRIMITIVES = 512
"""Of two graphs, for three sizes of frames."""

_OUTPUTS = ("logits", "corrected", "fused")


def obstacle(description: Description, device: str) -> str | None:
    """Return why this engine cannot run the checkpoint on ``device``; None if it can."""
    if device != "cpu" and (device != "auto" or devices.has_cuda()):
        return f"it runs on the CPU, the device is {device!r}"
    if importlib.util.find_spec("openvino") is None:
        return "it is not installed: pip install openvino"
    graph = graphs.read(description.variant)
    if graph is None:
        return f"there is no graph of {description.variant!r}"
    if not graph.fits(description.arguments):
        return f"the graph of {description.variant!r} has other arguments than {dict(description.arguments)}"
    return None


def open_engine(
    description: Description, device: str, threads: int | None, *, bfloat16: bool = False
) -> OpenVinoEngine:
    """Return the engine that runs the checkpoint; ``device`` is the CPU, ``bfloat16`` the precision."""
    graph = graphs.read(description.variant)
    assert graph is not None, "an obstacle"
    return OpenVinoEngine(graph, description.weights(), description.arguments, threads, bfloat16=bfloat16)


class OpenVinoEngine:
    """Runs a network with OpenVINO.

    Passes are made one after the other, from one thread, image by image: the bits of an image's answer do
    not depend on what stands beside it, and not on the number of threads either.

    Args:
        graph: of the network's variant.
        weights: the network's ``state_dict`` as arrays.
        arguments: constructor arguments of the network.
        threads: CPU threads; None: the container's share.
        bfloat16: calculate with that, where the CPU can, instead of float32.

    Raises:
        WeightsError: if the weights do not fit the graph.
    """

    device = "cpu"

    def __init__(
        self,
        graph: graphs.Graph,
        weights: Mapping[str, NDArray[Any]],
        arguments: Mapping[str, Any],
        threads: int | None = None,
        *,
        bfloat16: bool = False,
    ) -> None:
        self.name = "openvino-bf16" if bfloat16 else "openvino"
        whole = {**graph.arguments, **arguments}
        self.version = version("openvino")
        self.threads = threads or container_share()
        self.size_multiple = graph.size_multiple
        self._ratio = float(whole["expansion_ratio"])
        self._radius = float(whole.get("disk_radius", graph.disk_radius))
        self._encodings = [f"encoding.{index}" for index in range(graph.encodings)]
        self._features = graph.features
        self._thread = OwnThread("fcfi-network", self._rest)
        folded = graphs.folded(weights, graph)
        self.other_answers = int(arguments.get(graphs.OTHER_ANSWERS, 0))
        asked = ["feedback", "disks", *click_maps.Focus._fields, "gate", *self._encodings]

        def part(
            name: str, inputs: list[str], outputs: list[str], weights: Mapping[str, NDArray[Any]]
        ) -> _Part:
            return _Part(graph.variant, name, inputs, outputs, weights, self.threads, bfloat16)

        self._encoder = self._thread.call(lambda: part("encoder", ["image"], self._encodings, folded))
        self._decoder = self._thread.call(lambda: part("decoder", asked, [*_OUTPUTS], folded))
        # Compiled with the first click; until then the weights wait, those of the encoder left out, and none
        # at all where the network has one answer.
        asked_first = [name for name in asked if name not in ("feedback", "gate")]
        kept = {name: array for name, array in folded.items() if name not in self._encoder.weights}
        kept = kept if self.other_answers else {}
        self._make_first: Callable[[], _Part] | None = lambda: part(
            graphs.FIRST, asked_first, ["logits"], kept
        )
        self._first: _Part | None = None

    @in_own_thread
    def encode(self, images: Array) -> Encoded:
        """See :class:`~fcfi_core.engines.base.Engine`."""
        found = [
            [outside_heap(maps) for maps in self._encoder({"image": np.moveaxis(image, 2, 0)[None]})]
            for image in images
        ]

        def features() -> tuple[Array, ...]:
            return tuple(np.concatenate([sample[index] for sample in found]) for index in self._features)

        return Encoded(found, sum(maps.nbytes for sample in found for maps in sample), features)

    @in_own_thread
    def decode(
        self, encoded: Encoded, feedback: Array, points: Array, new_points: NDArray[np.int64], gate: float
    ) -> Maps:
        """See :class:`~fcfi_core.engines.base.Engine`."""
        if new_points.shape[1] != 1:
            raise SettingsError(
                f"{new_points.shape[1]} new clicks were given at once; the engine openvino takes one: "
                "give the engine torch."
            )
        asked = self._asked(encoded, feedback.shape[1:], points, new_points)
        answers = [
            self._decoder(
                {**sample, "feedback": before[None, None], "gate": np.full((1, 1, 1, 1), gate, np.float32)}
            )
            for sample, before in zip(asked, feedback, strict=True)
        ]
        return Maps(*(np.concatenate(maps)[:, 0] for maps in zip(*answers, strict=True)))

    @in_own_thread
    def first_answers(
        self, encoded: Encoded, size: tuple[int, int], points: Array, new_points: NDArray[np.int64]
    ) -> Array:
        """See :class:`~fcfi_core.engines.base.SeveralAnswers`."""
        if self._make_first is not None:
            self._first = self._make_first()
            self._make_first = None  # nor do the weights wait any longer
        assert self._first is not None
        asked = self._asked(encoded, size, points, new_points)
        return np.concatenate([self._first(sample)[0] for sample in asked])

    @in_own_thread
    def rest(self) -> None:
        """See :class:`~fcfi_core.engines.base.Resting`."""
        self._rest()

    def _rest(self) -> None:
        for part in (self._encoder, self._decoder, self._first):
            if part is not None:
                part.rest()
        give_back()

    def _asked(
        self, encoded: Encoded, size: tuple[int, ...], points: Array, new_points: NDArray[np.int64]
    ) -> Iterator[dict[str, Any]]:
        """Yield what both graphs are given, image by image."""
        height, width = size
        for maps, marks, newest in zip(encoded.value, points, new_points, strict=True):
            yield {
                "disks": click_maps.disk_maps(marks, height, width, self._radius)[None],
                **click_maps.focus(newest[0], (height, width), self._ratio)._asdict(),
                **dict(zip(self._encodings, maps, strict=True)),
            }


class _Part:
    """One compiled graph; returns its outputs, in the order of their names.

    Attributes:
        weights: names of those that are part of it.

    Args:
        variant, name: of the graph.
        inputs: all that the graph must be given with each call, by name.
        outputs: what it returns, by name.
        weights: by name; what the graph does not need is left.
        threads: CPU threads.
        bfloat16: the precision, instead of float32.
    """

    def __init__(
        self,
        variant: str,
        name: str,
        inputs: list[str],
        outputs: list[str],
        weights: Mapping[str, NDArray[Any]],
        threads: int,
        bfloat16: bool,
    ) -> None:
        from fcfi_core.engines.openvino_package import openvino

        keep_compiled(_PRIMITIVES)
        core = openvino.Core()
        model = core.read_model(*graphs.files(variant, name))
        self.weights = _place(model, weights, variant)
        found = sorted(parameter.get_friendly_name() for parameter in model.get_parameters())
        if found != sorted(inputs):
            raise WeightsError(
                f"the graph of {variant!r} wants {', '.join(found)}, but it is given {', '.join(inputs)}; "
                "install the package again."
            )
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                # Several workers on one machine would all be pinned to the same cores.
                "ENABLE_CPU_PINNING": False,
                # Or every size of frame ever seen would keep its compiled code, 11 MB. oneDNN keeps that of
                # the last sizes, which costs some 4 ms when the size changes.
                "CPU_RUNTIME_CACHE_CAPACITY": 0,
            },
        )
        # Compilation may give the tensor of an input another name; that of its node stays. Values are fed by
        # position, so that none can be left out silently.
        self._inputs = [port.get_node().get_friendly_name() for port in compiled.inputs]
        self._outputs = [compiled.output(output) for output in outputs]
        self._request = compiled.create_infer_request()
        self.rest = compiled.release_memory

    def __call__(self, values: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        if values.keys() != set(self._inputs):
            raise SettingsError(f"a graph needs {sorted(self._inputs)}, but was given {sorted(values)}.")
        given = {index: np.ascontiguousarray(values[name]) for index, name in enumerate(self._inputs)}
        found = self._request.infer(given, share_inputs=True, share_outputs=True)
        return [found[output].copy() for output in self._outputs]


def _place(model: openvino.Model, weights: Mapping[str, NDArray[Any]], variant: str) -> frozenset[str]:
    """Put ``weights`` in the place of the inputs that stand for them; return the names of these."""
    from fcfi_core.engines.openvino_package import openvino

    placed = []

    for parameter in model.get_parameters():
        name = parameter.get_friendly_name()
        if not name.startswith(_WEIGHT):
            continue
        name = name.removeprefix(_WEIGHT)
        wanted = tuple(parameter.output(0).shape)
        if name not in weights or weights[name].shape != wanted:
            shape = f"has the shape {weights[name].shape}" if name in weights else "is missing"
            raise WeightsError(
                f"weight {name!r} {shape}, but {variant} needs {wanted}; the file is incomplete or belongs "
                "to another architecture."
            )
        if weights[name].dtype != np.float32:  # as which all floating-point weights were read
            raise WeightsError(
                f"weight {name!r} is {weights[name].dtype}, but {variant} needs float32; the file is damaged."
            )
        parameter.output(0).replace(openvino.opset15.constant(weights[name]).output(0))
        model.remove_parameter(parameter)
        placed.append(name)
    model.validate_nodes_and_infer_types()
    return frozenset(placed)
