"""States of a track: small, plain, there and back, and refused where they do not belong."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcfi_core.appearance import Appearance
from fcfi_core.errors import PromptError
from fcfi_core.masks import cvat
from fcfi_core.propagation.state import VERSION, State, pack, unpack

COLOURS = np.full((3, 16), 1 / 16, np.float32)
SIZE = WIDTH, HEIGHT = 120, 90


def state_of(mask, appearance=None):
    return State(mask, COLOURS, appearance)


def corner():
    return np.pad(np.ones((2, 2), bool), ((0, HEIGHT - 2), (0, WIDTH - 2)))


@given(
    arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))),
    st.none() | arrays(np.float16, 257, elements=st.floats(-4, 4, width=16)),
)
def test_a_state_comes_back(mask, weights):
    mask[-1, 0] = True
    height, width = mask.shape
    appearance = None if weights is None else Appearance(weights, "0123456789ab")
    got = State.from_json(json.loads(json.dumps(state_of(mask, appearance).to_json())), width, height)
    assert np.array_equal(got.mask, mask)
    assert np.allclose(got.colours, COLOURS, atol=0.001)
    if appearance is None:
        assert got.appearance is None
    else:
        assert np.array_equal(got.appearance.weights, weights)
        assert got.appearance.model == "0123456789ab"


def ragged():
    rows, columns = np.mgrid[:480, :854]
    radius = 150 + 12 * np.sin(np.arctan2(rows - 240, columns - 400) * 23) ** 3
    return np.hypot(rows - 240, columns - 400) < radius


def test_a_mask_is_a_fraction_of_its_run_lengths():
    """A ragged object on a frame of common size, as a platform quotes it when it signs the state."""
    mask = ragged()
    quoted = len(json.dumps(json.dumps(pack(mask))))
    assert quoted < 0.4 * len(json.dumps(json.dumps(cvat.encode(mask), separators=(",", ":"))))


def test_a_state_is_a_few_kilobytes_and_says_what_it_is():
    appearance = Appearance(np.random.default_rng(0).normal(size=257).astype(np.float16), "0123456789ab")
    plain = state_of(ragged(), appearance).to_json()
    assert len(json.dumps(plain)) < 5000
    assert (plain["version"], plain["size"]) == (VERSION, [854, 480])
    assert plain["appearance"]["model"] == "0123456789ab"


def test_a_text_that_swells_is_refused_early():
    bomb = base64.b64encode(zlib.compress(b"1" * 50_000_000)).decode()
    with pytest.raises(PromptError):
        unpack({"box": [0, 0, 1, 1], "mask": bomb}, *SIZE)


PLAIN = state_of(corner(), Appearance(np.ones(3, np.float16), "0123456789ab")).to_json()
OLD = {
    "version": 2, "type": "mask", "size": list(SIZE), "box": PLAIN["box"], "mask": PLAIN["mask"],
    "colours": PLAIN["colours"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version 3"),
        ({"size": [1, 1]}, "one size"),
        ({"box": None}, "no mask"),
        ({"box": [0, 0, 120, 0]}, "no mask"),
        ({"mask": 7}, "no mask"),
        ({"mask": "eA=="}, "no mask"),
        ({"box": [0, 0, float("inf"), 0]}, "no mask"),
        ({"colours": [1]}, "no colours"),
        ({"colours": [[float("nan")] * 16] * 3}, "no colours"),
        ({"colours": [[10**400] * 16] * 3}, "no colours"),
        ({"colours": [[1e308] * 16] * 3}, "no colours"),
        ({"colours": [[-1] * 16] * 3}, "no colours"),
        ({"appearance": 5}, "cannot be read"),
    ],
)
def test_what_is_no_state_of_this_frame_is_refused(change, said):
    with pytest.raises(PromptError, match=said) as caught:
        State.from_json({**PLAIN, **change}, *SIZE)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("state", [OLD, None, [], "state", 3])
def test_an_old_state_is_refused_with_a_sentence(state):
    with pytest.raises(PromptError, match="start a new track"):
        State.from_json(state, *SIZE)
