"""An annotator who only answers: after the first click, yes or no at the places that the model suggests.

Where nothing is suggested, or on pixels that do not count, the annotator clicks freely, as always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol
from fcfi_core.results import Result
from fcfi_core.session import Session


@dataclass(frozen=True)
class Answerer:
    """A segmenter whose annotator answers.

    Args:
        predictor: gives the masks and suggests the places.
    """

    predictor: Predictor

    @property
    def protocol(self) -> Protocol:
        """The predictor's, for the record."""
        return self.predictor.protocol

    def open(self, image: NDArray[np.uint8]) -> AnsweringSession:
        """Return a session for one object in ``image``, (H, W, 3) RGB."""
        return AnsweringSession(self.predictor.open(image))


class AnsweringSession:
    """One object in one photo."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def click(self, x: int, y: int, positive: bool = True) -> Result:
        """Add a click and return the new mask."""
        return self._session.click(x, y, positive)

    def answer(self, truth: NDArray[np.bool_], ignore: NDArray[np.bool_] | None) -> Click | None:
        """Return the answer at the suggested place; None before the first click, or where none is suggested.

        Args:
            truth: (H, W) bool, the object.
            ignore: (H, W) bool, pixels that do not count, or None.
        """
        if not self._session.clicks:
            return None
        result: Any = self._session.result
        place = result.suggestion
        if place is None or (ignore is not None and ignore[place.y, place.x]):
            return None
        click: Click = place.answered(bool(truth[place.y, place.x]))
        return click
