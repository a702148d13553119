"""Networks have the official keys, shapes and dtypes, in the official order."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
import torch

from fcfi_core.networks.registry import build

LAYOUTS = json.loads(lzma.decompress((Path(__file__).parent / "layouts.json.xz").read_bytes()))
"""Rows [key, shape, dtype] of the official state_dict, by variant."""


@pytest.mark.parametrize("variant", list(LAYOUTS))
def test_state_dict_is_the_official_one(variant, pseudo):
    with torch.device("meta"):
        network = build(variant)
    assert pseudo.layout_of(network) == LAYOUTS[variant]
