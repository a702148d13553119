"""The clicks of one object, as they come and go.

A session holds an image and a prompt; nothing else. The mask is a function of these, so undoing a click is
asking for the mask of the others, and the memo answers from what was computed on the way here. A session
that outlives the memo's entries replays its clicks and gets the same bits.
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
        start: the box and the prior mask, fitting the image; its clicks count as made.
        decode_time: milliseconds spent reading the image, told with the first result.
    """

    def __init__(
        self, recurrence: Recurrence, image: LoadedImage, start: Prompt, decode_time: float = 0.0
    ) -> None:
        self._recurrence = recurrence
        self._image = image
        self._prompt = start
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
        return self._prompt

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks so far, in order."""
        return self._prompt.clicks

    def click(self, x: Number, y: Number, positive: bool = True) -> Result:
        """Add a click and return the new mask.

        Args:
            x, y: pixels of the upright original.
            positive: True on the object, False on what does not belong to it.

        Raises:
            PromptError: if the click is outside the image; the session then stays as it was.
        """
        with self._lock:
            prompt = self._prompt.with_clicks((*self.clicks, Click.nearest(x, y, positive)))
            result = self._result(prompt)
            self._prompt = prompt
            return result

    def choose(self, index: int) -> Result:
        """Take another of ``result.candidates`` and go on from it; undo takes the choice back.

        The choice is made of clicks: the first one, repeated until that answer is reached.

        Args:
            index: in :attr:`Result.candidates`, the largest mask first.

        Raises:
            PromptError: if there is no such answer; the session then stays as it was.
        """
        with self._lock:
            prompt = self._recurrence.choice(self._image, self._prompt, index)
            result = self._result(prompt)
            self._prompt = prompt
            return result

    def undo(self) -> Result | None:
        """Take the last click back and return the mask of the others, as :attr:`result` does.

        Raises:
            PromptError: if there is no click.
        """
        with self._lock:
            if not self.clicks:
                raise PromptError("there is no click to undo.")
            self._prompt = self._prompt.prefix(len(self.clicks) - 1)
            return self.result

    def reset(self) -> None:
        """Take all clicks back; the image, box and prior mask stay."""
        with self._lock:
            self._prompt = self._prompt.prefix(0)

    @property
    def result(self) -> Result | None:
        """The mask of the present clicks; None if there is no click, no box and no prior mask."""
        with self._lock:
            return None if self._prompt.is_empty else self._result(self._prompt)

    def _result(self, prompt: Prompt) -> Result:
        result = self._recurrence.result(self._image, prompt)
        decode_time, self._decode_time = self._decode_time, 0.0
        return replace(result, timings={"decode": decode_time, **result.timings})
