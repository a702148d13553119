"""Random crops with a target: what the network sees of a photo during training.

A crop is drawn by its index alone: the same seed and index give the same crop, whatever was drawn
before, so a resumed run continues exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.evaluation.degradations import degraded
from fcfi_core.training.configuration import SamplingConfiguration, SourceConfiguration
from fcfi_core.training.photos import IGNORED, Photo, RealClicks
from fcfi_core.training.thin import draw_thin_structure

UNKNOWN = 255
"""Value of target pixels that do not count."""

_SMALLEST_TARGET = 0.0008
_SMALLEST_SIDE = 96
"""Photo pixels that a crop around something small shows at least."""
_TRIES = 8
_TOGETHER = 1
"""Keeps the random numbers of views with several targets apart from those of single crops."""
_WHOLE = 0.7
"""Share of these views that show the whole photo."""
_WORST = {
    "jpeg": (50, 6),
    "blur": (0.7, 2.5),
    "shake": (3, 14),
    "noise": (6, 40),
    "night": (0.4, 0.03),
    "fog": (0.3, 0.75),
    "grey": (1, 1),
    "thermal": (1, 1),
    "drawing": (1, 1),
}
"""How much of each degradation a crop gets, from least to worst."""
_TOUCHING = 9
"""Regions this near one another, less one and halved, are neighbours: outlines leave a few pixels free."""


@dataclass(frozen=True)
class Crop:
    """A square crop with one target.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        target: (S, S) uint8, 1 object, 0 background, 255 unknown.
        clicks: what a person clicked on this target, ``(y, x, positive)`` in order.
        begins: whether the first of them was the first there was.
        exact: whether the target's outline is right to the pixel.
    """

    image: NDArray[np.uint8]
    target: NDArray[np.uint8]
    clicks: tuple[tuple[int, int, bool], ...] = ()
    begins: bool = False
    exact: bool = False


class CropSampler:
    """Draws crops from photos.

    Args:
        photos: training photos.
        sources: the configuration's sources, indexed by ``Photo.source``.
        sampling: probabilities.
        seed: of the whole run.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        sources: Sequence[SourceConfiguration],
        sampling: SamplingConfiguration,
        seed: int,
    ) -> None:
        self._photos = photos
        self._sources = sources
        self._sampling = sampling
        self._seed = seed
        counts = np.bincount([photo.source for photo in photos], minlength=len(sources))
        self._weights = np.array([sources[photo.source].weight / counts[photo.source] for photo in photos])
        self._cumulated: dict[int, NDArray[np.float64]] = {}

    def draw(self, index: int, size: int) -> tuple[Crop, np.random.Generator]:
        """Return crop ``index`` at ``size`` x ``size`` pixels, and a generator for what follows it."""
        random = np.random.default_rng((self._seed, index))
        for attempt in range(_TRIES):
            photo = self._choose(random, size)
            target, region = self._target(photo, random)
            rows, columns = self._window(target, random, whole=attempt == _TRIES - 1)
            crop = _cut(photo.pixels, target, rows, columns, size)
            crop = replace(crop, exact=self._sources[photo.source].exact)
            crop = _with_clicks(crop, photo.clicks.get(region, ()), rows, columns, random)
            choice = random.random()
            if choice < self._sampling.paste:
                crop = self._paste(crop, random)
            elif choice < self._sampling.paste + self._sampling.thin:
                crop = Crop(*draw_thin_structure(crop.image, random), exact=True)
            if (crop.target == 1).mean() >= _SMALLEST_TARGET:
                break
        crop = _augment(crop, random)
        if random.random() < self._sampling.degraded:
            crop = replace(crop, image=_degraded(crop.image, random))
        return crop, random

    def draw_together(
        self, index: int, size: int, count: int
    ) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]], np.random.Generator]:
        """Return one view of a photo as a first look sees it, several targets in it, and a generator.

        Args:
            index: of the draw; the same seed and index give the same.
            size: of the view and the targets, both sides, pixels.
            count: of the targets; a photo of few regions repeats them.
        """
        random = np.random.default_rng((self._seed, _TOGETHER, index))
        while True:
            photo = self._choose(random, size)
            height, width = photo.ids.shape
            shares = (1.0, 1.0) if random.random() < _WHOLE else tuple(random.uniform(0.45, 1, 2))
            rows, columns = (
                _span(random.uniform(share / 2, 1 - share / 2) * limit, share * limit, limit)
                for share, limit in zip(shares, (height, width), strict=True)
            )
            crops = []
            for _ in range(_TRIES):
                crop = _cut(photo.pixels, self._target(photo, random)[0], rows, columns, size)
                if (crop.target == 1).mean() >= _SMALLEST_TARGET:
                    crops.append(crop)
                if len(crops) == count:
                    break
            if crops:
                break
        step = -1 if random.random() < 0.5 else 1
        targets = [np.ascontiguousarray(crops[turn % len(crops)].target[:, ::step]) for turn in range(count)]
        return np.ascontiguousarray(crops[0].image[:, ::step]), targets, random

    def _choose(self, random: np.random.Generator, size: int) -> Photo:
        if size not in self._cumulated:
            fitting = np.array([self._sources[photo.source].fits(size) for photo in self._photos])
            weights = self._weights * (fitting if fitting.any() else 1)
            self._cumulated[size] = np.cumsum(weights / weights.sum())
        index = np.searchsorted(self._cumulated[size], random.random(), side="right")
        return self._photos[min(int(index), len(self._photos) - 1)]

    def _target(self, photo: Photo, random: np.random.Generator) -> tuple[NDArray[np.uint8], int]:
        """Return a target of the photo's size (one region, a few, or all), and its id; 0 unless it is one."""
        region = 0
        if random.random() >= self._sources[photo.source].parts:
            chosen = np.isin(photo.ids, photo.regions)
        else:
            # Half the draws favour large regions, so that a photo with many crumbs is not only crumbs.
            even = random.random() < 0.5
            weights = None if even else np.sqrt(photo.areas) / np.sqrt(photo.areas).sum()
            count = 2 if photo.regions.size > 1 and random.random() < self._sampling.union else 1
            regions = random.choice(photo.regions, count, replace=False, p=weights)
            if count == 2 and random.random() < self._sampling.neighbours:
                regions = _with_neighbours(photo, int(regions[0]), random)
            region = int(regions[0]) if len(regions) == 1 else 0
            chosen = np.isin(photo.ids, regions)
        target = chosen.astype(np.uint8)
        target[photo.ids == IGNORED] = UNKNOWN
        return target, region

    def _window(
        self, target: NDArray[np.uint8], random: np.random.Generator, *, whole: bool
    ) -> tuple[slice, slice]:
        """Return the rows and columns to crop."""
        height, width = target.shape
        if whole:
            return slice(0, height), slice(0, width)
        rows, columns = np.flatnonzero((target == 1).any(1)), np.flatnonzero((target == 1).any(0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        middle = np.array([top + bottom, left + right]) / 2
        photo = np.array([height, width], dtype=float)
        least = min(_SMALLEST_SIDE, height, width)
        undistorted = random.random() < self._sampling.undistorted
        choice = random.random()
        if choice < self._sampling.object_crop:
            ratio = random.uniform(1.15, 2.6)
            sides = np.array([bottom - top, right - left]) * ratio
            # The inference frame follows the object's box; a squarer crop distorts it less.
            sides = np.maximum(sides, sides.max() * random.uniform(0.45, 1.0))
            sides = np.maximum(sides, least)
            centre = middle + random.uniform(-0.12, 0.12, 2) * sides
        elif choice < self._sampling.object_crop + self._sampling.whole_image:
            sides, centre = photo, middle if undistorted else photo / 2
        else:
            around_click = choice < sum(
                (self._sampling.object_crop, self._sampling.whole_image, self._sampling.click_crop)
            )
            row = random.choice(rows)
            centre = np.array([row, random.choice(np.flatnonzero(target[row] == 1))], dtype=float)
            if around_click:
                sides = np.maximum(photo * np.exp(random.uniform(np.log(0.2), np.log(0.6))), least)
                centre += random.uniform(-0.05, 0.05, 2) * sides
            else:
                sides = photo * random.uniform(0.35, 1.0)
                centre += random.uniform(-0.4, 0.4, 2) * sides
        if undistorted:
            sides = np.full(2, min(sides.max(), height, width))
            centre = np.clip(centre, sides / 2, photo - sides / 2)
        return _span(centre[0], sides[0], height), _span(centre[1], sides[1], width)

    def _paste(self, crop: Crop, random: np.random.Generator) -> Crop:
        """Return ``crop`` with an object of another photo in it, as the target or in front of it."""
        donor = self._choose(random, crop.target.shape[0])
        region = random.choice(donor.regions)
        mask = (donor.ids == region).astype(np.uint8)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        size = crop.target.shape[0]
        scale = size * random.uniform(0.2, 0.7) / max(box[0].stop - box[0].start, box[1].stop - box[1].start)
        shape = (
            max(round((box[1].stop - box[1].start) * scale), 8),
            max(round((box[0].stop - box[0].start) * scale), 8),
        )
        resized = cv2.resize(donor.pixels[box], shape, interpolation=cv2.INTER_AREA)
        pixels = _recoloured(np.asarray(resized, dtype=np.uint8), random)
        alpha = cv2.resize(mask[box].astype(np.float32), shape, interpolation=cv2.INTER_LINEAR)
        if random.random() < 0.5:
            pixels, alpha = pixels[:, ::-1], alpha[:, ::-1]
        image, target = crop.image.copy(), crop.target.copy()
        top = int(random.integers(-shape[1] // 4, max(size - 3 * shape[1] // 4, 1)))
        left = int(random.integers(-shape[0] // 4, max(size - 3 * shape[0] // 4, 1)))
        inner = slice(max(top, 0), min(top + shape[1], size)), slice(max(left, 0), min(left + shape[0], size))
        source = (
            slice(inner[0].start - top, inner[0].stop - top),
            slice(inner[1].start - left, inner[1].stop - left),
        )
        cover = alpha[source]
        if random.random() < 0.5:
            _shade(image, inner, cover, random)
        blend = cover[..., None] * pixels[source] + (1 - cover[..., None]) * image[inner]
        image[inner] = blend.astype(np.uint8)
        exact = self._sources[donor.source].exact
        if random.random() < 0.7:
            target[:] = 0
            target[inner][cover > 0.5] = 1
        else:
            target[inner][cover > 0.5] = 0
            exact &= crop.exact
        return Crop(image, target, exact=exact)


def _with_neighbours(photo: Photo, region: int, random: np.random.Generator) -> NDArray[np.uint16]:
    """Return ``region`` and one to three regions that touch it or one another, as far as there are any."""
    regions = [region]
    for _ in range(int(random.integers(1, 4))):
        covered = np.isin(photo.ids, regions)
        reached = cv2.dilate(covered.astype(np.uint8), np.ones((_TOUCHING, _TOUCHING), np.uint8)) > 0
        touched = np.setdiff1d(np.intersect1d(photo.ids[reached & ~covered], photo.regions), regions)
        if not touched.size:
            break
        regions.append(int(random.choice(touched)))
    return np.array(regions, np.uint16)


def _shade(
    image: NDArray[np.uint8],
    inner: tuple[slice, slice],
    cover: NDArray[np.float32],
    random: np.random.Generator,
) -> None:
    """Darken the surroundings of a pasted object, like a soft shadow."""
    sigma = max(cover.shape) * random.uniform(0.03, 0.12)
    shadow = cv2.GaussianBlur(cover, (0, 0), sigma) * random.uniform(0.2, 0.6)
    image[inner] = (image[inner] * (1 - shadow[..., None])).astype(np.uint8)


def _span(centre: float, side: float, limit: int) -> slice:
    start = int(np.clip(round(centre - side / 2), 0, max(limit - 16, 0)))
    stop = int(np.clip(round(centre + side / 2), start + min(16, limit), limit))
    return slice(start, stop)


def _cut(
    pixels: NDArray[np.uint8], target: NDArray[np.uint8], rows: slice, columns: slice, size: int
) -> Crop:
    window, mask = pixels[rows, columns], target[rows, columns]
    shrinking = max(window.shape[:2]) > size
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    image = cv2.resize(window, (size, size), interpolation=interpolation)
    # Averaging the object and thresholding keeps thin parts that nearest-neighbour would drop.
    share = cv2.resize((mask == 1).astype(np.float32), (size, size), interpolation=interpolation)
    unknown = cv2.resize((mask == UNKNOWN).astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
    result = (share > 0.5).astype(np.uint8)
    result[unknown > 0] = UNKNOWN
    return Crop(np.asarray(image, dtype=np.uint8), result)


def _with_clicks(
    crop: Crop,
    made: Sequence[RealClicks],
    rows: slice,
    columns: slice,
    random: np.random.Generator,
) -> Crop:
    """Return ``crop`` with what one of the people who clicked on its target did within it."""
    if not made:
        return crop
    person = made[int(random.integers(len(made)))]
    size = crop.target.shape[0]
    height, width = rows.stop - rows.start, columns.stop - columns.start
    seen = [
        (
            int((click.y - rows.start + 0.5) * size / height),
            int((click.x - columns.start + 0.5) * size / width),
            click.positive,
        )
        for click in person.clicks
        if rows.start <= click.y < rows.stop and columns.start <= click.x < columns.stop
    ]
    first = person.clicks[0]
    begins = rows.start <= first.y < rows.stop and columns.start <= first.x < columns.stop
    return replace(crop, clicks=tuple(seen), begins=person.begins and begins)


def _recoloured(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``image`` with brightness, contrast and channel shifts."""
    gain = 1 + random.uniform(-0.25, 0.4)
    shift = random.uniform(-40, 40) + random.uniform(-12, 12, 3)
    return np.clip(image.astype(np.float32) * gain + shift + 128 * (1 - gain) * 0.5, 0, 255).astype(np.uint8)


def _degraded(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``image`` worsened in one way, from hardly to badly."""
    name = random.choice(list(_WORST))
    mild, bad = _WORST[name]
    badness = random.random()
    amount = mild ** (1 - badness) * bad**badness
    kind = f"{name}:{amount:g}" if mild != bad else str(name)
    return degraded(image, kind, int(random.integers(2**31)))


def _augment(crop: Crop, random: np.random.Generator) -> Crop:
    image, target, clicks = crop.image, crop.target, crop.clicks
    last = target.shape[0] - 1
    if random.random() < 0.5:
        image, target = image[:, ::-1], target[:, ::-1]
        clicks = tuple((y, last - x, positive) for y, x, positive in clicks)
    if random.random() < 0.05:
        image, target = image[::-1], target[::-1]
        clicks = tuple((last - y, x, positive) for y, x, positive in clicks)
    if random.random() < 0.7:
        image = _recoloured(image, random)
    if random.random() < 0.06:
        image = np.repeat(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if random.random() < 0.1:
        blurred = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), random.uniform(0.5, 1.6))
        image = np.asarray(blurred, dtype=np.uint8)
    if random.random() < 0.1:
        noise = random.normal(0, random.uniform(3, 12), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    image = np.ascontiguousarray(image, dtype=np.uint8)
    return Crop(image, np.ascontiguousarray(target), clicks, crop.begins, crop.exact)
