"""Photos of the development split that also lie, nearly the same, among the training photos.

    python benchmarks/near_duplicates.py CONFIG.toml

Each photo gets a perceptual hash: the signs of the 64 lowest frequencies of its brightness, also of its
mirror image. Pairs of few different bits are compared as small pictures; what correlates strongly is told.
A development figure is only worth something if the list is short.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.datasets.opening import open_dataset
from fcfi_core.datasets.split import is_held_out
from fcfi_core.training.configuration_file import load_configuration

_SIDE = 32


def small(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the brightness of a photo at 32 x 32, float32."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)


def hashed(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the 63 signs of the lowest frequencies, without the mean, against their median."""
    low = cv2.dct(picture)[:8, :8].ravel()[1:]
    return np.asarray(low > np.median(low))


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the correlation of two small pictures."""
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-6))


def photos(configuration: Path) -> Iterator[tuple[str, bool, NDArray[np.float32]]]:
    """Yield name, whether it is kept out of training, and the small picture, of all sources' photos."""
    settings = load_configuration(configuration)
    for source in settings.sources:
        dataset = open_dataset(source.path, source.images)
        for name in dataset.image_names:
            full = f"{dataset.name}/{name}"
            yield full, is_held_out(full, settings.development_share), small(dataset.read(name).pixels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("configuration", type=Path, help="CONFIG.toml of a training run")
    parser.add_argument("--bits", type=int, default=12, help="of 63 that may differ (default: 12)")
    parser.add_argument("--correlation", type=float, default=0.93, help="of the pictures (default: 0.93)")
    arguments = parser.parse_args()
    seen = list(photos(arguments.configuration))
    training = [(name, picture) for name, kept, picture in seen if not kept]
    development = [(name, picture) for name, kept, picture in seen if kept]
    hashes = np.array([hashed(picture) for _, picture in training])
    found = set()
    for name, picture in development:
        for view in (picture, np.ascontiguousarray(picture[:, ::-1])):
            for index in np.flatnonzero((hashes != hashed(view)).sum(axis=1) <= arguments.bits):
                other, likeness = training[index][0], correlation(view, training[index][1])
                if likeness >= arguments.correlation:
                    found.add(name)
                    print(f"{name}  {other}  {likeness:.3f}", flush=True)
    print(f"{len(found)} of {len(development)} development photos have a likeness in {len(training)} others")


if __name__ == "__main__":
    main()
