"""One object through a whole video, and the corrections that a person makes.

A person shows the object on one frame and corrects others, in any order. Every frame they have touched counts
as seen: the object's appearance is the mean of what the seen frames show, and a frame between two of them is
reached from the nearer one, forward or backward. So a correction reaches back as well as on.

What a track shows is a function of its frames and of the prompts in the order they were given; nothing that
was computed on the way is learnt from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.appearance import Appearance
from fcfi_core.errors import FcfiError, PromptError
from fcfi_core.images import LoadedImage, Source
from fcfi_core.masks import RAW, Finish, coco
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import NOTHING_ASKED, Clicks, Prompt, Rectangle
from fcfi_core.propagation.colours import Colours, colours_of
from fcfi_core.propagation.following import LOST, USUAL, Limits, follow
from fcfi_core.propagation.state import State


@dataclass(frozen=True, eq=False)
class Tracked:
    """What one frame shows of the object.

    Args:
        number: of the frame, from 0.
        mask: (H, W) bool; None: the object is lost here, or the frame cannot be used.
        confidence: of the mask, 0..1.
        likeness: share of colours in common with the seen frames, 0..1.
        seen: whether a person has seen it, and shown or corrected the object there.
        doubt: why a person should look at it, one clause; "" if there is no reason.
        error: why the frame cannot be used, one sentence; "" if it can.
    """

    number: int
    mask: NDArray[np.bool_] | None
    confidence: float = 0.0
    likeness: float = 0.0
    seen: bool = False
    doubt: str = ""
    error: str = ""

    @property
    def needs_review(self) -> bool:
        """Whether a person should look at this frame."""
        return bool(self.doubt)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame that a person has seen: what they asked for, and what the object is and looks like there."""

    prompt: Prompt
    mask: NDArray[np.bool_]
    confidence: float
    colours: Colours
    appearance: Appearance | None


