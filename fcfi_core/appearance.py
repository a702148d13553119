"""What an object looks like to the network: one linear model over the encoder's features.

Where a frame shows the object, the weighted sum of the features is near 1, elsewhere near -1. It is fitted
once, by ridge regression, on a mask that a person has seen, and then recognises the object in other pictures:
in the next frames of a video, or in another look at the same photo. It never learns from its own output,
which would carry every mistake on.

The sum is linear, so a picture is scored map by map, each at its own stride, and only the finished scores are
enlarged: next to no time beside a pass of the network.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.errors import PromptError
from fcfi_core.logits import logits_of, probability_of

GAIN = 5.0
"""Logits that a score of 1 is worth beside what the network says."""

RIDGE = 0.03
"""Strength of the regularisation, as a share of the mean square of the features."""

_STRIDE = 8
"""Frame pixels a side of the cells on which the model is fitted."""

_CERTAIN = 0.96
"""How far a prior probability goes into the evidence: 0 becomes .02 and 1 becomes .98."""

_SHORT = 12
"""Digits that name a model's weights in a state."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """The linear model of one object; meaningful to the network alone whose features it was fitted on.

    Args:
        weights: (N,) float16, one for each channel of the features in their order, and the offset.
        model: the first digits of the digest of the network's weights.
    """

    weights: NDArray[np.float16]
    model: str

    @classmethod
    def fitted(cls, features: Sequence[Map], inside: Map, digest: str) -> Appearance | None:
        """Return what tells the object from its surroundings; None if the frame shows but one of them.

        Args:
            features: (c, h, w) maps of one frame, at any strides.
            inside: (height, width) float32, how much of each pixel of the frame the object covers, 0..1.
            digest: of the network's weights.
        """
        size = tuple(max(1, side // _STRIDE) for side in inside.shape)
        covered = _resized(inside[None], size).ravel().astype(np.float64)
        object_, rest = covered.sum(), (1 - covered).sum()
        if not features or min(object_, rest) <= 0:
            return None
        columns = [_resized(maps, size).reshape(len(maps), -1) for maps in features]
        rows = np.vstack([*columns, np.ones((1, len(covered)), np.float32)]).astype(np.float64)
        weights = covered / object_ + (1 - covered) / rest
        weighted = rows * weights
        square = weighted @ rows.T
        square[np.diag_indices_from(square)] += RIDGE * np.trace(square) / len(square)
        # A cell that the object covers in part counts for both sides: the mean target of 1 and -1.
        found = np.linalg.solve(square, rows @ (covered / object_ - (1 - covered) / rest))
        return cls(found.astype(np.float16), digest[:_SHORT])

    @classmethod
    def mean(cls, several: Sequence[Appearance]) -> Appearance | None:
        """Return the mean of models fitted on several masks of one object; None without any."""
        if not several:
            return None
        weights = np.mean([one.weights.astype(np.float64) for one in several], axis=0)
        return cls(weights.astype(np.float16), several[0].model)

    def require_of(self, digest: str) -> None:
        """Raise PromptError unless it was fitted on the features of the network with this digest."""
        if self.model != digest[:_SHORT]:
            raise PromptError(
                f"the object's appearance was learnt by the model {self.model}, the present one is "
                f"{digest[:_SHORT]}; start again from a mask."
            )

    def evidence(self, features: Sequence[Map], size: tuple[int, int]) -> Map:
        """Return logits for the object at each pixel of a frame, (height, width) float32.

        Args:
            features: (c, h, w) maps of the frame, as those that the model was fitted on.
            size: (height, width) of the frame.
        """
        channels = [len(maps) for maps in features]
        if sum(channels) + 1 != len(self.weights):
            raise PromptError(
                f"the object's appearance has {len(self.weights)} numbers, the model wants "
                f"{sum(channels) + 1}; start again from a mask."
            )
        parts = np.split(self.weights.astype(np.float32), np.cumsum(channels))
        scores = [np.tensordot(part, maps, axes=1) for part, maps in zip(parts, features, strict=False)]
        small = tuple(max(1, side // _STRIDE) for side in size)
        total = reduce(np.add, [_resized(score[None], small)[0] for score in scores], parts[-1])
        return np.asarray(np.float32(GAIN) * _resized(np.asarray(total, np.float32)[None], size)[0])

    def to_json(self) -> dict[str, str]:
        """Return ``{"model", "weights"}``: the digits, and the numbers as float16 in base64."""
        data = self.weights.astype("<f2").tobytes()
        return {"model": self.model, "weights": base64.b64encode(data).decode("ascii")}

    @classmethod
    def from_json(cls, fields: object) -> Appearance:
        """Return what :meth:`to_json` described; raises PromptError for anything else."""
        try:
            if not isinstance(fields, Mapping) or not isinstance(fields.get("model"), str):
                raise ValueError("no model is named")
            data = base64.b64decode(str(fields.get("weights")), validate=True)
            weights = np.frombuffer(data, "<f2").astype(np.float16)
            if not len(weights) or not np.isfinite(weights).all():
                raise ValueError("the numbers are not finite")
        except (ValueError, binascii.Error):
            raise PromptError("the object's appearance cannot be read; start again from a mask.") from None
        return cls(weights, fields["model"])


def with_evidence(probability: Map, evidence: Map) -> Map:
    """Return what a prior ``probability`` becomes by ``evidence`` (logits), both (h, w) float32."""
    prior = np.float32(_CERTAIN) * probability + np.float32((1 - _CERTAIN) / 2)
    return probability_of(logits_of(prior) + evidence)


def _resized(maps: NDArray[Any], size: tuple[int, ...]) -> Map:
    """Return (c, h, w) ``maps`` at ``size``: enlarged bilinearly, or averaged over blocks."""
    shrinks = maps.shape[1] > size[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if maps.shape[1:] == tuple(size):
        return np.asarray(maps, np.float32)
    return np.stack([cv2.resize(one, (size[1], size[0]), interpolation=method) for one in maps])
