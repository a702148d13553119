"""Photos as bad cameras, bad light and bad compression make them, and pictures that are no photos.

============  ======================================================================
jpeg          JPEG of a low quality, with its blocks; the number is the quality
blur          out of focus; the number is the standard deviation in pixels
shake         moved while exposed; the number is the length of the streak in pixels
noise         grain of a sensor; the number is its standard deviation in grey levels
night         a dim, bluish, grainy picture; the number is the share of light left
fog           contrast lost to a white veil; the number is the share of the veil
grey          without colour
thermal       brightness alone, inverted, soft and in a palette of false colours
drawing       lines and flat tones, as a coloured pencil leaves them
============  ======================================================================

Objects keep their outlines: the truth of a degraded photo is that of the photo.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import SettingsError

Pixels = NDArray[np.uint8]


def degraded(pixels: Pixels, kind: str, seed: int = 0) -> Pixels:
    """Return the photo as ``kind`` says, (H, W, 3) uint8 RGB.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        kind: a name of the table above, or ``NAME:NUMBER`` for more or less of it.
        seed: of noise; the same seed gives the same noise.

    Raises:
        SettingsError: for an unknown name, or a number that is out of range.
    """
    function, amount = parsed(kind)
    return np.ascontiguousarray(function(pixels, amount, np.random.default_rng(seed)), dtype=np.uint8)


def parsed(kind: str) -> tuple[Callable[[Pixels, float, np.random.Generator], NDArray[np.generic]], float]:
    """Return what ``NAME`` or ``NAME:NUMBER`` does, and how much of it."""
    name, colon, number = kind.partition(":")
    if name not in _KINDS:
        raise SettingsError(f"degradation is {kind!r}; give one of {', '.join(_KINDS)}.")
    function, usual, lowest, highest = _KINDS[name]
    if colon and lowest == highest:
        raise SettingsError(f"degradation is {kind!r}; {name} takes no number.")
    try:
        amount = float(number) if colon else usual
    except ValueError:
        amount = float("nan")
    if not lowest <= amount <= highest:
        raise SettingsError(
            f"degradation is {kind!r}; give {name} a number from {lowest:g} to {highest:g}, "
            f"for example {name}:{usual:g}."
        )
    return function, amount


def _jpeg(pixels: Pixels, quality: float, _: np.random.Generator) -> NDArray[np.generic]:
    packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))[..., ::-1]


def _blur(pixels: Pixels, sigma: float, _: np.random.Generator) -> NDArray[np.generic]:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))


def _shake(pixels: Pixels, length: float, random: np.random.Generator) -> NDArray[np.generic]:
    side = 2 * int(np.ceil(length / 2)) + 1
    angle = random.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    kernel = np.zeros((side, side), np.float32)
    start, end = (np.rint(side // 2 + sign * reach).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT))


def _noise(pixels: Pixels, sigma: float, random: np.random.Generator) -> NDArray[np.generic]:
    return np.clip(pixels + random.normal(0, sigma, pixels.shape), 0, 255)


def _night(pixels: Pixels, share: float, random: np.random.Generator) -> NDArray[np.generic]:
    # Light falls off before the sensor's gamma: halving the light darkens shadows more than lamps.
    light = (pixels / np.float32(255)) ** 2.2 * share * np.array([0.8, 0.95, 1.2], np.float32)
    shot = random.normal(0, 1, pixels.shape).astype(np.float32) * (0.012 + 0.05 * np.sqrt(light))
    return 255 * np.clip(light + shot, 0, 1) ** (1 / 2.2)


def _fog(pixels: Pixels, share: float, _: np.random.Generator) -> NDArray[np.generic]:
    return pixels * (1 - share) + np.float32(225) * share


def _grey(pixels: Pixels, _: float, __: np.random.Generator) -> NDArray[np.generic]:
    return np.repeat(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[..., None], 3, axis=2)


def _thermal(pixels: Pixels, _: float, __: np.random.Generator) -> NDArray[np.generic]:
    soft = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    return np.asarray(cv2.applyColorMap(255 - soft, cv2.COLORMAP_INFERNO))[..., ::-1]


def _drawing(pixels: Pixels, _: float, __: np.random.Generator) -> NDArray[np.generic]:
    flat = np.asarray(cv2.bilateralFilter(pixels, 7, 60, 7)).astype(np.float32)
    tones = np.round(flat / 48) * 48
    grey = cv2.cvtColor(np.clip(flat, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    lines = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 5)
    return np.clip(0.6 * tones + 90, 0, 255) * np.asarray(lines)[..., None]


_KINDS: dict[
    str, tuple[Callable[[Pixels, float, np.random.Generator], NDArray[np.generic]], float, float, float]
] = {
    "jpeg": (_jpeg, 30, 1, 100),
    "blur": (_blur, 2, 0.1, 50),
    "shake": (_shake, 9, 1, 100),
    "noise": (_noise, 20, 0, 200),
    "night": (_night, 0.08, 0.001, 1),
    "fog": (_fog, 0.6, 0, 0.99),
    "grey": (_grey, 0, 0, 0),
    "thermal": (_thermal, 0, 0, 0),
    "drawing": (_drawing, 0, 0, 0),
}
"""By name: what to do, how much of it usually, and the least and the most."""

DEGRADATIONS = tuple(_KINDS)
