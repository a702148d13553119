"""The clicks of one object, as they come and go.

A session holds an image and what was asked step by step: a prompt for each act, a click or a choice. The mask
is a function of image and prompt, so undoing an act is asking for the mask of the prompt before it, and the
memo answers from what was computed on the way here. A session that outlives the memo's entries replays its
clicks and gets the same bits.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from fcfi_core.clicks import Click, Number
from fcfi_core.errors import PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.prompt import Prompt
from fcfi_core.recurrence import Recurrence
from fcfi_core.results import Result


class Session:
    """One object in one image; made by :meth:`fcfi_core.Predictor.open`.

    Threads may share a session: each call sees and leaves a complete list of clicks.

    Args:
        recurrence: gives the masks.
        image: what is clicked on.
        start: the box and the prior mask, fitting the image.
        decode_time: milliseconds spent reading the image, told with the first result.
    """

    def __init__(
        self, recurrence: Recurrence, image: LoadedImage, start: Prompt, decode_time: float = 0.0
    ) -> None:
        self._recurrence = recurrence
        self._image = image
        self._steps = [start]
        self._decode_time = decode_time
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Session({self.width} x {self.height}, {self.prompt!r})"

    @property
    def width(self) -> int:
        """Columns of the upright image."""
        return self._image.width

    @property
    def height(self) -> int:
        """Rows of the upright image."""
        return self._image.height

    @property
    def prompt(self) -> Prompt:
        """All that was asked so far."""
        return self._steps[-1]

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks so far, in order."""
        return self.prompt.clicks

    def click(self, x: Number, y: Number, positive: bool = True) -> Result:
        """Add a click and return the new mask.

        Args:
            x, y: pixels of the upright original.
            positive: True on the object, False on what does not belong to it.

        Raises:
            PromptError: if the click is outside the image; the session then stays as it was.
        """
        with self._lock:
            return self._ask(self.prompt.with_clicks((*self.clicks, Click.nearest(x, y, positive))))

    def choose(self, index: int) -> Result:
        """Take another of ``result.candidates`` and go on from it; one undo takes the choice back.

        The choice is made of clicks: the first one, repeated until that answer is reached. To choose the
        present answer changes nothing.

        Args:
            index: in :attr:`Result.candidates`, the largest mask first.

        Raises:
            PromptError: if there is no such answer; the session then stays as it was.
        """
        with self._lock:
            return self._ask(self._recurrence.choice(self._image, self.prompt, index))

    def undo(self) -> Result | None:
        """Take the last click or choice back and return the mask before it, as :attr:`result` does.

        Raises:
            PromptError: if there is none.
        """
        with self._lock:
            if len(self._steps) == 1:
                raise PromptError("there is no click to undo.")
            del self._steps[-1]
            return self.result

    def reset(self) -> None:
        """Take all clicks back; the image, box and prior mask stay."""
        with self._lock:
            del self._steps[1:]

    @property
    def result(self) -> Result | None:
        """The mask of the present clicks; None if there is no click, no box and no prior mask."""
        with self._lock:
            return None if self.prompt.is_empty else self._result(self.prompt)

    def _ask(self, prompt: Prompt) -> Result:
        """Return the answer to ``prompt`` and keep it as the present one; an error changes nothing."""
        result = self._result(prompt)
        if prompt != self.prompt:
            self._steps.append(prompt)
        return result

    def _result(self, prompt: Prompt) -> Result:
        result = self._recurrence.result(self._image, prompt)
        decode_time, self._decode_time = self._decode_time, 0.0
        return replace(result, timings={"decode": decode_time, **result.timings})
