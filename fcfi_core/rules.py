"""Where the product and the official evaluation go apart: two small objects with the same face.

Both look at the whole image first and then around the object; both feed the last map back. The product
keeps maps in the frame the network saw, lets a box speak before the first click, waits with negative
clicks until there is an object, and never answers a positive click with nothing. The official rules keep
maps at the image's size, corners aligned, and keep a stale zoom box when the object vanishes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.clicks import Box, Click
from fcfi_core.geometry import COARSE, REDUCTION, Frame
from fcfi_core.images import LoadedImage
from fcfi_core.prompt import Prompt
from fcfi_core.protocol import LONGEST, REFINED_SIDE, Protocol
from fcfi_core.regions import Region, first_region, next_region
from fcfi_core.results import Result

BOX_FEEDBACK = 0.6
"""Probability inside a box: more likely object than not, and soft enough to be overruled."""

UNSURE = "the network is unsure: the mask shows what is at least as likely as the clicked pixel; click again"
NO_OBJECT = "no positive click yet: the mask is empty; click on the object first"

Size = tuple[int, int]
"""(height, width) of an image, pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is known after some clicks, and all that the next one needs.

    Args:
        frame: where the maps lie.
        probability: (h, w) float32.
        corrected, fused: (h, w) float32, the feedback maps; the same array as ``probability`` unless the
            protocol needs them.
        zoomed: the zoomed region the last pass looked at; None if it saw the whole image.
        confidence: the expected intersection over union with the truth, 0..1, where the answer was rated
            (:mod:`fcfi_core.rating`); None elsewhere.
    """

    frame: Frame
    probability: Map
    corrected: Map
    fused: Map
    zoomed: Region | None
    confidence: float | None = None

    @property
    def size(self) -> int:
        """Bytes of the maps."""
        views = (self.probability, self.corrected, self.fused)
        return sum({id(view): view.nbytes for view in views}.values())


class Rules(ABC):
    """What both have in common; made by :func:`rules_of`.

    Args:
        protocol: thresholds, sizes and ratios.
        multiple: both sides of a frame are multiples of this.
    """

    align_corners: bool

    def __init__(self, protocol: Protocol, multiple: int) -> None:
        self.protocol = protocol
        self._multiple = multiple

    def look(self, size: Size, state: State | None, clicks: Sequence[Click]) -> tuple[Frame, Region | None]:
        """Return the frame to show to the network, and the zoomed region in force."""
        protocol = self.protocol
        if protocol.target_size is None:
            return self.whole(size), None
        if state is None:
            return self.first(size, clicks), None
        source = state.fused if protocol.zoom_from == "fused" else state.probability
        foreground = state.frame.foreground(source, protocol.zoom_threshold)
        if foreground is None:
            return self.first(size, clicks), self.stale(state)
        zoomed = next_region(
            state.zoomed,
            foreground,
            clicks,
            size,
            ratio=protocol.expansion_ratio,
            smallest=protocol.smallest_crop,
            keep_overlap=protocol.keep_overlap,
        )
        return self.zoomed(zoomed, size), zoomed

    def whole(self, size: Size) -> Frame:
        """Return the frame of the whole image."""
        return self._frame(Region.whole(*size), size, self.protocol.first_side)

    def first(self, size: Size, clicks: Sequence[Click]) -> Frame:
        """Return the frame to look at while nothing is known of the object."""
        return self._frame(self.first_region(size, clicks), size, self.protocol.first_side)

    def zoomed(self, region: Region, size: Size) -> Frame:
        """Return the frame of a part of the image."""
        return self._frame(region, size, self.protocol.target_size)

    def finer(self, state: State, size: Size) -> Frame:
        """Return the frame in which an answer is refined: what ``state`` saw, shown larger."""
        return self._frame(state.frame.region, size, REFINED_SIDE)

    def _frame(self, region: Region, size: Size, target: int | None) -> Frame:
        return Frame.of(
            region, size, target=target, multiple=self._multiple, align_corners=self.align_corners
        )

    # --- where the two differ ----------------------------------------------------------------------------

    @abstractmethod
    def first_region(self, size: Size, clicks: Sequence[Click]) -> Region:
        """Return the part of the image to look at while nothing is known of the object."""

    @abstractmethod
    def first_pass(self, prompt: Prompt) -> int:
        """Return how many clicks the first pass of the network follows, 0 for one that needs none."""

    @abstractmethod
    def completed(self, prompt: Prompt) -> Prompt:
        """Return ``prompt`` with the click to assume where the user gave none and a pass needs one."""

    @abstractmethod
    def shown(self, prompt: Prompt, size: Size) -> tuple[Click, ...]:
        """Return the clicks that the network is shown."""

    @abstractmethod
    def repetitions(self, prompt: Prompt, size: Size) -> range:
        """Return the indices of the clicks that ask for another answer instead of correcting one."""

    @abstractmethod
    def start(self, prompt: Prompt, size: Size) -> State:
        """Return what is known from a box or a prior mask alone."""

    @abstractmethod
    def stale(self, state: State) -> Region | None:
        """Return the zoomed region in force when the object has vanished."""

    @abstractmethod
    def kept(
        self, size: Size, seen: Frame, zoomed: Region | None, probability: Map, corrected: Map, fused: Map
    ) -> State:
        """Return what is kept of a pass that saw ``seen``; the maps are of its size."""

    def answer(self, image: LoadedImage, prompt: Prompt, state: State | None) -> Result:
        """Return the result that ``state`` stands for; None: there is no object yet."""
        if state is None:
            size = image.height, image.width
            nothing = Frame.of(Region.whole(*size), size, target=1)
            empty = np.zeros((1, 1), np.float32)
            return Result(
                nothing, empty, 1.0, prompt.clicks, image_notes=image.notes, notes=(NO_OBJECT,), image=image
            )
        return Result(
            state.frame,
            state.probability,
            self.protocol.mask_threshold,
            prompt.clicks,
            prompt.implied_click,
            image_notes=image.notes,
            rated=state.confidence,
            image=image,
            sharp=self.protocol.local_colours,
        )


class ProductRules(Rules):
    """The rules this package works by."""

    align_corners = False

    def first_region(self, size: Size, clicks: Sequence[Click]) -> Region:
        """Everything, but of a very long image the surroundings of the newest positive click only."""
        newest = next((click for click in reversed(clicks) if click.positive), None)
        return first_region(newest, size, LONGEST, self.protocol.first_aspect)

    def _frame(self, region: Region, size: Size, target: int | None) -> Frame:
        """Let the edges of a large part fall together with pixels of the image's reduced copy."""
        if target is not None and max(region.height, region.width) >= COARSE * target:
            region = region.aligned(REDUCTION, *size)
        return super()._frame(region, size, target)

    def first_pass(self, prompt: Prompt) -> int:
        """A box has a pass of its own; negative clicks wait until there is an object."""
        if prompt.mask is not None:
            return 1
        if prompt.box is not None:
            return 0
        positive = (index for index, click in enumerate(prompt.clicks, start=1) if click.positive)
        return next(positive, len(prompt.clicks) + 1)

    def completed(self, prompt: Prompt) -> Prompt:
        """A prior mask alone needs a click; a box alone brings its own."""
        if prompt.mask is None or prompt.implied_click is None:
            return prompt
        return prompt.with_clicks([prompt.implied_click])

    def shown(self, prompt: Prompt, size: Size) -> tuple[Click, ...]:
        """With a box, its own clicks come before the user's; without any of these they stand alone.

        Clicks that ask for another answer say nothing new of the object.
        """
        repeated = self.repetitions(prompt, size)
        clicks = (click for index, click in enumerate(prompt.clicks) if index not in repeated)
        return (*prompt.surroundings(*size), *clicks)

    def repetitions(self, prompt: Prompt, size: Size) -> range:
        """Return those on nearly the same place as the first one."""
        return prompt.repetitions(*size)

    def start(self, prompt: Prompt, size: Size) -> State:
        """Look around the box or the mask from the beginning."""
        assert prompt.region is not None, "a start has a box or a mask"
        region = prompt.region.expanded(self.protocol.expansion_ratio, self.protocol.smallest_crop, *size)
        frame = self.zoomed(region, size)
        feedback = initial_feedback(frame, prompt)
        return State(frame, feedback, feedback, feedback, region)

    def stale(self, state: State) -> Region | None:
        """The whole image is looked at as if for the first time."""
        return None

    def kept(
        self, size: Size, seen: Frame, zoomed: Region | None, probability: Map, corrected: Map, fused: Map
    ) -> State:
        """Keep one map, or two where the zoom follows the fused feedback."""
        source = probability if self.protocol.zoom_from == "prediction" else fused
        return State(seen, probability, source, source, zoomed)

    def answer(self, image: LoadedImage, prompt: Prompt, state: State | None) -> Result:
        """Lower the threshold to the clicked pixel's probability where the mask would be empty."""
        result = super().answer(image, prompt, state)
        return result if state is None else _with_something(result)


