"""Cases of the parity kit in ``FCFI_PARITY_DIR`` (default: tests/golden) for the tests of this folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fcfi_core.checkpoints import convert
from fcfi_core.networks import registry

HERE = Path(__file__).parent
DEFAULT = HERE.parent / "golden"


def _load(name):
    """Import a helper module of this folder."""
    spec = importlib.util.spec_from_file_location(f"parity_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


pseudo_weights, kit_module = _load("pseudo_weights"), _load("kit")
KIT = kit_module.Kit(Path(os.environ.get("FCFI_PARITY_DIR") or DEFAULT))


def pytest_configure(config):
    config.addinivalue_line("markers", "cases(kind): replays the cases of one kind of the parity kit")


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("cases")
    if marker is not None:
        cases = [case for case in KIT.cases if case.kind == marker.args[0]]
        metafunc.parametrize("case", cases, ids=[case.name for case in cases], indirect=True)


@pytest.fixture(scope="session")
def kit():
    return KIT


@pytest.fixture(scope="session")
def pseudo():
    """The weight generator."""
    return pseudo_weights


@pytest.fixture(scope="session")
def tools():
    """Helper functions beside the kit."""
    return kit_module


@pytest.fixture
def case(request):
    """One case; fails if the test leaves an array of it unused."""
    case = request.param
    case.taken.clear()
    yield case
    assert not case.left, f"arrays of the case {case.name} that no test compared: {sorted(case.left)}"


@pytest.fixture
def tensor(case):
    """``tensor(name)``: an array of the case as a tensor."""
    return lambda name: torch.from_numpy(np.array(case.take(name)))


class Networks:
    """Networks with the kit's pseudo-random weights; remembers the weights of the last variant."""

    def __init__(self):
        self._variant, self._weights = None, {}

    def __call__(self, variant, overrides=None):
        """Return the network of ``variant`` in evaluation mode, some weights replaced."""
        described = KIT.manifest["weights"][variant]
        class_name = {"HRNetModel": convert.HRNET, "DeeplabModel": convert.DEEPLAB}[described["model"]]
        arguments = convert.arguments_of(class_name, described["args"])
        network = registry.build(convert.variant_of(class_name, arguments), **arguments).eval()
        if variant != self._variant:
            calibration = KIT.content(described["calib"]) if described.get("calib") else None
            layout = pseudo_weights.layout_of(network)
            self._weights = pseudo_weights.state(layout, described["salt"], calibration)
            self._variant = variant
            # Agreement of the digest also proves that keys, shapes and dtypes are the official ones.
            assert pseudo_weights.digest(self._weights) == described["digest"]
        weights = self._weights | (overrides or {})
        state = {key: torch.from_numpy(np.array(values)) for key, values in weights.items()}
        network.load_state_dict(state, strict=True)
        return network.requires_grad_(False)


@pytest.fixture(scope="session")
def networks():
    """``networks(variant, overrides)``: a network with the kit's weights."""
    return Networks()


@pytest.fixture(scope="session")
def filled():
    """``filled(module, salt)``: the module with pseudo-random weights, in evaluation mode."""

    def filled(module, salt):
        weights = pseudo_weights.state(pseudo_weights.layout_of(module), salt)
        module.load_state_dict(
            {key: torch.from_numpy(values) for key, values in weights.items()}, strict=True
        )
        return module.eval().requires_grad_(False)

    return filled
