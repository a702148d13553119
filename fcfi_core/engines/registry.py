"""The engines by name.

A further runtime is a module with the two functions of :class:`EngineModule`, and one line in
:data:`ENGINES`, or in another package's plugin.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from fcfi_core import plugins
from fcfi_core.engines.base import Engine
from fcfi_core.errors import SettingsError

if TYPE_CHECKING:
    from fcfi_core.checkpoints.files import Description

ENGINES: Mapping[str, str] = {
    "openvino": "fcfi_core.engines.openvino_engine",
    "openvino-bf16": "fcfi_core.engines.openvino_bf16_engine",
    "torch": "fcfi_core.engines.torch_engine",
}
"""Name and module of each engine of ours, best first; those of plugins are used where they are named."""

AUTO = "auto"
_ON_REQUEST = ("openvino-bf16",)
"""Not taken by themselves: the same weights would give other masks on another CPU."""


class EngineModule(Protocol):
    """What the module of an engine offers."""

    def obstacle(self, description: Description, device: str) -> str | None:
        """Return why the engine cannot run the checkpoint on ``device``; None if it can.

        Args:
            description: of the checkpoint.
            device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        """

    def open_engine(self, description: Description, device: str, threads: int | None) -> Engine:
        """Return the engine; asked only where there is no obstacle.

        Args:
            description: of the checkpoint.
            device: as above.
            threads: CPU threads; None: the container's share.
        """


def names() -> tuple[str, ...]:
    """Return what ``FCFI_ENGINE`` and ``--engine`` may be."""
    return (AUTO, *dict.fromkeys((*ENGINES, *(part.name for part in plugins.parts("engines")))))


def open_engine(name: str, description: Description, device: str, threads: int | None) -> Engine:
    """Return the engine ``name`` with the weights of a checkpoint.

    Args:
        name: of :func:`names`; "auto" is OpenVINO on x86 CPUs where it is installed, else torch.
        description: of the checkpoint.
        device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        threads: CPU threads; None: the container's share.

    Raises:
        SettingsError: if there is no such engine, or it cannot run this here.
        WeightsError: if weights and architecture do not fit each other.
    """
    require(name)
    obstacles = []
    for candidate in _automatic() if name == AUTO else (name,):
        module, obstacle = _module(candidate)
        if module is not None:
            obstacle = module.obstacle(description, device)
            if obstacle is None:
                return module.open_engine(description, device, threads)
        obstacles.append(f"the engine {candidate} cannot run {description.path.stem!r}: {obstacle}")
    raise SettingsError(f"{'; '.join(obstacles)}.")


def require(name: str) -> None:
    """Raise SettingsError unless there is an engine ``name``."""
    if name not in names():
        raise SettingsError(f"engine is {name!r}; give {', '.join(names()[:-1])} or {names()[-1]}.")


def _automatic() -> list[str]:
    """Return the names of the engines to try, best first."""
    measured = platform.machine().lower() in ("x86_64", "amd64")  # elsewhere nobody has compared them yet
    return [name for name in ENGINES if name not in _ON_REQUEST and (measured or name != "openvino")]


def _module(name: str) -> tuple[EngineModule | None, str | None]:
    """Return the module of an engine, or None and why it cannot be imported."""
    if name not in ENGINES:
        (part,) = (part for part in plugins.parts("engines") if part.name == name)
        try:
            return cast(EngineModule, part.load()), None
        except plugins.PluginError as error:
            return None, str(error).removesuffix(".")
    try:
        return cast(EngineModule, importlib.import_module(ENGINES[name])), None
    except ImportError as error:
        package = (error.name or name).partition(".")[0]
        return None, f"{package} is not installed: pip install 'fcfi[{name}]'"
