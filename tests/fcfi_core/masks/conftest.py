"""The masks that break run-length codes, and big ones."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def _specials() -> dict[str, Mask]:
    blank = np.zeros((7, 11), bool)

    def with_set(*places: Any) -> Mask:
        mask = blank.copy()
        for place in places:
            mask[place] = True
        return mask

    return {
        "nothing": blank,
        "everything": ~blank,
        "first pixel": with_set((0, 0)),
        "last pixel": with_set((-1, -1)),
        "inner pixel": with_set((3, 5)),
        "all but one": ~with_set((3, 5)),
        "first row": with_set(0),
        "last row": with_set(-1),
        "first column": with_set((slice(None), 0)),
        "last column": with_set((slice(None), -1)),
        "both sides": with_set((slice(None), 0), (slice(2, 5), -1)),
        "row to row": with_set((2, slice(4, None)), (3, slice(0, 2))),
        "frame": ~with_set((slice(1, -1), slice(1, -1))),
        "chessboard": np.indices((7, 11)).sum(axis=0) % 2 == 0,
        "one row": np.array([[True, False, False, True, True]]),
        "one column": np.array([[False], [True], [True]]),
        "one pixel off": np.zeros((1, 1), bool),
        "one pixel on": np.ones((1, 1), bool),
    }


@pytest.fixture(params=_specials().items(), ids=lambda item: item[0])
def special_mask(request: pytest.FixtureRequest) -> Mask:
    mask: Mask = request.param[1]
    mask.setflags(write=False)
    return mask


@pytest.fixture(scope="session")
def big_mask() -> Mask:
    """(4000, 6000): an ellipse from border to border with pinholes, among specks."""
    pixels = np.zeros((4000, 6000), np.uint8)
    cv2.ellipse(pixels, (3000, 2000), (3100, 1900), 10, 0, 360, 1, -1)
    random = np.random.default_rng(0)
    for _ in range(300):
        centre = (int(random.integers(6000)), int(random.integers(4000)))
        cv2.circle(pixels, centre, int(random.integers(1, 12)), int(random.integers(2)), -1)
    mask: Mask = pixels.view(np.bool_)
    mask.setflags(write=False)
    return mask
