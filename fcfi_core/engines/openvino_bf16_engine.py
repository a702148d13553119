"""The network on OpenVINO in bfloat16: two thirds of the time, on CPUs that calculate with it.

Eight bits of every number instead of 24: edges move by a pixel here and there, and what a click is worth
stays (``docs/performance.md``). A name of its own, so that masks, memory and journals tell the two apart.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from fcfi_core.engines import openvino_engine
from fcfi_core.engines.openvino_engine import OpenVinoEngine

if TYPE_CHECKING:
    from fcfi_core.checkpoints.files import Description


def obstacle(description: Description, device: str) -> str | None:
    """Return why this engine cannot run the checkpoint on ``device``; None if it can."""
    found = openvino_engine.obstacle(description, device)
    if found is None and not has_bf16():
        return "this CPU does not calculate with bfloat16 (avx512_bf16 or amx_bf16); give openvino"
    return found


def open_engine(description: Description, device: str, threads: int | None) -> OpenVinoEngine:
    """Return the engine that runs the checkpoint; ``device`` is the CPU."""
    return openvino_engine.open_engine(description, device, threads, bfloat16=True)


def has_bf16() -> bool:
    """Return whether OpenVINO is here and the CPU calculates with bfloat16."""
    if importlib.util.find_spec("openvino") is None:
        return False
    from fcfi_core.engines.openvino_package import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
