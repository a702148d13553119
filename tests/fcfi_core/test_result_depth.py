"""Where a click lies with respect to a mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcfi_core.clicks import Click
from fcfi_core.geometry import Frame
from fcfi_core.regions import Region
from fcfi_core.results import Result


def test_depth_is_the_distance_to_the_edge():
    """Against the exact distance transform of the mask at full size, to a pixel of the frame."""
    view = np.zeros((40, 60), np.float32)
    view[10:25, 20:45] = 1
    frame = Frame.of(Region(20, 99, 10, 129), (150, 200), target=60)
    result = Result(frame, view, 0.5, ())
    padded = np.pad(result.mask.astype(np.uint8), 1, mode="edge")
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    for x, y in ((0, 0), (80, 55), (52, 42), (60, 60), (199, 149), (130, 40)):
        assert result.depth_at(Click(x, y)) == pytest.approx(inside[y, x] - outside[y, x], abs=2)


def test_depth_without_an_edge_is_infinite():
    frame = Frame.of(Region.whole(30, 40), (30, 40), target=40)
    for value in (0.0, 1.0):
        result = Result(frame, np.full((30, 40), value, np.float32), 0.5, ())
        assert result.depth_at(Click(3, 4)) == (np.inf if value else -np.inf)
