"""FCFI: interactive segmentation by clicks that keeps its feedback mask.

>>> from fcfi_core import Predictor, load_model                # doctest: +SKIP
>>> predictor = Predictor(load_model("default"))               # doctest: +SKIP
>>> session = predictor.open("dog.jpg")                        # doctest: +SKIP
>>> result = session.click(320, 200)                           # doctest: +SKIP
>>> result = session.click(40, 60, positive=False)             # doctest: +SKIP
"""

import fcfi_core.engines.waiting  # noqa: F401 (before torch, which whatever follows may import)
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import (
    BusyError,
    DataError,
    FcfiError,
    ImageError,
    PromptError,
    SettingsError,
    WeightsError,
)
from fcfi_core.model import Model, load_model
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.propagation import Track
from fcfi_core.protocol import Protocol
from fcfi_core.results import Result
from fcfi_core.scene import Scene
from fcfi_core.session import Session

__version__ = "0.1.0"

__all__ = [
    "Box",
    "BusyError",
    "Click",
    "DataError",
    "FcfiError",
    "ImageError",
    "Model",
    "Predictor",
    "Prompt",
    "PromptError",
    "Protocol",
    "Result",
    "Scene",
    "Session",
    "SettingsError",
    "Track",
    "WeightsError",
    "load_model",
]
