"""One step of a track: from a state and the next frame to the object's mask there, and the new state.

Asked to correct a mask, the model hardly ever answers "nothing": what it answers is compared with the mask
before, by place and size, and with what a person has seen, by its colours. Too unlike, and the object counts
as lost; somewhat unlike, or the model unsure, and the frame is one to look at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.propagation.colours import colours_of, likeness
from fcfi_core.propagation.state import State
from fcfi_core.results import Result

LOST = "the object is lost"


@dataclass(frozen=True)
class Limits:
    """When an object counts as lost, and when a frame is one to look at.

    Args:
        least_overlap: IoU with the mask before; less is lost.
        largest_change: factor by which the area may grow or shrink from frame to frame.
        least_likeness: share of colours in common with the frames that a person has seen, 0..1.
        sure: confidence below which a frame is one to look at.
        alike: share of colours below which it is.
    """

    least_overlap: float = 0.1
    largest_change: float = 2.5
    least_likeness: float = 0.3
    sure: float = 0.85
    alike: float = 0.7

    def allow(self, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
        """Return whether one mask can be that of the same object a frame later."""
        small, large = sorted((int(before.sum()), int(after.sum())))
        if large > small * self.largest_change:
            return False
        shared = int((before & after).sum())
        return shared >= self.least_overlap * (small + large - shared)

    def doubt(self, confidence: float, alike: float) -> str:
        """Return why to look at a frame, one clause; "" if there is no reason."""
        reasons = []
        if confidence < self.sure:
            reasons.append(f"the model is unsure ({confidence:.2f})")
        if alike < self.alike:
            reasons.append(f"the colours are others than at first ({alike:.2f} in common)")
        return " and ".join(reasons)


USUAL = Limits()
"""Those of every door."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a frame shows of a tracked object.

    Args:
        result: its mask, with the doubt among its notes; None: the object is lost.
        state: to go on with. That of a lost object stays as it was, so that it may be found again.
        likeness: share of colours in common with the frames that a person has seen, 0..1.
        doubt: why a person should look at this frame; "" if there is no reason.
    """

    result: Result | None
    state: State
    likeness: float
    doubt: str

    @property
    def needs_review(self) -> bool:
        """Whether a person should look at this frame."""
        return bool(self.doubt)


def begin(predictor: Predictor, image: LoadedImage, mask: NDArray[np.bool_]) -> State:
    """Return the state of the object that ``mask`` shows on ``image``, as a person has seen it.

    Raises:
        PromptError: if the mask is empty, or of another size.
    """
    if mask.shape != (image.height, image.width):
        raise PromptError(
            f"the mask has the shape {mask.shape}, the frame has {image.width} x {image.height} pixels; give "
            "a mask of the frame's size."
        )
    if not mask.any():
        raise PromptError("the mask has no pixel; draw it on the object.")
    return State(mask, colours_of(image, mask), predictor.recurrence.appearance(image, mask))


def follow(predictor: Predictor, image: LoadedImage, state: State, *, limits: Limits = USUAL) -> Step:
    """Return what the next frame shows of the object.

    Args:
        predictor: makes one pass.
        image: the next frame.
        state: from :func:`begin`, or from the step before.
        limits: when to give up, and when to ask.

    Raises:
        PromptError: if the frame's size is not that of the state, or the state is another model's.
    """
    result = predictor.answer(image, Prompt(mask=state.mask, appearance=state.appearance))
    mask = result.mask
    if not mask.any() or not limits.allow(state.mask, mask):
        return Step(None, state, 0.0, LOST)
    alike = likeness(state.colours, colours_of(image, mask))
    if alike < limits.least_likeness:
        return Step(None, state, alike, LOST)
    doubt = limits.doubt(result.confidence, alike)
    if doubt:
        result = replace(result, notes=(*result.notes, f"please look at this frame: {doubt}"))
    return Step(result, replace(state, mask=mask), alike, doubt)