class OfficialRules(Rules):
    """The rules of the official evaluation, defects included."""

    align_corners = True

    def first_region(self, size: Size, clicks: Sequence[Click]) -> Region:
        """Everything, however long it is."""
        return Region.whole(*size)

    def first_pass(self, prompt: Prompt) -> int:
        """Every click is a pass, negative ones without an object too."""
        return 1

    def completed(self, prompt: Prompt) -> Prompt:
        """Without a click there is no pass: the one that the start implies is assumed."""
        return prompt if prompt.implied_click is None else prompt.with_clicks([prompt.implied_click])

    def shown(self, prompt: Prompt, size: Size) -> tuple[Click, ...]:
        """Nothing but the clicks themselves."""
        return prompt.clicks

    def repetitions(self, prompt: Prompt, size: Size) -> range:
        """Every click corrects."""
        return range(0)

    def start(self, prompt: Prompt, size: Size) -> State:
        """Look at the whole image."""
        frame = self.whole(size)
        feedback = initial_feedback(frame, prompt)
        return State(frame, feedback, feedback, feedback, None)

    def stale(self, state: State) -> Region | None:
        """The old box stays in force, though the whole image is seen."""
        return state.zoomed

    def kept(
        self, size: Size, seen: Frame, zoomed: Region | None, probability: Map, corrected: Map, fused: Map
    ) -> State:
        """Whatever was seen, put the answer where the last zoomed region is, at the image's size."""
        whole = self.whole(size)
        place = whole if zoomed is None else self.zoomed(zoomed, size)
        probability, corrected, fused = (place.paste(view) for view in (probability, corrected, fused))
        return State(whole, probability, corrected, fused, zoomed)


