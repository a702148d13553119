"""A segmentation is a function of (image, ordered clicks, box, prior mask); this module is the function.

One click, from top to bottom::

    state      what is known before it: the last probability map, in the frame it was made in
    frame      where to look now: the whole image at first, then around the object and all clicks
    feedback   the last map as seen in that frame
    encode     what the network makes of the image there; remembered per frame
    decode     clicks and feedback come in; a new probability map comes out
    state      ... which is what is known before the next click

Pixels of the image appear only in ``frame.apply``; all else has the size of the frame, so a photograph
of 24 megapixels costs hardly more than a small one once it is decoded. The memo keeps states (and encoder
outputs) of click prefixes. It makes the function faster and never changes its value: every state is
computed from its predecessor by the same steps on the same numbers, whether remembered or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.axes import Map
from fcfi_core.clicks import Box, Click, Number, ordered
from fcfi_core.engines import layout
from fcfi_core.engines.base import Encoded
from fcfi_core.errors import PromptError
from fcfi_core.geometry import Frame, Region, next_region
from fcfi_core.heap import outside_heap
from fcfi_core.images import LoadedImage
from fcfi_core.memo import Memo
from fcfi_core.model import Model
from fcfi_core.prior import Prior, initial_feedback
from fcfi_core.protocol import Protocol
from fcfi_core.results import Result
from fcfi_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from fcfi_core.session import Session

UNSURE = "the network is unsure: the mask shows what is at least as likely as the clicked pixel; click again"
NO_OBJECT = "no positive click yet: the mask is empty; click on the object first"


@dataclass(frozen=True, eq=False)
class Scene:
    """What stays fixed while clicks arrive.

    Args:
        image: upright RGB.
        prior: what is known before the first click, or None.
        decode_time: milliseconds spent reading the image, as far as not told yet.
    """

    image: LoadedImage
    prior: Prior | None
    decode_time: float

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.image.height, self.image.width

    @cached_property
    def key(self) -> Hashable:
        """Equal for equal images and priors."""
        return self.image.digest, self.prior.digest if self.prior else None


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is known after some clicks, and all that the next one needs.

    Args:
        frame: where the maps lie.
        probability: (h, w) float32.
        corrected, fused: (h, w) float32, the feedback maps; the same array as ``probability`` unless the
            protocol needs them.
        zoomed: the zoomed region the last pass looked at; None if it saw the whole image.
    """

    frame: Frame
    probability: Map
    corrected: Map
    fused: Map
    zoomed: Region | None

    @property
    def size(self) -> int:
        """Bytes of the maps."""
        views = (self.probability, self.corrected, self.fused)
        return sum({id(view): view.nbytes for view in views}.values())


