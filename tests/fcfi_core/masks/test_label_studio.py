from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fcfi_core.errors import DataError
from fcfi_core.masks import label_studio
from fcfi_core.masks.runs import fill

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "masks" / "label_studio.json").read_text(encoding="utf-8")
)
LONGEST = 1 << 16

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def golden_mask(case):
    height, width = case["size"]
    return fill(np.array(case["toggles"], np.int64), height * width).reshape(height, width)


def assert_round_trip(mask):
    rle = label_studio.encode(mask)
    assert all(type(byte) is int and 0 <= byte <= 255 for byte in rle)
    assert (label_studio.decode(rle, mask.shape[1], mask.shape[0]) == mask).all()
    assert (label_studio.decode([*rle, 0, 255], mask.shape[1], mask.shape[0]) == mask).all()
    return rle


def test_worked_example():
    mask = np.array([[False, True], [True, True]])
    assert label_studio.encode(mask) == [0, 0, 0, 16, 57, 27, 252, 96, 22, 255, 192]


@pytest.mark.parametrize("case", GOLDEN["encoded"], ids=lambda case: f"{case['size']}-{len(case['rle'])}")
def test_bytes_of_the_sdk(case):
    mask = golden_mask(case)
    rle = assert_round_trip(mask)
    theirs = case["rle"]
    assert (label_studio.decode(theirs, mask.shape[1], mask.shape[0]) == mask).all()
    if np.diff(case["toggles"], prepend=0, append=mask.size).max(initial=0) * 4 <= LONGEST:
        assert theirs in (rle, [*rle, 0])  # the SDK adds a byte where the bits fill the last one
    else:
        assert len(rle) <= len(theirs)  # it writes the rest of a split run in a field longer than needed


@pytest.mark.parametrize("case", GOLDEN["decoded"], ids=lambda case: str(case["size"]))
def test_blocks_of_literal_samples(case):
    mask = golden_mask(case)
    assert mask.any()
    assert (label_studio.decode(case["rle"], mask.shape[1], mask.shape[0]) == mask).all()


def test_special(special_mask):
    assert_round_trip(special_mask)


def test_big(big_mask):
    assert_round_trip(big_mask)


@settings(deadline=None, max_examples=60)
@given(masks)
def test_any(mask):
    assert_round_trip(mask)


@pytest.mark.parametrize("samples", [4, 8, 12, 16, 20, 256, 260, LONGEST, LONGEST + 4, 3 * LONGEST])
def test_run_lengths_at_the_field_borders(samples):
    mask = np.zeros((1, samples // 4 + 1), bool)
    mask[0, :-1] = True
    assert_round_trip(mask)


def test_a_mask_of_noise_is_packed_in_blocks(monkeypatch):
    mask = np.random.default_rng(0).random((50, 60)) < 0.5
    at_once = label_studio.encode(mask)
    monkeypatch.setattr(label_studio, "_BLOCK_RUNS", 7)
    assert label_studio.encode(mask) == at_once


@settings(deadline=None, max_examples=25)
@given(mask=masks)
def test_live_sdk(mask):
    brush = pytest.importorskip(
        "label_studio_sdk.converter.brush", reason="golden bytes stand in for the SDK"
    )
    rle = label_studio.encode(mask)
    theirs = [int(byte) for byte in brush.mask2rle(mask.astype(np.uint8) * 255)]
    assert theirs in (rle, [*rle, 0])
    assert (brush.decode_rle(rle).reshape(*mask.shape, 4)[:, :, 3] == mask * 255).all()


@pytest.mark.parametrize(
    ("rle", "reason"),
    [
        ([], "does not hold"),
        ([0, 0, 0, 16], "does not hold"),
        ([0, 0, 0, 20, 57, 27, 252, 96, 22, 255, 192], "does not hold"),
        ([0, 0, 0, 16, 57, 27, 252, 96, 22], "too early"),
        ([0, 0, 0, 16, 57, 27, 252, 227, 255, 255, 255, 255], "too far"),
        ([0, 0, 0, 256], "whole numbers"),
        ([0.5], "whole numbers"),
        ("text", "whole numbers"),
    ],
)
def test_bad_bytes(rle, reason):
    with pytest.raises(DataError, match=reason):
        label_studio.decode(rle, 2, 2)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_mask_or_refused(tail):
    try:
        mask = label_studio.decode(bytes([0, 0, 0, 48]) + tail, 4, 3)
    except DataError:
        return
    assert mask.shape == (3, 4)


def test_too_many_samples(monkeypatch):
    monkeypatch.setattr(label_studio, "_MOST_SAMPLES", 40)
    label_studio.encode(np.zeros((2, 5), bool))
    with pytest.raises(DataError, match="too large"):
        label_studio.encode(np.zeros((1, 11), bool))
