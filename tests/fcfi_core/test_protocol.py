"""Protocols travel through checkpoint headers and refuse nonsense."""

from __future__ import annotations

import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.protocol import Protocol, parity, product


@pytest.mark.parametrize("protocol", [product(), product("hrnet18"), parity(), parity(700, 3.0, flip=False)])
def test_to_a_header_and_back(protocol):
    assert Protocol.from_dict(protocol.to_dict()) == protocol


def test_missing_settings_are_the_products():
    assert Protocol.from_dict({"target_size": 448}) == Protocol(target_size=448)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"zoom": 3}, "'zoom' is unknown"),
        ({"target_size": 10}, "target_size is 10"),
        ({"first_side": "big"}, "first_side is 'big'"),
        ({"mask_threshold": 1.5}, "mask_threshold is 1.5"),
        ({"mask_threshold": "high"}, "mask_threshold is 'high'"),
        ({"expansion_ratio": 0.5}, "expansion_ratio is 0.5"),
        ({"zoom_from": "guess"}, "zoom_from is 'guess'"),
    ],
)
def test_nonsense_is_named(settings, word):
    with pytest.raises(SettingsError, match=word):
        Protocol.from_dict(settings)