def rules_of(protocol: Protocol, multiple: int) -> Rules:
    """Return the rules that ``protocol`` asks for.

    Args:
        multiple: both sides of a frame are multiples of this; the engine's ``size_multiple``.
    """
    return (OfficialRules if protocol.official else ProductRules)(protocol, multiple)


def initial_feedback(frame: Frame, prompt: Prompt) -> Map:
    """Return the feedback map that the network receives with the first click.

    A prior mask is shown as it is: 1 inside, 0 outside, averaged over the image pixels that a frame
    pixel covers. A box without a mask is a filled rectangle of :data:`BOX_FEEDBACK`, likewise averaged
    at its edges. Training shows exactly this.

    Args:
        frame: where the network looks.
        prompt: with a mask or a box, inside the image.

    Returns:
        (frame.height, frame.width) float32, 0..1.
    """
    if prompt.mask is not None:
        return frame.apply_map(prompt.mask)
    assert prompt.box is not None, "a start has a box or a mask"
    return box_feedback(frame, prompt.box)


def box_feedback(frame: Frame, box: Box) -> Map:
    """Return ``box`` as a filled rectangle of :data:`BOX_FEEDBACK`, (frame.height, frame.width) float32."""
    rows = _coverage(box.y1, box.y2, frame.region.top, frame.region.height, frame.height)
    columns = _coverage(box.x1, box.x2, frame.region.left, frame.region.width, frame.width)
    return np.outer(rows, columns * np.float32(BOX_FEEDBACK)).astype(np.float32)


def _coverage(first: int, last: int, start: int, extent: int, size: int) -> NDArray[np.float32]:
    """Return how much of each of ``size`` frame pixels along an axis the pixels ``first..last`` cover."""
    scale = size / extent
    edges = np.arange(size + 1)
    begin, end = (first - start) * scale, (last + 1 - start) * scale
    covered = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return np.asarray(np.clip(covered, 0, 1), np.float32)


def _with_something(result: Result) -> Result:
    """Return ``result``, its threshold lowered to the clicked pixel's probability if it were empty.

    Whoever clicks on an object wants to see a mask to correct, not nothing; the confidence tells how
    little it is worth. The newest click is asked first: it nearly always lies in the mask, and one answer
    is enough.
    """
    likeliest = 0.0
    positive = [click for click in (*result.clicks, result.implied_click) if click and click.positive]
    for click in reversed(positive):
        likeliest = max(likeliest, result.probability_at(click))
        if likeliest > result.threshold:
            return result
    if not positive or result.mask.any():
        return result
    return replace(result, threshold=0.99 * likeliest, notes=(UNSURE,))
