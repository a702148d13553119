"""An annotator at work: how an object starts, and what follows each prediction.

The annotator is that of the evaluation (:mod:`fcfi_core.evaluation.clicker`), with scattered clicks.
Coordinates are ``(y, x)`` pixels of the crop, as everywhere behind the network's door.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fcfi_core.clicks import Box, Click
from fcfi_core.evaluation import clicker
from fcfi_core.geometry import Frame
from fcfi_core.prompt import centre_of, clicks_around
from fcfi_core.protocol import product
from fcfi_core.regions import Region
from fcfi_core.rules import box_feedback
from fcfi_core.training.configuration import SamplingConfiguration
from fcfi_core.training.crops import UNKNOWN, Crop

_THRESHOLD = product().mask_threshold
_WITH_SIDES = 0.8
"""Share of box starts that show the clicks beyond the box's sides, as the predictor does."""
_MIDDLE = 1 / 1.7
"""Depth of first clicks, as a share of the object's: people begin well inside it."""
_USUAL = SamplingConfiguration()


@dataclass
class Episode:
    """One object on its way from the first click to the last.

    Attributes:
        crop: image and target.
        clicks: ``(y, x, positive)`` in order, the newest last.
        feedback: (S, S) float32 probabilities of the previous round.
        gate: 0.0 before anything is known, 1.0 once there is feedback.
        steps: optimiser steps this episode has taken part in.
        finished: nothing is left to correct.
        told: what a person clicked on this object and the episode has not used yet, ``(y, x, positive)``.
    """

    crop: Crop
    clicks: list[tuple[int, int, bool]]
    feedback: NDArray[np.float32]
    gate: float
    steps: int = 0
    finished: bool = False
    random: np.random.Generator = field(default_factory=np.random.default_rng, repr=False)
    told: list[tuple[int, int, bool]] = field(default_factory=list)

    def correct(self, probability: NDArray[np.float32], sampling: SamplingConfiguration = _USUAL) -> None:
        """Take the new prediction as feedback and add the click that corrects it.

        That is the next one of a person's which corrects something, if there is one.

        Args:
            probability: (S, S) float32, the prediction of this round.
            sampling: how exactly the annotator aims.
        """
        self.feedback = probability
        self.gate = 1.0
        mask = probability > _THRESHOLD
        real = self._told(mask)
        if real is None:
            click = next_click(self.crop.target, mask, self.random, sampling)
            real = None if click is None else _mark(click)
        self.finished = real is None
        if real is not None:
            self.clicks.append(real)

    def _told(self, mask: NDArray[np.bool_]) -> tuple[int, int, bool] | None:
        """Return a person's next click that corrects ``mask``, which is then used; None if there is none."""
        for index, (y, x, positive) in enumerate(self.told):
            wrong = self.crop.target[y, x] == int(positive) and mask[y, x] != positive
            if wrong:
                return self.told.pop(index)
        return None

    def state(self) -> dict[str, Any]:
        """Return the episode as tensors and plain values, for a training checkpoint."""
        return {
            "image": torch.from_numpy(self.crop.image),
            "target": torch.from_numpy(self.crop.target),
            "feedback": torch.from_numpy(self.feedback.copy()),
            "clicks": [list(click) for click in self.clicks],
            "gate": self.gate,
            "steps": self.steps,
            "finished": self.finished,
            "random": self.random.bit_generator.state,
            "told": [list(click) for click in self.told],
            "exact": self.crop.exact,
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Episode:
        """Return the episode that :meth:`state` described."""
        random = np.random.default_rng()
        random.bit_generator.state = state["random"]
        return cls(
            crop=Crop(
                state["image"].cpu().numpy(),
                state["target"].cpu().numpy(),
                exact=bool(state.get("exact", False)),
            ),
            clicks=[(int(y), int(x), bool(positive)) for y, x, positive in state["clicks"]],
            feedback=state["feedback"].cpu().numpy(),
            gate=float(state["gate"]),
            steps=int(state["steps"]),
            finished=bool(state["finished"]),
            random=random,
            told=[(int(y), int(x), bool(positive)) for y, x, positive in state.get("told", [])],
        )


def start_episode(crop: Crop, sampling: SamplingConfiguration, random: np.random.Generator) -> Episode:
    """Return a new episode: from a first click, a box, or a disturbed mask.

    A first click is that of the person who clicked on this object, where the crop knows one.
    """
    told = list(crop.clicks)
    nothing = np.zeros(crop.target.shape, np.float32)
    choice = random.random()
    if choice < sampling.box_start:
        feedback, box = _box_feedback(crop.target, random)
        around = clicks_around(box, *crop.target.shape) if random.random() < _WITH_SIDES else ()
        corrected = None
        if random.random() >= sampling.implied:
            corrected = next_click(crop.target, feedback > _THRESHOLD, random, sampling)
        clicks = [_mark(click) for click in (*around, corrected or centre_of(box))]
        return Episode(crop, clicks, feedback, 1.0, random=random, told=told)
    if choice < sampling.box_start + sampling.prior_start:
        prior = disturbed(crop.target == 1, random)
        click = next_click(crop.target, prior, random, sampling) or first_click(crop.target, random, sampling)
        return Episode(crop, [_mark(click)], prior.astype(np.float32), 1.0, random=random, told=told)
    if told and crop.begins and crop.target[told[0][:2]] == 1:
        return Episode(crop, told[:1], nothing, 0.0, random=random, told=told[1:])
    click = first_click(crop.target, random, sampling)
    return Episode(crop, [_mark(click)], nothing, 0.0, random=random, told=told)


def first_click(
    target: NDArray[np.uint8], random: np.random.Generator, sampling: SamplingConfiguration = _USUAL
) -> Click:
    """Return a positive click in the object's middle, now and then anywhere on it."""
    hands = clicker.Scatter(0, sampling.stray_starts, _MIDDLE)
    nothing = np.zeros(target.shape, np.bool_)
    found = clicker.next_click(nothing, target == 1, noise=hands, random=random)
    return found or Click(target.shape[1] // 2, target.shape[0] // 2)


def next_click(
    target: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    random: np.random.Generator,
    sampling: SamplingConfiguration = _USUAL,
) -> Click | None:
    """Return a click in the largest error of ``mask``, or None if nothing is wrong."""
    hands = clicker.Scatter(sampling.centre_clicks, sampling.stray_clicks)
    return clicker.next_click(mask, target == 1, ignore=target == UNKNOWN, noise=hands, random=random)


def disturbed(mask: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    """Return ``mask`` with the kinds of faults that masks from elsewhere have."""
    result = mask.astype(np.uint8)
    size = max(np.sqrt(mask.sum()), 4.0)
    for _ in range(int(random.integers(1, 4))):
        kind = random.integers(5)
        if kind <= 1:
            reach = 2 * int(random.uniform(0.01, 0.1) * size) + 3
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
            result = _bytes((cv2.dilate if kind == 0 else cv2.erode)(result, kernel))
        elif kind == 2:
            shift = random.uniform(-0.12, 0.12, 2) * size
            matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
            result = _bytes(cv2.warpAffine(result, matrix, result.shape[::-1], flags=cv2.INTER_NEAREST))
        elif kind == 3:
            factor = max(int(size * random.uniform(0.08, 0.25)), 2)
            small = cv2.resize(result, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
            result = _bytes(cv2.resize(small, result.shape[::-1], interpolation=cv2.INTER_NEAREST))
        else:
            _toggle_blob(result, mask, size, random)
    return result > 0


def _bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(image, dtype=np.uint8)


def _toggle_blob(
    result: NDArray[np.uint8], mask: NDArray[np.bool_], size: float, random: np.random.Generator
) -> None:
    """Add or remove an ellipse near the object."""
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return
    anchor = int(random.integers(rows.size))
    centre = np.array([columns[anchor], rows[anchor]]) + random.uniform(-0.4, 0.4, 2) * size
    axes = np.maximum(random.uniform(0.08, 0.4, 2) * size, 1)
    colour = int(random.random() < 0.5)
    cv2.ellipse(result, (centre.tolist(), (2 * axes).tolist(), float(random.uniform(0, 180))), colour, -1)


def _box_feedback(target: NDArray[np.uint8], random: np.random.Generator) -> tuple[NDArray[np.float32], Box]:
    """Return a hand-drawn box around the object as feedback, and the box."""
    height, width = target.shape
    rows, columns = np.flatnonzero((target == 1).any(1)), np.flatnonzero((target == 1).any(0))
    if rows.size == 0:
        return np.zeros(target.shape, np.float32), Box(width // 2, height // 2, width // 2, height // 2)
    slack = random.normal(0.02, 0.04, 4) * np.repeat(
        [rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1], 2
    )
    top = int(np.clip(rows[0] - slack[0], 0, height - 2))
    bottom = int(np.clip(rows[-1] + slack[1], top + 1, height - 1))
    left = int(np.clip(columns[0] - slack[2], 0, width - 2))
    right = int(np.clip(columns[-1] + slack[3], left + 1, width - 1))
    box = Box(left, top, right, bottom)
    return box_feedback(Frame.of(Region.whole(height, width), (height, width), target=None), box), box


def _mark(click: Click) -> tuple[int, int, bool]:
    return click.y, click.x, click.positive
