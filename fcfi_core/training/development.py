"""The development split: how good the present weights are, in clicks, on photos never trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fcfi_core import images
from fcfi_core.datasets.samples import Sample
from fcfi_core.evaluation.benchmark import noc
from fcfi_core.model import Model
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol
from fcfi_core.rating import Rating
from fcfi_core.training.photos import IGNORED, Photo

TARGETS = (0.80, 0.85, 0.90)
_MAX_CLICKS = 10


def development_samples(photos: Sequence[Photo], count: int, seed: int = 0) -> list[Sample]:
    """Return up to ``count`` objects of ``photos``: one of each photo, then a second of each, and so on.

    Within a photo larger regions come earlier, more or less (they are drawn by the square root of their
    area), as people cut out objects rather than crumbs.
    """
    random = np.random.default_rng(seed)
    turns: list[list[tuple[Photo, int]]] = []
    for index in random.permutation(len(photos)):
        photo = photos[int(index)]
        weights = np.sqrt(photo.areas)
        order = random.choice(photo.regions, len(photo.regions), replace=False, p=weights / weights.sum())
        for turn, region in enumerate(order):
            if turn == len(turns):
                turns.append([])
            turns[turn].append((photo, int(region)))
    chosen = [entry for turn in turns for entry in turn][:count]
    # Loaded once each: the digest of a photo is then known to all its samples, and to every measurement.
    loaded = {photo.name: images.load(photo.pixels) for photo, _ in chosen}
    return [_sample(photo, loaded[photo.name], region) for photo, region in chosen]


def _sample(photo: Photo, image: images.LoadedImage, region: int) -> Sample:
    ignore = photo.ids == IGNORED
    dataset, _, name = photo.name.partition("/")
    return Sample(dataset, name, region, image, photo.ids == region, ignore if ignore.any() else None)


def clicks_needed(
    network: InteractiveNetwork,
    samples: Sequence[Sample],
    *,
    variant: str,
    protocol: Protocol | None = None,
    device: str = "auto",
    threads: int | None = None,
    rating: Rating | None = None,
) -> dict[str, float]:
    """Return the click metrics of ``network`` on ``samples``, at most 10 clicks an object.

    The names are those of :func:`fcfi_core.evaluation.metrics.evaluate` (``noc@85`` and so on). With a
    ``rating`` the network gives the likeliest of its answers to a first click, as it does in use.
    """
    model = Model.from_network(
        network, variant=variant, protocol=protocol, device=device, threads=threads, rating=rating
    )
    return clicks_with(model, samples)


def clicks_with(model: Model, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the same of a model, by whichever engine it runs."""
    return noc(Predictor(model, memo_bytes=64 * 2**20), samples, TARGETS, _MAX_CLICKS)
