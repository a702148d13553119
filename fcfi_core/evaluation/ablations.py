"""The same weights with one part switched off (or on): what does each contribute?

================  =====================================================================
no-ffcm           focused feedback correction passes the previous mask on, uncorrected
no-cffm           collaborative feedback fusion leaves the features as they are
no-feedback       every click list from scratch: the network never sees a previous mask
no-zoom           the whole image in every pass
flip              averaged with the mirrored image
================  =====================================================================

Several joined by ``+`` apply together: ``no-feedback+no-zoom`` is what an interactor without any memory
does. The weights were trained with all parts in place, so an ablation shows what these weights
lose, not what a network trained without the part would reach.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fcfi_core.checkpoints import read_checkpoint, resolve
from fcfi_core.engines.base import Array, Encoded, Engine, Maps, SeveralAnswers
from fcfi_core.errors import SettingsError
from fcfi_core.model import Model
from fcfi_core.networks.base import resized
from fcfi_core.networks.feedback_correction import FeedbackCorrection, Network, Seen
from fcfi_core.networks.feedback_fusion import FeedbackFusion
from fcfi_core.predictor import Predictor

ABLATIONS = ("no-ffcm", "no-cffm", "no-feedback", "no-zoom", "flip")


def ablated(predictor: Predictor, checkpoint: str | Path, names: str) -> Predictor:
    """Return a predictor like ``predictor`` with parts of it switched.

    Args:
        predictor: of the weights in ``checkpoint``.
        checkpoint: name or path, as for :func:`~fcfi_core.model.load_model`.
        names: one or several of :data:`ABLATIONS`, joined by ``+``.

    Raises:
        SettingsError: for an unknown name.
    """
    chosen = set(names.split("+"))
    for name in sorted(chosen):
        if name not in ABLATIONS:
            raise SettingsError(
                f"ablation is {name!r}; give one or more (joined by +) of {', '.join(ABLATIONS)}."
            )
    model, protocol = predictor.model, predictor.protocol
    if chosen & {"no-ffcm", "no-cffm"}:
        network = bypassed(
            read_checkpoint(resolve(checkpoint)).network(),
            correction="no-ffcm" in chosen,
            fusion="no-cffm" in chosen,
        )
        model = Model.from_network(
            network,
            name=model.name,
            variant=model.variant,
            protocol=protocol,
            device=model.engine.device,
            threads=model.engine.threads,
            rating=model.rating,
        )
    if "no-feedback" in chosen:
        model = replace(model, engine=WithoutFeedback(model.engine))
    if "no-zoom" in chosen:
        protocol = replace(protocol, target_size=None)
    return Predictor(model, protocol=protocol.with_flip() if "flip" in chosen else protocol)


def bypassed(network: Network, *, correction: bool = False, fusion: bool = False) -> Network:
    """Return a copy of ``network`` without FFCM (``correction``) and CFFM (``fusion``)."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if correction and isinstance(module, FeedbackCorrection):  # whichever way it computes
            module.__class__ = _NoCorrection
        if fusion and isinstance(module, FeedbackFusion):
            module.__class__ = _NoFusion
    return copied


class _NoCorrection(FeedbackCorrection):
    """Stands in for FFCM: the previous mask at feature size."""

    def around_clicks(self, seen: Seen, new_points: Any, soft_window: bool) -> tuple[Tensor, None]:
        return seen.feedback, None


class _NoFusion(FeedbackFusion):
    """Stands in for CFFM: features and corrected feedback as they came."""

    def forward(self, features: Tensor, corrected: Tensor, gate: float | Tensor) -> tuple[Tensor, Tensor]:
        return features, resized(corrected, *features.shape[-2:])


@dataclass(frozen=True)
class WithoutFeedback:
    """An engine whose network believes every click list to be the first it sees.

    Args:
        engine: runs the network.
    """

    engine: Engine

    @property
    def name(self) -> str:
        """That of the engine."""
        return self.engine.name

    @property
    def version(self) -> str:
        """That of the engine."""
        return self.engine.version

    @property
    def device(self) -> str:
        """That of the engine."""
        return self.engine.device

    @property
    def threads(self) -> int | None:
        """That of the engine."""
        return self.engine.threads

    @property
    def size_multiple(self) -> int:
        """That of the engine."""
        return self.engine.size_multiple

    def encode(self, images: Array) -> Encoded:
        """See :class:`~fcfi_core.engines.base.Engine`."""
        return self.engine.encode(images)

    def decode(
        self, encoded: Encoded, feedback: Array, points: Array, new_points: NDArray[np.int64], gate: float
    ) -> Maps:
        """See :class:`~fcfi_core.engines.base.Engine`; feedback and gate are not passed on."""
        return self.engine.decode(encoded, np.zeros_like(feedback), points, new_points, 0.0)

    @property
    def other_answers(self) -> int:
        """Those of the engine."""
        return self.engine.other_answers if isinstance(self.engine, SeveralAnswers) else 0

    def first_answers(
        self, encoded: Encoded, size: tuple[int, int], points: Array, new_points: NDArray[np.int64]
    ) -> Array:
        """See :class:`~fcfi_core.engines.base.SeveralAnswers`; there is no feedback to a first click."""
        assert isinstance(self.engine, SeveralAnswers)
        return self.engine.first_answers(encoded, size, points, new_points)