class Predictor:
    """Cuts objects out of images by clicks; any number of threads may share one.

    Args:
        model: from :func:`~fcfi_core.load_model`.
        protocol: None: the model's own.
        memo_bytes: cap of remembered click prefixes and encoder outputs.
        memo_seconds: how long an unused one is remembered.
        max_pixels: images with more are refused before they are decoded; None: no limit.

    >>> predictor = Predictor(load_model("default"))         # doctest: +SKIP
    >>> predictor.segment("dog.jpg", [(320, 200)]).mask.shape  # doctest: +SKIP
    (480, 640)
    """

    def __init__(
        self,
        model: Model,
        *,
        protocol: Protocol | None = None,
        memo_bytes: int = 256 * 2**20,
        memo_seconds: float = 900.0,
        max_pixels: int | None = 200_000_000,
    ) -> None:
        self.model = model
        self.protocol = protocol or model.protocol
        self.memo = Memo(memo_bytes, memo_seconds)
        self._max_pixels = max_pixels

    @classmethod
    def from_settings(
        cls, values: Mapping[str, Any], change: Callable[[Protocol], Protocol] | None = None
    ) -> Predictor:
        """Return the predictor that the environment asks for.

        Args:
            values: as :func:`fcfi_core.settings.read` returns them for the core's variables.
            change: makes the protocol to use of the model's own; None: use that.
        """
        from fcfi_core.model import load_model

        model = load_model(
            values["FCFI_MODEL"], device=values["FCFI_DEVICE"], threads=values["FCFI_THREADS"] or None
        )
        return cls(
            model,
            protocol=change(model.protocol) if change else None,
            memo_bytes=int(values["FCFI_MEMO_MEGABYTES"] * 2**20),
            memo_seconds=values["FCFI_MEMO_SECONDS"],
            max_pixels=int(values["FCFI_MAX_MEGAPIXELS"] * 1e6),
        )

    def open(
        self, image: images.Source, *, box: Box | None = None, prior_mask: NDArray[Any] | None = None
    ) -> Session:
        """Return a session for one object in ``image``.

        Args:
            image: path, bytes, PIL image, (H, W, 3) uint8 RGB array, or what ``images.load`` returned.
            box: around the object; cut at the image's border.
            prior_mask: (H, W) bool, or numbers that are not 0 on the object: a mask to correct.

        Raises:
            ImageError: if the image cannot be read.
            PromptError: if the box or the mask does not fit the image.
        """
        from fcfi_core.session import Session

        return Session(self, self.scene(image, box=box, prior_mask=prior_mask))

    def segment(
        self,
        image: images.Source,
        clicks: Iterable[Click | tuple[Number, Number] | tuple[Number, Number, bool]] = (),
        box: Box | None = None,
        prior_mask: NDArray[Any] | None = None,
    ) -> Result:
        """Return the mask for ``clicks``: the stateless form of a session, with the same value.

        Args:
            image, box, prior_mask: see :meth:`open`.
            clicks: in the order they were made; may be empty if there is a box or a prior mask.

        Raises:
            ImageError: if the image cannot be read.
            PromptError: if there is nothing to go by, or something lies outside the image.
        """
        return self.result(self.scene(image, box=box, prior_mask=prior_mask), ordered(clicks))

    def warm_up(self) -> None:
        """Run two clicks on a grey image, so that the first user does not wait for lazy set-up."""
        grey = images.load(np.full((480, 640, 3), 127, np.uint8), max_pixels=None)
        self.segment(grey, [(320, 240), (300, 220)])

    def scene(
        self, image: images.Source, *, box: Box | None = None, prior_mask: NDArray[Any] | None = None
    ) -> Scene:
        """Return the image and what is known before the first click, read and checked."""
        start = time.perf_counter()
        loaded = image if isinstance(image, LoadedImage) else images.load(image, max_pixels=self._max_pixels)
        decode_time = 1000 * (time.perf_counter() - start)
        return Scene(loaded, Prior.of(loaded.height, loaded.width, box, prior_mask), decode_time)

    def result(self, scene: Scene, clicks: tuple[Click, ...]) -> Result:
        """Return the mask for ``clicks`` in ``scene``; see :meth:`segment`."""
        for click in clicks:
            click.require_inside(scene.image.width, scene.image.height)
        implied = None
        if not clicks:
            if scene.prior is None:
                raise PromptError("there is no click, no box and no prior mask; give at least one of them.")
            implied = scene.prior.implied_click()
        watch = Stopwatch()
        assumed = (implied,) if implied and not self._starts_from_box(scene) else ()
        state = self.state(scene, clicks or assumed, watch)
        if state is None:
            nothing = Frame.of(Region.whole(*scene.size), scene.size, target=1)
            result = Result(nothing, np.zeros((1, 1), np.float32), 1.0, clicks, notes=(NO_OBJECT,))
        else:
            result = Result(state.frame, state.probability, self.protocol.mask_threshold, clicks, implied)
            result = result if self.protocol.official else _with_something(result)
        timings = {"decode": scene.decode_time, **watch.finished()}
        return replace(result, image_notes=scene.image.notes, timings=timings)

    def state(self, scene: Scene, clicks: tuple[Click, ...], watch: Stopwatch | None = None) -> State | None:
        """Return what is known after ``clicks``: from the longest remembered prefix, or from the start.

        None as long as there is no prior and every click is negative: there is no object yet to take
        anything away from. Such clicks count as soon as a positive one follows.
        """
        watch = watch or Stopwatch()
        context = ("state", self.model.digest, self.protocol, scene.key)
        first = 0
        if self._starts_from_box(scene):
            first = -1  # the box's own clicks come before the user's
        elif scene.prior is None and not self.protocol.official:
            first = next((index for index, click in enumerate(clicks) if click.positive), len(clicks))
        lengths = range(len(clicks), first, -1)
        missing, state = self.memo.first([(*context, clicks[:length]) for length in lengths])
        if state is None and scene.prior is not None:
            state = self._start(scene.prior, scene.size)
        for length in reversed(lengths[:missing]):
            again = state is None
            state = self.advance(scene, state, clicks[:length], watch)
            if again and self._is_too_coarse(scene.size, state, clicks[:length]):
                state = self.advance(scene, state, clicks[:length], watch)
            self.memo.put((*context, clicks[:length]), state, state.size)
        return state

    def _starts_from_box(self, scene: Scene) -> bool:
        """Return whether a box makes a mask of its own before the first click; not an official rule."""
        return scene.prior is not None and scene.prior.mask is None and not self.protocol.official

    def _start(self, prior: Prior, size: tuple[int, int]) -> State:
        """Return what is known from a box or a prior mask alone."""
        if self.protocol.official:
            frame, zoomed = self._whole(size), None
        else:
            zoomed = prior.region.expanded(self.protocol.expansion_ratio, self.protocol.smallest_crop, *size)
            frame = self._zoomed(zoomed, size)
        feedback = initial_feedback(frame, prior.box, prior.mask)
        return State(frame, feedback, feedback, feedback, zoomed)

    def _is_too_coarse(self, size: tuple[int, int], state: State, clicks: tuple[Click, ...]) -> bool:
        """Return whether the zoomed frame would show so much more than the first one that it pays to look."""
        if not self.protocol.second_look:
            return False
        seen, _ = self._look(size, state, clicks)
        return seen.scale >= self.protocol.second_look * state.frame.scale

    def advance(
        self, scene: Scene, state: State | None, clicks: tuple[Click, ...], watch: Stopwatch
    ) -> State:
        """Return what is known after the last of ``clicks``, given what was known before it.

        With a box, its own clicks are shown before the user's; without any of these they stand alone.
        """
        if scene.prior is not None and not self.protocol.official:
            clicks = (*scene.prior.implied_clicks(*scene.size, clicks), *clicks)
        seen, zoomed = self._look(scene.size, state, clicks)
        feedback = np.zeros(seen.size, np.float32)
        if state is not None:
            feedback = state.frame.moved(state.probability, seen)
        with watch.measure("encode"):
            encoded = self._encoded(scene.image, seen)
        with watch.measure("network"):
            maps = self.model.engine.decode(
                encoded,
                layout.of(feedback, self.protocol.flip),
                *layout.of_clicks(seen, clicks, self.protocol.flip),
                gate=0.0 if state is None else 1.0,
            )
        logits, corrected, fused = map(layout.averaged, (maps.logits, maps.corrected, maps.fused))
        probability = outside_heap(layout.sigmoid(logits))
        if self.protocol.official:
            # The stale box: whatever was seen, the answer is put where the last zoomed region is.
            whole = self._whole(scene.size)
            place = whole if zoomed is None else self._zoomed(zoomed, scene.size)
            probability, corrected, fused = (place.paste(view) for view in (probability, corrected, fused))
            seen = whole
        elif self.protocol.zoom_from == "prediction":
            corrected = fused = probability
        else:
            corrected = fused
        for view in (probability, corrected, fused):
            view.flags.writeable = False
        return State(seen, probability, corrected, fused, zoomed)

    def _look(
        self, size: tuple[int, int], state: State | None, clicks: Sequence[Click]
    ) -> tuple[Frame, Region | None]:
        """Return the frame to show to the network, and the zoomed region in force."""
        whole = self._whole(size)
        protocol = self.protocol
        if state is None or protocol.target_size is None:
            return whole, None
        source = state.fused if protocol.zoom_from == "fused" else state.probability
        foreground = state.frame.foreground(source, protocol.zoom_threshold)
        if foreground is None:
            return whole, state.zoomed if protocol.official else None
        zoomed = next_region(
            state.zoomed,
            foreground,
            clicks,
            size,
            ratio=protocol.expansion_ratio,
            smallest=protocol.smallest_crop,
            keep_overlap=protocol.keep_overlap,
        )
        return self._zoomed(zoomed, size), zoomed

    def _whole(self, size: tuple[int, int]) -> Frame:
        return self._frame(Region.whole(*size), size, self.protocol.first_side)

    def _zoomed(self, region: Region, size: tuple[int, int]) -> Frame:
        return self._frame(region, size, self.protocol.target_size)

    def _frame(self, region: Region, size: tuple[int, int], target: int | None) -> Frame:
        return Frame.of(
            region,
            size,
            target=target,
            multiple=self.model.engine.size_multiple,
            align_corners=self.protocol.official,
        )

    def _encoded(self, image: LoadedImage, frame: Frame) -> Encoded:
        """Return the encoder's output for ``frame``, remembered or new."""
        key = ("encoded", self.model.digest, image.digest, frame, self.protocol.flip)
        encoded: Encoded | None = self.memo.get(key)
        if encoded is None:
            encoded = self.model.engine.encode(layout.of(frame.apply(image.pixels), self.protocol.flip))
            self.memo.put(key, encoded, encoded.size)
        return encoded


def _with_something(result: Result) -> Result:
    """Return ``result``, its threshold lowered to the clicked pixel's probability if it were empty.

    Whoever clicks on an object wants to see a mask to correct, not nothing; the confidence tells how
    little it is worth.
    """
    positive = [click for click in (*result.clicks, result.implied_click) if click and click.positive]
    likeliest = max((result.probability_at(click) for click in positive), default=1.0)
    if likeliest > result.threshold or result.mask.any():
        return result
    return replace(result, threshold=0.99 * likeliest, notes=(UNSURE,))
