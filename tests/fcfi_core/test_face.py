"""The public face, and the arrows between packages."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import fcfi_core

ROOT = Path(fcfi_core.__file__).parent


def imports(path):
    """Return the names of the modules that the file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_everything_promised_is_there():
    assert all(hasattr(fcfi_core, name) for name in fcfi_core.__all__)
    assert {"Click", "Box", "Predictor", "load_model"} <= set(fcfi_core.__all__)


def test_the_core_knows_no_platform_and_no_torchvision():
    for path in ROOT.rglob("*.py"):
        for name in imports(path):
            assert name.split(".")[0] not in ("label_studio_backend", "cvat_function", "torchvision"), path


@pytest.mark.parametrize(
    ("room", "below"),
    [
        ("networks", ("networks", "errors")),
        ("geometry.py", ("axes", "clicks")),
        ("axes.py", ()),
        ("memo.py", ()),
        ("clicks.py", ("errors",)),
        ("masks", ("masks", "clicks", "errors")),
        ("engines", ("engines", "networks", "errors")),
    ],
)
def test_arrows_point_down(room, below):
    start = ROOT / room
    for path in [start] if start.is_file() else start.rglob("*.py"):
        for name in imports(path):
            if name.startswith("fcfi_core."):
                assert name.split(".")[1] in below, f"{path} imports {name}"


@pytest.mark.parametrize(
    "name", ["clicks", *(f"masks.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "masks")]))]
)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"fcfi_core.{name}"), extraglobs=_names()).failed == 0


def _names():
    import numpy as np

    return {"np": np}
