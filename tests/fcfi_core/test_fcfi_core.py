"""The public face."""

from __future__ import annotations

import fcfi_core


def test_everything_promised_is_there():
    assert all(hasattr(fcfi_core, name) for name in fcfi_core.__all__)
    assert {"Click", "Box", "Predictor", "load_model"} <= set(fcfi_core.__all__)
