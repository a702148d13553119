"""Learns how good answers to a first click are: ``python -m fcfi_core.training.rating``.

Objects of the development split are clicked on once each: in the middle, anywhere, and now and then near the
border, as hands do. What the answers look like, and how well each meets the object, is what
:class:`fcfi_core.rating.Rating` is fitted to. It has to be photos that the network was not trained on: on
those it was, the usual answer is better than it will ever be again. The weights stay what they are (as
float16); the model goes into their header.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcfi_core import candidates
from fcfi_core.checkpoints.catalogue import resolve
from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.datasets.samples import Sample
from fcfi_core.engines.base import SeveralAnswers
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.clicker import Clicker, ClickNoise, NearBorder, Scatter
from fcfi_core.model import load_model
from fcfi_core.outputs import require_writable, told
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.rating import Numbers, Rating, likeliest
from fcfi_core.training.configuration_file import load_configuration
from fcfi_core.training.development import development_samples
from fcfi_core.training.run import read_development_photos

_ANYWHERE = Scatter(0.3, 0.4)
_HANDS: tuple[ClickNoise | None, ...] = (None, _ANYWHERE, None, _ANYWHERE, NearBorder(0.5))
"""How the clicks fall, in turn."""

_OBJECTS = 3
"""Of each photo, on the mean; where one has fewer, others give more."""


def rated(predictor: Predictor, samples: Iterable[Sample]) -> tuple[NDArray[np.float32], Numbers]:
    """Return what answers to first clicks on ``samples`` look like, and what they are worth.

    Returns:
        (N, K, F + K) float32 as :func:`~fcfi_core.rating.described` gives them, and (N, K) float64
        intersections over unions.
    """
    recurrence = predictor.recurrence
    threshold = recurrence.protocol.mask_threshold
    descriptions, overlaps = [], []
    for number, sample in enumerate(samples):
        hand = _HANDS[number % len(_HANDS)]
        annotator = Clicker(sample.truth, sample.ignore, noise=hand, seed=number)
        click = annotator.next(np.zeros(sample.truth.shape, np.bool_))
        assert click is not None, "an object has pixels"
        states = recurrence.first_answers(sample.loaded, Prompt(clicks=(click,)))
        masks = [state.frame.above(state.probability, threshold) for state in states]
        descriptions.append(candidates.described(states, click, threshold))
        overlaps.append([metrics.iou(mask, sample.truth, sample.ignore) for mask in masks])
    return np.array(descriptions), np.array(overlaps)


def _halves(samples: Sequence[Sample], descriptions: NDArray[np.float32], overlaps: Numbers) -> str:
    """Return in words what it is worth, for each half of the photos by a model fitted to the other."""
    photos = sorted({(sample.dataset, sample.image_name) for sample in samples})
    first = set(photos[::2])
    half = np.array([(one.dataset, one.image_name) in first for one in samples])
    given = np.zeros(len(half))
    for one in (half, ~half):
        if one.any() and not one.all():
            expected = Rating.fitted(descriptions[~one], overlaps[~one]).expected(descriptions[one])
            given[one] = overlaps[one][np.arange(one.sum()), likeliest(expected)]
    return (
        f"each half rated by the other: IoU of the usual answer {overlaps[:, 0].mean():.3f}, of the "
        f"likeliest {given.mean():.3f}, of the best {overlaps.max(axis=1).mean():.3f}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Write a checkpoint with a rating."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configuration", type=Path, metavar="CONFIG.toml", help="of a training run")
    parser.add_argument("weights", metavar="WEIGHTS", help="a name or file, with other answers")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("--sets", default="", help="comma-separated folder names (default: all sources)")
    parser.add_argument("--longest-side", type=int, default=512, help="of the photos, pixels")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    configuration = replace(load_configuration(arguments.configuration), longest_side=arguments.longest_side)
    if configuration.pack is not None:
        raise SettingsError("the configuration trains from a pack; give one whose sources are folders.")
    weights = resolve(arguments.weights)
    require_writable(arguments.out, "OUT", (".safetensors",), [arguments.configuration, weights])
    checkpoint = read_checkpoint(weights)
    model = load_model(weights, device="cpu", threads=arguments.threads)
    if not (isinstance(model.engine, SeveralAnswers) and model.engine.other_answers):
        raise WeightsError(
            f"{arguments.weights!r} has one answer to a click, there is nothing to rate; teach it others "
            "first: python -m fcfi_core.training.other_answers"
        )
    photos = read_development_photos(configuration, arguments.sets.split(",") if arguments.sets else ())
    samples = development_samples(photos, _OBJECTS * len(photos))
    descriptions, overlaps = rated(Predictor(model), samples)
    print(f"{len(samples)} objects of {len(photos)} photos, {_halves(samples, descriptions, overlaps)}")
    rating = Rating.fitted(descriptions, overlaps)
    write_checkpoint(arguments.out, checkpoint.state, {**checkpoint.header, "rating": rating.to_dict()})


if __name__ == "__main__":
    with told("rating"):
        main()
