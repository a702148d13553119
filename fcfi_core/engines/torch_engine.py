"""The network on torch: CPU or CUDA, folded, channels-last, one pass at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.backends import cudnn

from fcfi_core.checkpoints.files import Description, read_checkpoint
from fcfi_core.engines.base import Array, Encoded, Maps
from fcfi_core.engines.threads import OwnThread, container_share, in_own_thread
from fcfi_core.errors import SettingsError
from fcfi_core.heap import outside_heap
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.click_maps import disk_maps
from fcfi_core.networks.folding import folded


def obstacle(description: Description, device: str) -> str | None:
    """Return None: torch runs every checkpoint; a device that is not there is told when it is opened."""
    return None


def open_engine(description: Description, device: str, threads: int | None) -> TorchEngine:
    """Return the engine that runs the checkpoint; see :class:`TorchEngine`."""
    return TorchEngine(read_checkpoint(description.path).network(), device, threads)


class TorchEngine:
    """Runs a network with torch.

    Passes are made one after the other, all from one thread: a pass already uses all CPU threads it is given
    (or the whole GPU), so two at a time would only slow each other, and memory stays that of one pass.

    Args:
        network: copied, so that the caller's stays as it is.
        device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        threads: CPU threads, for the whole process (torch knows no other); None: the container's share.
        fast: fold batch norms and use the channels-last layout; False is the plain way, for comparison.

    Raises:
        SettingsError: for a device that is not there.
    """

    name = "torch"

    def __init__(
        self,
        network: InteractiveNetwork,
        device: str = "auto",
        threads: int | None = None,
        *,
        fast: bool = True,
    ) -> None:
        self._device = choose_device(device)
        self._threads = (threads or container_share()) if self._device.type == "cpu" else None
        self.fast = fast
        self._layout = torch.channels_last if fast else torch.contiguous_format
        network = folded(network) if fast else copy.deepcopy(network).eval()
        self._network = network.requires_grad_(False).to(self._device)
        for parameter in self._network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=self._layout)
        self._thread = OwnThread("fcfi-network")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the thread behind: another process has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_thread"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._thread = OwnThread("fcfi-network")

    @property
    def version(self) -> str:
        """Of torch."""
        return str(torch.__version__)

    @property
    def device(self) -> str:
        """The torch device, for example "cpu" or "cuda:0"."""
        return str(self._device)

    @property
    def threads(self) -> int | None:
        """CPU threads of a pass; None on a GPU."""
        return self._threads

    @property
    def size_multiple(self) -> int:
        """The network's own."""
        return self._network.size_multiple

    @in_own_thread
    def encode(self, images: Array) -> Encoded:
        """See :class:`~fcfi_core.engines.base.Engine`."""
        with self._pass():
            # torch.tensor copies into memory of a fixed alignment, on which the bits may depend.
            tensor = torch.tensor(images, device=self._device).permute(0, 3, 1, 2)
            encoding = self._network.encode(tensor.contiguous(memory_format=self._layout))
            if self._device.type == "cpu":
                parts = [torch.from_numpy(outside_heap(part.numpy())) for part in encoding]
                encoding = type(encoding)(*parts)
            size = sum(part.numel() * part.element_size() for part in encoding)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)  # or the time would be charged to the next call

            def features() -> tuple[Array, ...]:
                return tuple(getattr(encoding, name).float().cpu().numpy() for name in names)

            names = self._network.feature_names
            return Encoded(encoding, size, features)

    @in_own_thread
    def decode(
        self, encoded: Encoded, feedback: Array, points: Array, new_points: NDArray[np.int64], gate: float
    ) -> Maps:
        """See :class:`~fcfi_core.engines.base.Engine`."""
        with self._pass():
            output = self._network.decode(
                encoded.value,
                torch.tensor(feedback, device=self._device)[:, None],
                torch.tensor(points, device=self._device),
                torch.tensor(new_points, device=self._device),
                gate,
            )
            logits, corrected, fused = (
                tensor[:, 0].contiguous().cpu().numpy()
                for tensor in (output.logits, output.corrected, output.fused)
            )
            return Maps(logits, corrected, fused)

    @property
    def other_answers(self) -> int:
        """The network's own."""
        return self._network.other_answers

    @in_own_thread
    def first_answers(
        self, encoded: Encoded, size: tuple[int, int], points: Array, new_points: NDArray[np.int64]
    ) -> Array:
        """See :class:`~fcfi_core.engines.base.SeveralAnswers`."""
        with self._pass():
            feedback = torch.zeros((len(points), 1, *size), device=self._device)
            clicks = torch.tensor(points, device=self._device)
            disks = disk_maps(clicks, *size, self._network.disk_radius)
            logits = self._network.first_answers(
                encoded.value, feedback, disks, torch.tensor(new_points, device=self._device)
            )
            return np.asarray(logits.contiguous().cpu().numpy())

    @contextmanager
    def _pass(self) -> Iterator[None]:
        """Run under the conditions in which the network gives the same bits every time."""
        reproducible = cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), reproducible:
            # Others may have set another number meanwhile, and the order of sums may depend on it.
            if self._threads and torch.get_num_threads() != self._threads:
                torch.set_num_threads(self._threads)
            yield


def choose_device(device: str) -> torch.device:
    """Return the device named ``device``; "auto" is CUDA if there is one, else the CPU.

    Raises:
        SettingsError: if there is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise SettingsError(f"device is {device!r}; give auto, cpu, cuda or cuda:N.") from None
    if chosen.type not in ("cpu", "cuda"):
        raise SettingsError(f"device is {device!r}; give auto, cpu, cuda or cuda:N.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise SettingsError(
            f"device is {device!r}, but torch {torch.__version__} sees {torch.cuda.device_count()} CUDA "
            "devices here; give cpu, or install a CUDA build of torch on a machine with a GPU."
        )
    return chosen
