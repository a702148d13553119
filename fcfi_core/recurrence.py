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

An answer may be *refined*: one more pass over the same region in a finer frame, the last map as its feedback.
A thin structure may be *traced*, in windows of the image's own pixels (:mod:`fcfi_core.tracing`). No state
follows from either, so the clicks after it, and undo, are what they would be without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fcfi_core import candidates
from fcfi_core.allowance import checkpoint
from fcfi_core.appearance import Appearance, with_evidence
from fcfi_core.axes import Map
from fcfi_core.clicks import Click
from fcfi_core.engines import layout
from fcfi_core.engines.base import Encoded, Maps, SeveralAnswers
from fcfi_core.errors import PromptError, WeightsError
from fcfi_core.geometry import Frame
from fcfi_core.heap import outside_heap
from fcfi_core.images import LoadedImage
from fcfi_core.logits import probability_of
from fcfi_core.memo import Memo
from fcfi_core.model import Model
from fcfi_core.prompt import NOTHING_ASKED, Prompt
from fcfi_core.protocol import Protocol
from fcfi_core.rating import likeliest
from fcfi_core.regions import Region
from fcfi_core.results import Result
from fcfi_core.rules import Size, State, rules_of
from fcfi_core.stopwatch import Stopwatch
from fcfi_core.tracing import traced


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
        self.key = (*model.key, protocol)
        """What a state depends on beside image and prompt."""

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
        result = self._answer(image, prompt, state, watch)
        return replace(result, timings=watch.finished(), more=partial(self._alternatives, image, prompt))

    def _answer(self, image: LoadedImage, prompt: Prompt, state: State | None, watch: Stopwatch) -> Result:
        """Return the result that ``state`` stands for, traced or refined if the protocol says so."""
        if state is None or self.protocol.official:
            return self.rules.answer(image, prompt, state)
        found = self._traced(image, prompt, watch) if self.protocol.traced else None
        if found is not None:
            return found
        along = None if self.protocol.traced else partial(self._traced, image, prompt, Stopwatch())
        if self.protocol.refined:
            return replace(self._refined(image, prompt, state, watch), along=along)
        result = self.rules.answer(image, prompt, state)
        return replace(result, finer=partial(self._refined, image, prompt, state, Stopwatch()), along=along)

    def _refined(self, image: LoadedImage, prompt: Prompt, state: State, watch: Stopwatch) -> Result:
        """Return what one more pass makes of ``state``, in a finer frame of the same region."""
        frame = self.rules.finer(state, (image.height, image.width))
        feedback = state.frame.moved(state.probability, frame)
        asked = self.rules.completed(prompt)
        found = self._pass(image, frame, state.zoomed, feedback, asked, 1.0, watch)
        return self.rules.answer(image, prompt, replace(found, confidence=state.confidence))

    def _traced(self, image: LoadedImage, prompt: Prompt, watch: Stopwatch) -> Result | None:
        """Return the thin structure that clicks alone ask for, traced; None if there is none."""
        size = image.height, image.width
        if prompt.starts or prompt.appearance is not None or self.rules.repetitions(prompt, size):
            return None

        def look(frame: Frame, feedback: Map, clicks: Sequence[Click], gate: float) -> Map:
            checkpoint()
            with watch.measure("encode"):
                encoded = self._encoded(image, frame)
            maps = self._decoded(encoded, frame, feedback, clicks, gate, watch)
            return self._probability(layout.averaged(maps.logits))

        found = traced(
            look, size, prompt.clicks, self.protocol.mask_threshold, self.model.engine.size_multiple
        )
        if found is None:
            return None
        frame, view = found
        return self.rules.answer(image, prompt, State(frame, view, view, view, None))

    def _alternatives(self, image: LoadedImage, prompt: Prompt) -> tuple[Result, ...]:
        return self.candidates(image, prompt)[0]

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
            prefix = prompt.prefix(length)
            repeated = self.rules.repetitions(prefix, size)
            if repeated and repeated.stop == length:
                state = self._chosen(image, prefix.prefix(repeated.start), len(repeated), watch)
            else:
                state = self._next(image, state, prefix, watch)
            self.memo.put(key, state, state.size)
        return state

    def candidates(self, image: LoadedImage, prompt: Prompt) -> tuple[tuple[Result, ...], int]:
        """Return the answers to the first click of ``prompt`` to choose from, and which of them is given.

        The largest first, each with the clicks that ask for it; see :mod:`fcfi_core.candidates`. Where there
        is nothing to choose (a start, no positive click, clicks that corrected already) the present answer
        stands alone.

        Raises:
            PromptError: if nothing is asked, or something lies outside the image.
        """
        prompt = prompt.within(image.height, image.width)
        size = image.height, image.width
        repeated = self.rules.repetitions(prompt, size)
        asked = prompt.prefix(repeated.start) if repeated else prompt
        ends_there = len(asked.clicks) + len(repeated) == len(prompt.clicks)
        if not ends_there or not self._is_ambiguous(asked):
            return (replace(self.result(image, prompt), more=None),), 0
        states, given = self._looks(image, asked, Stopwatch())
        results = []
        for index, state in enumerate(states):
            times = (index - given) % len(states)
            chosen = asked.with_clicks((*asked.clicks, *(asked.clicks[-1:] * times)))
            results.append(self._answer(image, chosen, state, Stopwatch()))
        return tuple(results), (given + len(repeated)) % len(states)

    def choice(self, image: LoadedImage, prompt: Prompt, index: int) -> Prompt:
        """Return ``prompt`` with the clicks that ask for one of its :meth:`candidates`.

        Args:
            index: the largest mask first.

        Raises:
            PromptError: if there is no such answer.
        """
        answers, _ = self.candidates(image, prompt)
        if not 0 <= index < len(answers):
            raise PromptError(
                f"answer {index} cannot be chosen; there are {len(answers)} for these clicks, from 0."
            )
        return prompt.with_clicks(answers[index].clicks)

    def _is_ambiguous(self, prompt: Prompt) -> bool:
        """Return whether ``prompt`` is a first positive click and nothing more."""
        if self.protocol.official or prompt.starts or not prompt.clicks:
            return False
        return [click.positive for click in prompt.clicks] == [False] * (len(prompt.clicks) - 1) + [True]

    def _chosen(self, image: LoadedImage, asked: Prompt, times: int, watch: Stopwatch) -> State:
        """Return the answer to ``asked`` that so many repetitions of its click ask for."""
        states, given = self._looks(image, asked, watch)
        return states[(given + times) % len(states)]

    def _looks(self, image: LoadedImage, asked: Prompt, watch: Stopwatch) -> tuple[tuple[State, ...], int]:
        """Return the states to choose from after the first click, the largest first, and the one given."""
        key = ("looks", *self._key(image, asked.digest))
        known: tuple[tuple[State, ...], int] | None = self.memo.get(key)
        if known is not None:
            return known
        given = self.state(image, asked, watch)
        assert given is not None, "there is a positive click"
        engine = self.model.engine
        if self._is_rated(asked):
            others = list(self._rated(image, asked, watch)[1:])
        elif isinstance(engine, SeveralAnswers) and engine.other_answers:
            others = self.first_answers(image, asked, watch)[1:]
        else:
            others = []
        others += self._further_looks(image, asked, watch, candidates.SMALL if others else candidates.SHARES)
        seen = [given, *others]
        order = candidates.distinct(seen, self.protocol.mask_threshold)
        known = tuple(seen[index] for index in order), order.index(0)
        self.memo.put(key, known, sum(state.size for state in known[0]))
        return known

    def _is_rated(self, prompt: Prompt) -> bool:
        """Return whether the network has several answers to ``prompt``, and it is known how good each is."""
        engine = self.model.engine
        several = isinstance(engine, SeveralAnswers) and engine.other_answers > 0
        known = several and self.model.rating is not None
        return known and prompt.appearance is None and self._is_ambiguous(prompt)

    def _rated(self, image: LoadedImage, asked: Prompt, watch: Stopwatch) -> tuple[State, ...]:
        """Return the network's answers to a first click, each with its confidence, the one to give first."""
        key = ("rated", *self._key(image, asked.digest))
        known: tuple[State, ...] | None = self.memo.get(key)
        if known is not None:
            return known
        rating = self.model.rating
        assert rating is not None
        states = self.first_answers(image, asked, watch)
        description = candidates.described(states, asked.clicks[-1], self.protocol.mask_threshold)
        confidences = rating.expected(description[None])
        states = [
            replace(state, confidence=float(value))
            for state, value in zip(states, confidences[0], strict=True)
        ]
        given = states.pop(int(likeliest(confidences)[0]))
        known = given, *states
        self.memo.put(key, known, sum(state.size for state in known))
        return known

    def first_answers(self, image: LoadedImage, asked: Prompt, watch: Stopwatch | None = None) -> list[State]:
        """Return all that the network itself answers to a first click, from one look, the usual answer first.

        Args:
            asked: a positive click, and nothing before it but negative ones. The network has several answers.
        """
        checkpoint()
        watch, engine = watch or Stopwatch(), self.model.engine
        assert isinstance(engine, SeveralAnswers)
        size, flip = (image.height, image.width), self.protocol.flip
        clicks = self.rules.shown(asked, size)
        seen, zoomed = self.rules.look(size, None, clicks)
        with watch.measure("encode"):
            encoded = self._encoded(image, seen)
        with watch.measure("network"):
            logits = engine.first_answers(encoded, seen.size, *layout.of_clicks(seen, clicks, flip))
        states = []
        for one in np.moveaxis(logits, 1, 0):
            probability = outside_heap(self._probability(layout.averaged(one)))
            probability.flags.writeable = False
            states.append(self.rules.kept(size, seen, zoomed, probability, probability, probability))
        return [states[0], *(self._under_click(state, asked) for state in states[1:])]

    def _further_looks(
        self, image: LoadedImage, asked: Prompt, watch: Stopwatch, shares: Sequence[float]
    ) -> list[State]:
        """Return what the network answers to looks at parts of the image around the click."""
        size, states = (image.height, image.width), []
        first = self.rules.first_region(size, asked.clicks)
        for share in shares:
            region = Region.around(
                asked.clicks[-1], round(first.height * share), round(first.width * share), size
            )
            frame = self.rules.zoomed(region, size)
            nothing = np.zeros(frame.size, np.float32)
            state = self._pass(image, frame, region, nothing, asked, 0.0, watch)
            states.append(self._continued(image, self._under_click(state, asked), asked, watch))
        return states

    def _continued(self, image: LoadedImage, state: State, asked: Prompt, watch: Stopwatch) -> State:
        """Return ``state``, or where it was cut what is seen of it further around."""
        for _ in range(candidates.FURTHER):
            if not candidates.is_cut(state, (image.height, image.width), self.protocol.mask_threshold):
                break
            free = replace(state, zoomed=None)  # else the look that cut it may be taken again
            state = self._under_click(self.advance(image, free, asked, watch), asked)
        return state

    def _under_click(self, state: State, asked: Prompt) -> State:
        return candidates.part_under(state, asked.clicks[-1], self.protocol.mask_threshold)

    def _next(self, image: LoadedImage, state: State | None, prompt: Prompt, watch: Stopwatch) -> State:
        """Return what is known after the last click: from one look, or from a second one where it pays."""
        if state is None and self._is_rated(prompt):
            found = self._rated(image, prompt, watch)[0]
        else:
            found = self.advance(image, state, prompt, watch)
        if state is None and self._is_too_coarse((image.height, image.width), found, prompt):
            return self.advance(image, found, prompt, watch)
        return found

    def advance(
        self, image: LoadedImage, state: State | None, prompt: Prompt, watch: Stopwatch | None = None
    ) -> State:
        """Return what is known after the last click of ``prompt``, given what was known before it."""
        watch = watch or Stopwatch()
        size = image.height, image.width
        seen, zoomed = self.rules.look(size, state, self.rules.shown(prompt, size))
        feedback = np.zeros(seen.size, np.float32)
        if state is not None:
            feedback = state.frame.moved(state.probability, seen)
        return self._pass(image, seen, zoomed, feedback, prompt, 0.0 if state is None else 1.0, watch)

    def _pass(
        self,
        image: LoadedImage,
        seen: Frame,
        zoomed: Region | None,
        feedback: Map,
        prompt: Prompt,
        gate: float,
        watch: Stopwatch,
    ) -> State:
        """Return what one pass of the network makes of ``prompt`` in the frame ``seen``."""
        checkpoint()
        size = image.height, image.width
        clicks = self.rules.shown(prompt, size)
        with watch.measure("encode"):
            encoded = self._encoded(image, seen)
        evidence = self._evidence(encoded, seen, prompt)
        if evidence is not None and gate and len(prompt.clicks) <= self.rules.first_pass(prompt):
            feedback = with_evidence(feedback, evidence)
        maps = self._decoded(encoded, seen, feedback, clicks, gate, watch)
        logits, corrected, fused = map(layout.averaged, (maps.logits, maps.corrected, maps.fused))
        if evidence is not None:
            logits = logits + evidence
        probability = outside_heap(self._probability(logits))
        known = self.rules.kept(size, seen, zoomed, probability, corrected, fused)
        for view in (known.probability, known.corrected, known.fused):
            view.flags.writeable = False
        return known

    def _decoded(
        self,
        encoded: Encoded,
        seen: Frame,
        feedback: Map,
        clicks: Sequence[Click],
        gate: float,
        watch: Stopwatch,
    ) -> Maps:
        """Return what the network answers to clicks in the frame ``seen``."""
        flip = self.protocol.flip
        with watch.measure("network"):
            return self.model.engine.decode(
                encoded, layout.of(feedback, flip), *layout.of_clicks(seen, clicks, flip), gate=gate
            )

    def _probability(self, logits: Map) -> Map:
        """Return the probabilities of ``logits``.

        Raises:
            WeightsError: if one of them is no number.
        """
        probability = probability_of(logits)
        if np.isnan(probability.sum()):  # one that is no number makes the sum none
            raise WeightsError(
                f"the weights of {self.model.name} answer with what is no number: some are too large, or "
                "their training failed; choose others."
            )
        return probability

    def _key(self, image: LoadedImage, digest: str) -> tuple[object, ...]:
        return "state", self.key, image.digest, digest

    def _is_too_coarse(self, size: Size, state: State, prompt: Prompt) -> bool:
        """Return whether the zoomed frame would show so much more than the first one that it pays to look."""
        if not self.protocol.second_look:
            return False
        seen, _ = self.rules.look(size, state, prompt.clicks)
        return seen.scale >= self.protocol.second_look * state.frame.scale

    def appearance(self, image: LoadedImage, mask: NDArray[np.bool_]) -> Appearance | None:
        """Return what the object that ``mask`` shows looks like.

        None if the network's encoder tells nothing of places (clicks enter before it), or if the mask leaves
        nothing around the object, or nothing of it, to be told apart.

        Args:
            mask: (H, W) bool, of the image's size.
        """
        prompt = Prompt(mask=mask).within(image.height, image.width)
        if prompt.mask is None:
            return None
        state = self.rules.start(prompt, (image.height, image.width))
        features = self._features(self._encoded(image, state.frame))
        return Appearance.fitted(features, state.probability, self.model.digest)

    def _evidence(self, encoded: Encoded, seen: Frame, prompt: Prompt) -> Map | None:
        """Return what the prompt's appearance says of the frame; None if it has none."""
        if prompt.appearance is None:
            return None
        prompt.appearance.require_of(self.model.digest)
        return prompt.appearance.evidence(self._features(encoded), seen.size)

    def _features(self, encoded: Encoded) -> list[Map]:
        """Return the features of the view itself, each (c, h, w) float32."""
        return [maps[0] for maps in encoded.features()]

    def _encoded(self, image: LoadedImage, frame: Frame) -> Encoded:
        """Return the encoder's output for ``frame``, remembered or new."""
        key = ("encoded", self.key, image.digest, frame)
        encoded: Encoded | None = self.memo.get(key)
        if encoded is None:
            encoded = self.model.engine.encode(layout.of(image.seen(frame), self.protocol.flip))
            self.memo.put(key, encoded, encoded.size)
        return encoded
