"""An annotator who looks at all answers to the first click, and takes a better one if there is one.

Taking it counts as a click. The annotator knows the truth, as the simulated clicker does, and does not
bother for a small gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.evaluation import metrics
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol
from fcfi_core.results import Result
from fcfi_core.session import Session

WORTH_A_CLICK = 0.05
"""Gain of intersection over union for which the annotator takes another answer."""


@dataclass(frozen=True)
class Chooser:
    """A segmenter whose annotator may choose.

    Args:
        predictor: gives the answers.
    """

    predictor: Predictor

    @property
    def protocol(self) -> Protocol:
        """The predictor's, for the record."""
        return self.predictor.protocol

    def open(self, image: NDArray[np.uint8]) -> ChoosingSession:
        """Return a session for one object in ``image``, (H, W, 3) RGB."""
        return ChoosingSession(self.predictor.open(image))


class ChoosingSession:
    """One object in one photo, with a choice after the first click."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def click(self, x: int, y: int, positive: bool = True) -> Result:
        """Add a click and return the new mask."""
        return self._session.click(x, y, positive)

    def better(
        self, truth: NDArray[np.bool_], ignore: NDArray[np.bool_] | None
    ) -> tuple[float, Result | None]:
        """Return the best IoU among the answers to the first click, and that answer if it is worth a click.

        Args:
            truth: (H, W) bool, the object.
            ignore: (H, W) bool, pixels that do not count, or None.
        """
        result: Any = self._session.result
        ious = [metrics.iou(answer.mask, truth, ignore) for answer in result.candidates]
        best = int(np.argmax(ious))
        gain = ious[best] - metrics.iou(result.mask, truth, ignore)
        return ious[best], self._session.choose(best) if gain >= WORTH_A_CLICK else None
