from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fcfi_core.errors import DataError
from fcfi_core.masks import coco

oracle = pytest.importorskip("pycocotools.mask", reason="pycocotools is the oracle of this code")

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def assert_equals_oracle(mask):
    theirs = oracle.encode(np.asfortranarray(mask.view(np.uint8)))
    ours = coco.encode(mask)
    assert ours == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
    assert (coco.decode(theirs) == mask).all()
    assert (coco.decode(ours) == mask).all()
    uncompressed = coco.encode(mask, compressed=False)
    assert oracle.frPyObjects(uncompressed, *mask.shape)["counts"] == theirs["counts"]
    assert (coco.decode(uncompressed) == mask).all()


def test_special(special_mask):
    assert_equals_oracle(special_mask)


def test_big(big_mask):
    assert_equals_oracle(big_mask)


@settings(deadline=None, max_examples=60)
@given(masks)
def test_any(mask):
    assert_equals_oracle(mask)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=30))
def test_any_run_lengths(runs):
    size = [1, max(sum(runs), 1)]
    runs = runs if sum(runs) else [1]
    text = oracle.frPyObjects({"size": size, "counts": runs}, *size)["counts"]
    assert (coco.decode({"size": size, "counts": text}) == coco.decode({"size": size, "counts": runs})).all()


@pytest.mark.parametrize(
    "segmentation",
    [
        {},
        {"size": [2, 2]},
        {"size": [2], "counts": "13"},
        {"size": [0, 2], "counts": "13"},
        {"size": [2, "2"], "counts": "13"},
        {"size": [2, 3], "counts": "13"},
        {"size": [2, 1], "counts": "13"},
        {"size": [2, 3], "counts": [1, 2, 1]},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": "1\u00e4"},
        {
            "size": [2, 15],
            "counts": "?\u20ac",
        },  # 15, and what a question mark in its place would make 15, too
        {"size": [2, 2], "counts": "1S"},
        {"size": [2, 2], "counts": "o" * 40 + "0"},
        {"size": [2, 2], "counts": []},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": [1.0, 3.0]},
        {"size": [2, 2], "counts": [2**70]},
        "13",
    ],
)
def test_bad_segmentation(segmentation):
    with pytest.raises(DataError):
        coco.decode(segmentation)


@pytest.mark.parametrize("counts", ["13", [1, 3]])
def test_a_last_run_outside_may_be_missing(counts):
    segmentation = {"size": [2, 3], "counts": counts}
    with pytest.raises(DataError):
        coco.decode(segmentation)
    assert coco.decode(segmentation, unfinished=True).tolist() == [
        [False, True, False],
        [True, True, False],
    ]


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=20))
def test_any_text_is_a_mask_or_refused(text):
    try:
        mask = coco.decode({"size": [3, 4], "counts": text})
    except DataError:
        return
    assert mask.shape == (3, 4)


def test_refuses_numbers():
    with pytest.raises(DataError, match="uint8"):
        coco.encode(np.ones((2, 2), np.uint8))
