"""What runs a network: the one call between the predictor and any runtime.

An engine knows tensors and devices, and nothing of images, frames or sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an engine made of images alone; opaque, to be handed back to the same engine.

    Args:
        value: the engine's own.
        size: bytes it occupies.
        features: returns what describes places of the images, each (B, c, h, w) float32 at some stride;
            nothing where the clicks enter before there is such a thing.
    """

    value: Any
    size: int
    features: Callable[[], tuple[Array, ...]] = tuple


@dataclass(frozen=True, slots=True)
class Maps:
    """Answers of the network, each (B, h, w) float32.

    Args:
        logits: the prediction before the sigmoid.
        corrected: FFCM's feedback, probabilities.
        fused: CFFM's feedback, probabilities.
    """

    logits: Array
    corrected: Array
    fused: Array


class Engine(Protocol):
    """Runs one network; any thread may call it at any time.

    The same input gives the same bits, whatever ran before or runs beside it.
    """

    @property
    def name(self) -> str:
        """For reports, for example "torch"."""

    @property
    def version(self) -> str:
        """Of the runtime; the last bits of an answer may differ between two."""

    @property
    def device(self) -> str:
        """For reports and metrics, for example "cpu" or "cuda:0"."""

    @property
    def threads(self) -> int | None:
        """CPU threads of a pass; None if it does not run on the CPU."""

    @property
    def size_multiple(self) -> int:
        """Both sides of an input must be multiples of this."""

    def encode(self, images: Array) -> Encoded:
        """Return what depends on the images alone.

        Args:
            images: (B, h, w, 3) float32, RGB, 0..1.
        """

    def decode(
        self, encoded: Encoded, feedback: Array, points: Array, new_points: NDArray[np.int64], gate: float
    ) -> Maps:
        """Return the network's answer to clicks.

        Args:
            encoded: of images of the same size.
            feedback: (B, h, w) previous probability.
            points: (B, 2N, 3) rows (row, column, order), N positive then N negative, -1 where unused.
            new_points: (B, K, 3) rows (row, column, label), newest first; some engines take one alone.
            gate: 0.0 in the first pass on an object of which nothing is known, else 1.0.
        """


@runtime_checkable
class SeveralAnswers(Engine, Protocol):
    """An engine whose network has several answers to a first click."""

    @property
    def other_answers(self) -> int:
        """How many there are beside the usual one; 0: this network has none."""

    def first_answers(
        self, encoded: Encoded, size: tuple[int, int], points: Array, new_points: NDArray[np.int64]
    ) -> Array:
        """Return (B, 1 + ``other_answers``, h, w) logits of all answers to a first click, the usual first.

        Args:
            encoded, points, new_points: as for :meth:`decode`.
            size: (h, w) of the images.
        """


@runtime_checkable
class Resting(Engine, Protocol):
    """An engine that holds memory for its passes, and can be without it in between."""

    def rest(self) -> None:
        """Give back the memory that passes need; the next one takes it again.

        Engines do so by themselves when nothing was asked for a while.
        """
