"""The public face, and the examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import fcfi_core

ROOT = Path(fcfi_core.__file__).parent


def test_everything_promised_is_there():
    assert all(hasattr(fcfi_core, name) for name in fcfi_core.__all__)
    assert {"Click", "Box", "Predictor", "load_model"} <= set(fcfi_core.__all__)


@pytest.mark.parametrize(
    "name", ["clicks", *(f"masks.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "masks")]))]
)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"fcfi_core.{name}"), extraglobs=_names()).failed == 0


def _names():
    import numpy as np

    return {"np": np}
