"""A segmentation is a function of (image, prompt); this module is the function.

One click, from top to bottom::

    state      what is known before it: the last probability map, in the frame it was made in
    frame      where to look now: the whole image at first, then around the object and all clicks
    feedback   the last map as seen in that frame
    encode     what the network makes of the image there; remembered per frame
    decode     clicks and feedback come in; a new probability map comes out
    state      ... which is what is known before the next click

Pixels of the image appear only in ``frame.apply``; all else has the size of the frame, so a photograph
of 24 megapixels costs hardly more than a small one once it is decoded. The memo keeps states (and encoder
outputs) of prompt prefixes. It makes the function faster and never changes its value: every state is
computed from its predecessor by the same steps on the same numbers, whether remembered or not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fcfi_core.engines import layout
from fcfi_core.engines.base import Encoded
from fcfi_core.errors import PromptError
from fcfi_core.geometry import Frame
from fcfi_core.heap import outside_heap
from fcfi_core.images import LoadedImage
from fcfi_core.memo import Memo
from fcfi_core.model import Model
from fcfi_core.prompt import NOTHING_ASKED, Prompt
from fcfi_core.protocol import Protocol
from fcfi_core.results import Result
from fcfi_core.rules import Size, State, rules_of
from fcfi_core.stopwatch import Stopwatch


class Recurrence:
    """The function from (image, prompt) to a result, and its memory; any number of threads may share one.

    Args:
        model: from :func:`~fcfi_core.load_model`.
        protocol: the rules between clicks and network.
        memo: where states and encoder outputs are remembered.
    """

    def __init__(self, model: Model, protocol: Protocol, memo: Memo) -> None:
        self.model = model
        self.protocol = protocol
        self.memo = memo
        self.rules = rules_of(protocol, model.engine.size_multiple)

    def result(self, image: LoadedImage, prompt: Prompt) -> Result:
        """Return the mask that ``prompt`` asks for in ``image``.

        Raises:
            PromptError: if nothing is asked, or something lies outside the image.
        """
        prompt = prompt.within(image.height, image.width)
        if prompt.is_empty:
            raise PromptError(NOTHING_ASKED)
        watch = Stopwatch()
        state = self.state(image, self.rules.completed(prompt), watch)
        result = self.rules.answer(prompt, state, (image.height, image.width))
        return replace(result, image_notes=image.notes, timings=watch.finished())

    def state(self, image: LoadedImage, prompt: Prompt, watch: Stopwatch | None = None) -> State | None:
        """Return what is known after ``prompt``: from the longest remembered prefix, or from the start.

        None as long as there is no start and every click is negative: there is no object yet to take
        anything away from. Such clicks count as soon as a positive one follows.

        Args:
            prompt: fits the image, see :meth:`Prompt.within`.
        """
        watch = watch or Stopwatch()
        size = image.height, image.width
        lengths = range(len(prompt.clicks), self.rules.first_pass(prompt) - 1, -1)
        keys = [self._key(image, prompt.digests[length]) for length in lengths]
        missing, state = self.memo.first(keys)
        if state is None and prompt.starts:
            state = self.rules.start(prompt, size)
        for length, key in zip(reversed(lengths[:missing]), reversed(keys[:missing]), strict=True):
            again = state is None
            prefix = prompt.prefix(length)
            state = self.advance(image, state, prefix, watch)
            if again and self._is_too_coarse(size, state, prefix):
                state = self.advance(image, state, prefix, watch)
            self.memo.put(key, state, state.size)
        return state

    def advance(
        self, image: LoadedImage, state: State | None, prompt: Prompt, watch: Stopwatch | None = None
    ) -> State:
        """Return what is known after the last click of ``prompt``, given what was known before it."""
        watch = watch or Stopwatch()
        size = image.height, image.width
        clicks = self.rules.shown(prompt, size)
        seen, zoomed = self.rules.look(size, state, clicks)
        feedback = np.zeros(seen.size, np.float32)
        if state is not None:
            feedback = state.frame.moved(state.probability, seen)
        flip = self.protocol.flip
        with watch.measure("encode"):
            encoded = self._encoded(image, seen)
        with watch.measure("network"):
            maps = self.model.engine.decode(
                encoded,
                layout.of(feedback, flip),
                *layout.of_clicks(seen, clicks, flip),
                gate=0.0 if state is None else 1.0,
            )
        logits, corrected, fused = map(layout.averaged, (maps.logits, maps.corrected, maps.fused))
        probability = outside_heap(layout.sigmoid(logits))
        known = self.rules.kept(size, seen, zoomed, probability, corrected, fused)
        for view in (known.probability, known.corrected, known.fused):
            view.flags.writeable = False
        return known

    def _key(self, image: LoadedImage, digest: str) -> tuple[object, ...]:
        return "state", self.model.digest, self.protocol, image.digest, digest

    def _is_too_coarse(self, size: Size, state: State, prompt: Prompt) -> bool:
        """Return whether the zoomed frame would show so much more than the first one that it pays to look."""
        if not self.protocol.second_look:
            return False
        seen, _ = self.rules.look(size, state, prompt.clicks)
        return seen.scale >= self.protocol.second_look * state.frame.scale

    def _encoded(self, image: LoadedImage, frame: Frame) -> Encoded:
        """Return the encoder's output for ``frame``, remembered or new."""
        key = ("encoded", self.model.digest, image.digest, frame, self.protocol.flip)
        encoded: Encoded | None = self.memo.get(key)
        if encoded is None:
            encoded = self.model.engine.encode(layout.of(frame.apply(image.pixels), self.protocol.flip))
            self.memo.put(key, encoded, encoded.size)
        return encoded
