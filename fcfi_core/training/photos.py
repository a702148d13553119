"""Training photos in memory: an upright RGB image and an id map each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click
from fcfi_core.datasets.dataset import Dataset
from fcfi_core.datasets.left_out import listed
from fcfi_core.datasets.split import is_held_out
from fcfi_core.errors import DataError, FcfiError

IGNORED = 65535
"""Id of pixels that count neither as object nor as background."""

_SMALLEST_REGION = 40


@dataclass(frozen=True)
class RealClicks:
    """What a person clicked on one region.

    Args:
        begins: whether the first of them was the first there was, with nothing known before it.
        clicks: in order, pixels of the training photo; each agrees with the region.
    """

    begins: bool
    clicks: tuple[Click, ...]


@dataclass(frozen=True)
class Photo:
    """One photo with its regions.

    Attributes:
        name: ``DATASET/PHOTO``, unique.
        pixels: (H, W, 3) uint8 RGB, contiguous.
        ids: (H, W) uint16, contiguous; 0 background, 1..n regions, 65535 ignored.
        regions: ids that are large enough to be a target.
        areas: their pixel counts.
        source: index of the source it came from.
        digest: names the content of the photo's file, see :class:`fcfi_core.images.LoadedImage`; "": unknown.
        clicks: what people clicked on its regions, by id.
    """

    name: str
    pixels: NDArray[np.uint8]
    ids: NDArray[np.uint16]
    regions: NDArray[np.uint16]
    areas: NDArray[np.int64]
    source: int
    digest: str = ""
    clicks: Mapping[int, tuple[RealClicks, ...]] = field(default_factory=dict)


def read_photos(
    dataset: Dataset,
    source: int,
    longest_side: int,
    smallest_region: int = _SMALLEST_REGION,
    *,
    names: Sequence[str] | None = None,
) -> list[Photo]:
    """Return every photo of ``dataset`` that has a usable region, at most ``longest_side`` pixels long.

    Regions of fewer than ``smallest_region`` pixels are no targets. With ``names`` only these photos are
    read, and it is no error if none of them is usable. What cannot be read is counted in the data set's
    ``left_out``.

    Raises:
        DataError: if there is no such photo.
    """
    with ThreadPoolExecutor(2) as pool:
        photos = list(
            pool.map(
                lambda name: _read(dataset, name, source, longest_side, smallest_region),
                dataset.image_names if names is None else names,
            )
        )
    usable = [photo for photo in photos if photo is not None and photo.regions.size]
    if not usable and names is None:
        but = f" (left out: {listed(dataset.left_out)})" if dataset.left_out else ""
        raise DataError(
            f"no mask of {dataset.name} holds a region of at least {smallest_region} pixels{but}; "
            f"{dataset.advice}."
        )
    return usable


def _read(dataset: Dataset, name: str, source: int, longest_side: int, smallest_region: int) -> Photo | None:
    areas = dataset.areas(name)
    if not areas:
        return None
    try:
        image = dataset.read(name)
    except FcfiError as error:
        dataset.left_out.add("photos that cannot be read", str(error))
        return None
    ids = np.zeros(image.pixels.shape[:2], np.uint16)
    # Larger objects first: where annotations overlap, the smaller object lies in front.
    for index, object_id in enumerate(sorted(areas, key=lambda key: (-areas[key], key)), start=1):
        ids[image.mask(object_id)] = index
    if image.ignore is not None:
        ids[image.ignore] = IGNORED
    made = make_photo(f"{dataset.name}/{name}", image.pixels, ids, source, longest_side, smallest_region)
    return replace(made, digest=image.image.digest)


def make_photo(
    name: str,
    pixels: NDArray[np.uint8],
    ids: NDArray[np.uint16],
    source: int,
    longest_side: int,
    smallest_region: int = _SMALLEST_REGION,
) -> Photo:
    """Return a photo, reduced to ``longest_side`` where it is larger; arguments as in :class:`Photo`."""
    height, width = ids.shape
    scale = longest_side / max(height, width)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        ids = np.asarray(cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint16)
    regions, areas = np.unique(ids, return_counts=True)
    usable = (regions != 0) & (regions != IGNORED) & (areas >= smallest_region)
    pixels, ids = np.ascontiguousarray(pixels), np.ascontiguousarray(ids)
    return Photo(name, pixels, ids, regions[usable].astype(np.uint16), areas[usable], source)


def split(photos: Sequence[Photo], share: float) -> tuple[list[Photo], list[Photo]]:
    """Return training photos and development photos."""
    training = [photo for photo in photos if not is_held_out(photo.name, share)]
    development = [photo for photo in photos if is_held_out(photo.name, share)]
    return training, development
