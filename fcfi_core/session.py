"""The clicks of one object, as they come and go.

A session holds an image, what was known before the first click, and the ordered clicks; nothing else.
The mask is a function of these, so undoing a click is asking for the mask of the others, and the
predictor's memo answers from what it computed on the way here. A session that outlives the memo's
entries replays its clicks and gets the same bits.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fcfi_core.clicks import Click, Number
from fcfi_core.errors import PromptError
from fcfi_core.results import Result

if TYPE_CHECKING:
    from fcfi_core.predictor import Predictor, Scene


class Session:
    """One object in one image; made by :meth:`fcfi_core.Predictor.open`.

    Threads may share a session: each call sees and leaves a complete list of clicks.
    """

    def __init__(self, predictor: Predictor, scene: Scene) -> None:
        self._predictor = predictor
        self._scene = scene
        self._clicks: tuple[Click, ...] = ()
        self._lock = threading.RLock()

    @property
    def width(self) -> int:
        """Columns of the upright image."""
        return self._scene.image.width

    @property
    def height(self) -> int:
        """Rows of the upright image."""
        return self._scene.image.height

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks so far, in order."""
        return self._clicks

    def click(self, x: Number, y: Number, positive: bool = True) -> Result:
        """Add a click and return the new mask.

        Args:
            x, y: pixels of the upright original.
            positive: True on the object, False on what does not belong to it.

        Raises:
            PromptError: if the click is outside the image; the session then stays as it was.
        """
        with self._lock:
            clicks = (*self._clicks, Click.nearest(x, y, positive))
            result = self._result(clicks)
            self._clicks = clicks
            return result

    def undo(self) -> Result | None:
        """Take the last click back and return the mask of the others, as :attr:`result` does.

        Raises:
            PromptError: if there is no click.
        """
        with self._lock:
            if not self._clicks:
                raise PromptError("there is no click to undo.")
            self._clicks = self._clicks[:-1]
            return self.result

    def reset(self) -> None:
        """Take all clicks back; the image, box and prior mask stay."""
        with self._lock:
            self._clicks = ()

    @property
    def result(self) -> Result | None:
        """The mask of the present clicks; None if there is no click, no box and no prior mask."""
        with self._lock:
            if not self._clicks and self._scene.prior is None:
                return None
            return self._result(self._clicks)

    def _result(self, clicks: tuple[Click, ...]) -> Result:
        result = self._predictor.result(self._scene, clicks)
        self._scene = replace(self._scene, decode_time=0.0)  # told once: the image is read once
        return result
