from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from fcfi_core.errors import PromptError
from fcfi_core.masks import box_of, innermost

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=15))


def squared_depths(mask):
    """Squared distance of each pixel to the nearest outside one, the image's surroundings included."""
    padded = np.pad(mask, 1)
    y, x = np.indices(padded.shape)
    outside = np.argwhere(~padded)
    depths = ((y[..., None] - outside[:, 0]) ** 2 + (x[..., None] - outside[:, 1]) ** 2).min(axis=-1)
    return depths[1:-1, 1:-1]


@settings(deadline=None, max_examples=60)
@given(masks)
def test_no_pixel_is_deeper(mask):
    assume(mask.any())
    x, y = innermost(mask)
    depths = squared_depths(mask)
    assert depths[y, x] == depths.max()


def test_middle_of_a_bar():
    mask = np.zeros((20, 40), bool)
    mask[5:10, 3:30] = True
    assert innermost(mask) == (16, 7)


def test_moves_with_the_mask():
    mask = np.zeros((30, 30), bool)
    mask[2:11, 3:10] = True
    x, y = innermost(mask)
    assert innermost(np.roll(mask, (8, 11), axis=(0, 1))) == (x + 11, y + 8)


def test_empty_mask_is_refused():
    with pytest.raises(PromptError, match="no pixel"):
        innermost(np.zeros((3, 3), bool))


@settings(deadline=None, max_examples=60)
@given(masks)
def test_box_of(mask):
    y, x = np.nonzero(mask)
    box = box_of(mask)
    if len(x) == 0:
        assert box is None
    else:
        assert (box.x1, box.y1, box.x2, box.y2) == (x.min(), y.min(), x.max(), y.max())


def test_box_of_a_view():
    mask = np.zeros((8, 9), bool)
    mask[6, 4] = True
    box = box_of(mask[::2, ::-2])
    assert (box.x1, box.y1, box.x2, box.y2) == (2, 3, 2, 3)
