"""One finished object, as it stands in a line of the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import DataError, FcfiError
from fcfi_core.masks import box_of
from fcfi_core.masks.finish import Finish
from fcfi_core.prompt import Prompt

FORMAT = 1
"""Of the lines; one of another format is not read."""

_LARGEST = 2**53
"""Of all numbers in a line: those up to it are the same as whole numbers and with a point."""


@dataclass(frozen=True)
class Entry:
    """What is known of one object. No pixels, no names of files, people or classes.

    Args:
        door: where it was asked, for example "playground".
        time: of the first answer, UTC, as ``2026-11-28T04:05:06Z``.
        image: digest of the image's content (:class:`fcfi_core.images.LoadedImage`).
        width, height: of the image, pixels.
        prompt: JSON form of the last prompt, see :meth:`fcfi_core.prompt.Prompt.to_json`.
        seconds: of each click of it: when it was first answered, seconds after the first answer.
        milliseconds: of each click of it: how long computing its answer took; 0 for one of several clicks
            that came at once, but for the last of them.
        lasted: seconds from the first answer to the last.
        answers: how many were given.
        taken_back: clicks that were undone or moved.
        model: ``name``, ``version`` and ``digest`` (sha256 of the weights).
        finish: ``min_area`` and ``max_hole`` of :class:`fcfi_core.masks.finish.Finish`.
        mask: digest of the last mask, see :func:`mask_digest`.
        area: of the last mask, pixels.
        confidence: of the last mask, 0..1.
    """

    door: str
    time: str
    image: str
    width: int
    height: int
    prompt: Mapping[str, Any]
    seconds: tuple[float, ...]
    milliseconds: tuple[float, ...]
    lasted: float
    answers: int
    taken_back: int
    model: Mapping[str, str]
    finish: Mapping[str, float | None]
    mask: str
    area: int
    confidence: float

    def line(self) -> bytes:
        """Return the entry as one line of JSON, with its end."""
        fields = {"format": FORMAT, **vars(self)}
        return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Entry:
        """Return the entry written in ``line``.

        Raises:
            DataError: if it is none.
        """
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
                raise DataError("not a line of this format")
            entry = cls(**fields)
            entry = cls(
                **{**fields, "seconds": tuple(entry.seconds), "milliseconds": tuple(entry.milliseconds)}
            )
            entry.require_sound()
        except (ValueError, TypeError, OverflowError, RecursionError, FcfiError) as error:
            raise DataError(f"not a line of a click log: {error}") from None
        return entry

    def require_sound(self) -> None:
        """Raise FcfiError where a field is not what it must be."""
        if not all(isinstance(table, dict) for table in (self.prompt, self.model, self.finish)):
            raise DataError("a table is something else")
        texts = self.door, self.image, self.mask, *self.model.values()
        numbers = self.lasted, self.confidence, *self.seconds, *self.milliseconds
        counts = self.width, self.height, self.answers, self.taken_back, self.area
        if not all(isinstance(text, str) for text in texts):
            raise DataError("a text is something else")
        # Compared, not asked whether it is finite: a whole number in JSON may have any number of digits.
        if not all(isinstance(number, int | float) and abs(number) <= _LARGEST for number in numbers):
            raise DataError("a number is something else")
        if not all(type(number) is int and 0 <= number <= _LARGEST for number in counts):
            raise DataError("a count is something else")
        if not {"name", "version", "digest"} <= self.model.keys():
            raise DataError("the model has no name, version or digest")
        datetime.fromisoformat(self.time).timestamp()  # some that can be written are no time here
        self.finished_by()
        asked = self.asked()
        if not len(asked.clicks) == len(self.seconds) == len(self.milliseconds):
            raise DataError("there are more times than clicks, or fewer")

    def asked(self) -> Prompt:
        """Return the prompt; raises PromptError if it does not fit the image's size."""
        return Prompt.from_json(dict(self.prompt), self.height, self.width)

    def finished_by(self) -> Finish:
        """Return how the mask was finished."""
        return Finish(self.finish.get("min_area"), self.finish.get("max_hole"))


def mask_digest(mask: NDArray[np.bool_]) -> str:
    """Return 32 hexadecimal digits naming the mask; equal masks of equal size have equal ones.

    Args:
        mask: (H, W) bool.
    """
    state = hashlib.blake2b(repr(mask.shape).encode(), digest_size=16)
    box = box_of(mask)
    if box is not None:
        part = mask[box.y1 : box.y2 + 1, box.x1 : box.x2 + 1]
        state.update(repr((box.x1, box.y1, part.shape)).encode())
        state.update(np.packbits(part).data)
    return state.hexdigest()
