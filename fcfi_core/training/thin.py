"""Drawn thin structures: cracks, wires and twigs, which sets of photographed objects hardly contain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SUPERSAMPLING = 3
"""Lines are drawn this much larger and averaged, which gives widths between whole pixels."""


def draw_thin_structure(
    image: NDArray[np.uint8], random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return ``image`` with a branching line drawn into it, and the line as a target.

    The line wanders, its width changes along the way (1.6 to 8 pixels), and it is darker or lighter
    than its surroundings or has a colour of its own. Now and then the photo gives way to a grainy
    surface, such as asphalt or plaster.

    Args:
        image: (S, S, 3) uint8 RGB.
        random: every choice is drawn from it.

    Returns:
        (S, S, 3) uint8 RGB, and (S, S) uint8 with 1 on the line and 0 elsewhere.
    """
    size = image.shape[0]
    surface = _grain(size, random) if random.random() < 0.4 else image.astype(np.float32)
    cover = _line(size, random)
    target = (cover > 0.5).astype(np.uint8)
    if random.random() < 0.5:
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), random.uniform(0.4, 1.0)), dtype=np.float32)
    alpha = cover[..., None] * random.uniform(0.6, 1.0)
    ink = _ink(surface, random)
    return np.clip(surface + alpha * (ink - surface), 0, 255).astype(np.uint8), target


def _line(size: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return how much of each pixel a branching line covers, (size, size) in [0, 1]."""
    canvas = np.zeros((size * _SUPERSAMPLING,) * 2, np.uint8)
    width = np.exp(random.uniform(np.log(1.6), np.log(8.0)))
    wiggle = random.uniform(0.03, 0.45)
    trunk = _walk(random.uniform(0.1, 0.9, 2), random.uniform(0, 2 * np.pi), wiggle, random)
    paths = [(trunk, width)]
    for _ in range(int(random.integers(0, 4))):
        at = int(random.integers(len(trunk)))
        twig = _walk(trunk[at], random.uniform(0, 2 * np.pi), wiggle, random)[: int(random.integers(8, 40))]
        paths.append((twig, max(width * random.uniform(0.4, 0.9), 1.6)))
    for path, thickness in paths:
        pixels = np.rint(path * canvas.shape[0]).astype(int)
        # Widths change slowly along the path, not from segment to segment.
        waves = 1 + 0.35 * np.sin(np.linspace(0, random.uniform(2, 12), len(pixels)) + random.uniform(0, 6))
        for start, end, wave in zip(pixels[:-1], pixels[1:], waves, strict=False):
            drawn = max(round(thickness * float(wave) * _SUPERSAMPLING), 4)
            cv2.line(canvas, start.tolist(), end.tolist(), 255, drawn)
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32) / np.float32(255)


def _walk(
    start: NDArray[np.float64], heading: float, wiggle: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return the points ``(x, y)`` of a random walk in the unit square, (N, 2); it may leave the square."""
    count = int(random.integers(20, 100))
    headings = heading + np.cumsum(random.normal(0, wiggle, count))
    steps = 0.022 * np.stack((np.cos(headings), np.sin(headings)), axis=1)
    return np.vstack((start, start + np.cumsum(steps, axis=0)))


def _ink(surface: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return what the line looks like at every pixel, (S, S, 3)."""
    kind = random.random()
    if kind < 0.6:
        return surface * random.uniform(0.25, 0.75)
    if kind < 0.75:
        return surface + (255 - surface) * random.uniform(0.3, 0.7)
    colour = random.uniform(0, 255, 3) if random.random() < 0.5 else np.full(3, random.uniform(0, 255))
    return np.asarray(colour + random.normal(0, 8, surface.shape), dtype=np.float32)


def _grain(size: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return a surface with noise of several scales, (size, size, 3)."""
    grey = np.full((size, size), random.uniform(70, 200), np.float32)
    for scale in (1, 2, 5, 40):
        cells = random.normal(0, random.uniform(1, 9), (size // scale + 2,) * 2).astype(np.float32)
        grey += cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
    tint = random.uniform(-14, 14, 3).astype(np.float32)
    return grey[..., None] + tint
