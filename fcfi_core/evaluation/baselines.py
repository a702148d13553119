"""What needs no network: OpenCV's GrabCut, driven by the same clicks.

The yardstick for a learned model: colour models of object and background, cut apart by a graph cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click
from fcfi_core.errors import SettingsError
from fcfi_core.evaluation.benchmark import PlainAnswer, Segmenter
from fcfi_core.evaluation.clicker import BoolMask


@dataclass(frozen=True)
class GrabCut:
    """OpenCV's GrabCut as a segmenter.

    The first click starts from a disk of probable object around it; each later one from the mask so
    far. Clicks are certain within a small disk, the image's outermost pixels are certain background.

    Args:
        side: longer side at which the cut is computed, pixels; smaller photos stay as they are.
        iterations: of the colour models and the cut, per click.
        seed_radius: radius of the certain disk, pixels at that size.
        object_radius: radius of the probable object around the first click, share of the shorter side.
    """

    side: int = 320
    iterations: int = 4
    seed_radius: int = 5
    object_radius: float = 0.35

    name = "opencv-grabcut"

    def open(self, image: NDArray[np.uint8]) -> GrabCutSession:
        """Return a session for one object in ``image``, (H, W, 3) uint8 RGB."""
        return GrabCutSession(self, image)


class GrabCutSession:
    """The clicks of one object, answered by GrabCut."""

    def __init__(self, options: GrabCut, image: NDArray[np.uint8]) -> None:
        self._options = options
        self._size = image.shape[:2]
        self._scale = min(1.0, options.side / max(self._size))
        height, width = (max(1, round(side * self._scale)) for side in self._size)
        self._image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        self._clicks: list[Click] = []
        self._object: BoolMask = np.zeros((height, width), np.bool_)

    def click(self, x: int, y: int, positive: bool = True) -> PlainAnswer:
        """Add a click and return the new mask, (H, W) bool at the photo's size."""
        start = time.perf_counter()
        self._clicks.append(Click(x, y, positive))
        labels = self._labels()
        if (labels & 1).any() and not (labels & 1).all():  # colours of both sides are needed
            cv2.setRNGSeed(0)  # the colour clusters start at random
            cv2.grabCut(
                self._image,
                labels,
                (0, 0, 0, 0),  # the labels say it all
                np.zeros((1, 65)),
                np.zeros((1, 65)),
                self._options.iterations,
                cv2.GC_INIT_WITH_MASK,
            )
        self._object = (labels & 1).astype(np.bool_)
        mask = cv2.resize(self._object.astype(np.float32), self._size[::-1], interpolation=cv2.INTER_LINEAR)
        return PlainAnswer(mask > 0.5, {"network": 1000 * (time.perf_counter() - start)})

    def _labels(self) -> NDArray[np.uint8]:
        """Return GrabCut's four labels for the clicks so far, (h, w) uint8; odd ones are object."""
        labels = np.where(self._object, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        if len(self._clicks) == 1 and self._clicks[0].positive:
            self._disk(
                labels, self._clicks[0], self._options.object_radius * min(labels.shape), cv2.GC_PR_FGD
            )
        labels[[0, -1]] = cv2.GC_BGD
        labels[:, [0, -1]] = cv2.GC_BGD
        for click in self._clicks:
            self._disk(labels, click, self._options.seed_radius, cv2.GC_FGD if click.positive else cv2.GC_BGD)
        return labels

    def _disk(self, labels: NDArray[np.uint8], click: Click, radius: float, label: int) -> None:
        centre = (round(click.x * self._scale), round(click.y * self._scale))
        cv2.circle(labels, centre, round(radius), label, -1)


BASELINES: Mapping[str, Callable[[], Segmenter]] = MappingProxyType({"grabcut": GrabCut})
"""Baselines by the name that the command line knows."""


def baseline(name: str) -> Segmenter:
    """Return the baseline called ``name``.

    Raises:
        SettingsError: if there is none.
    """
    if name not in BASELINES:
        raise SettingsError(f"baseline is {name!r}; give one of {', '.join(BASELINES)}.")
    return BASELINES[name]()