class Track:
    """One object through a video.

    Args:
        predictor: makes the passes.
        frames: pictures of one size, as :func:`fcfi_core.images.load` takes them: paths, arrays, and so on.
        limits: when the object counts as lost, and when a frame is one to look at.
        finish: what becomes of specks and pinholes in what is shown; what is carried on keeps them.

    >>> track = Track(predictor, sorted(Path("frames").glob("*.jpg")))      # doctest: +SKIP
    >>> track.correct(0, [(320, 200)])                                      # doctest: +SKIP
    >>> [found.number for found in track if found.needs_review]             # doctest: +SKIP
    [41, 42]
    >>> track.correct(42, [(300, 190), (100, 60, False)])                   # doctest: +SKIP
    """

    def __init__(
        self,
        predictor: Predictor,
        frames: Sequence[Source],
        *,
        limits: Limits = USUAL,
        finish: Finish = RAW,
    ) -> None:
        self._predictor = predictor
        self._frames = frames
        self._limits = limits
        self._finish = finish
        self._seen: dict[int, _Seen] = {}

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def seen(self) -> tuple[int, ...]:
        """Numbers of the frames that a person has seen, in order."""
        return tuple(sorted(self._seen))

    def image(self, number: int) -> LoadedImage:
        """Return a frame, decoded; raises ImageError if it cannot be read."""
        return self._predictor.load(self._frames[number])

    def correct(
        self,
        number: int,
        clicks: Clicks = (),
        box: Rectangle | None = None,
        mask: NDArray[Any] | None = None,
    ) -> Tracked:
        """Show the object on a frame, or correct what the track shows there, and return what it is then.

        Clicks alone correct the mask that the track shows there, after the clicks made there before. A box
        or a mask begins anew on that frame; a mask alone is taken as it is, as drawn by a person. Frames
        next to it follow from the next time they are asked for.

        Args:
            number: of the frame, from 0.
            clicks, box, mask: see :meth:`fcfi_core.Predictor.segment`.

        Raises:
            PromptError: if there is no such frame, nothing is asked, something lies outside the frame, or
                nothing is left of the object.
            ImageError: if the frame cannot be read.
        """
        self._require(number)
        image = self.image(number)
        prompt = Prompt.of(clicks, box, mask)
        if prompt.is_empty:
            raise PromptError(NOTHING_ASKED)
        for seen in self._seen.values():
            self._require_size(image, seen.mask)
        if prompt.starts or not self._seen:
            prompt = prompt.within(image.height, image.width)
        elif number in self._seen:
            before = self._seen[number].prompt
            prompt = before.with_clicks((*before.clicks, *prompt.clicks))
        else:
            shown = self[number].mask
            prompt = replace(prompt, mask=shown, appearance=self._appearance)
        drawn = prompt.mask if prompt.starts and not prompt.clicks and prompt.box is None else None
        if drawn is not None:
            found, confidence = drawn, 1.0
        else:
            result = self._predictor.answer(image, prompt)
            found, confidence = result.finished(self._finish).mask, result.confidence
        if not found.any():
            raise PromptError(f"nothing of the object is left on frame {number}; click on it.")
        appearance = self._predictor.recurrence.appearance(image, found)
        self._seen[number] = _Seen(prompt, found, confidence, colours_of(image, found), appearance)
        return self[number]

    def forget(self, number: int) -> None:
        """Take back all that a person has said of a frame; raises PromptError if that is nothing."""
        if number not in self._seen:
            raise PromptError(f"frame {number} was not corrected; give one of {list(self.seen)}.")
        del self._seen[number]

    def __getitem__(self, number: int) -> Tracked:
        """Return what a frame shows; raises PromptError if there is no such frame, or no object yet."""
        self._require(number)
        start = self._nearest(number)
        if start == number:
            return self._as_seen(number)
        *_, last = self._reached(start, range(start, number, 1 if number > start else -1), number)
        return last

    def __iter__(self) -> Iterator[Tracked]:
        """Yield what every frame shows, in order; raises PromptError if no frame shows the object yet."""
        number = 0
        while number < len(self):
            start = self._nearest(number)
            if start > number:
                backward = self._reached(start, range(start, number, -1), number)
                # Masks wait as run lengths, so that a long stretch backward takes little memory.
                waiting = [
                    (replace(found, mask=None), None if found.mask is None else coco.encode(found.mask))
                    for found in backward
                ]
                for found, runs in reversed(waiting):
                    yield found if runs is None else replace(found, mask=coco.decode(runs))
            yield self._as_seen(start)
            last = number = start
            while last + 1 < len(self) and self._nearest(last + 1) == start:
                last += 1
            yield from self._reached(start, range(start, last), last)
            number = last + 1

    # --- between seen frames -----------------------------------------------------------------------------

    def _require(self, number: int) -> None:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(self):
            raise PromptError(f"there is no frame {number!r}; give a number from 0 to {len(self) - 1}.")

    @staticmethod
    def _require_size(image: LoadedImage, mask: NDArray[np.bool_]) -> None:
        height, width = mask.shape
        if (image.height, image.width) != (height, width):
            raise PromptError(
                f"the frame has {image.width} x {image.height} pixels, the track began on {width} x "
                f"{height}; give frames of one size."
            )

    def _nearest(self, number: int) -> int:
        """Return the seen frame that is nearest, the earlier one of two."""
        if not self._seen:
            raise PromptError("no frame shows the object yet; click on it with `correct` first.")
        return min(self._seen, key=lambda seen: (abs(seen - number), seen))

    @property
    def _appearance(self) -> Appearance | None:
        """The mean of what the seen frames show."""
        fitted = [seen.appearance for _, seen in sorted(self._seen.items()) if seen.appearance is not None]
        return Appearance.mean(fitted)

    def _as_seen(self, number: int) -> Tracked:
        seen = self._seen[number]
        return Tracked(number, seen.mask, seen.confidence, 1.0, seen=True)

    def _reached(self, start: int, before: range, end: int) -> Iterator[Tracked]:
        """Yield what the frames after ``start`` show, one after the other in the direction of ``end``.

        Args:
            start: a seen frame.
            before: the frames from ``start`` on, without ``end``: each is followed by the next.
            end: the last frame.
        """
        colours = np.mean([seen.colours for _, seen in sorted(self._seen.items())], axis=0)
        state = State(self._seen[start].mask, colours.astype(np.float32), self._appearance)
        for number in (index + before.step for index in before):
            try:
                image = self.image(number)
                self._require_size(image, state.mask)
                step = follow(self._predictor, image, state, limits=self._limits)
            except FcfiError as error:
                yield Tracked(number, None, error=str(error))
                continue
            state = step.state
            if step.result is None:
                yield Tracked(number, None, likeness=step.likeness, doubt=LOST)
            else:
                result = step.result.finished(self._finish)
                yield Tracked(number, result.mask, result.confidence, step.likeness, doubt=step.doubt)
