"""Where an edge runs between two frame pixels, the photo's own colours decide.

The network's map is soft at edges, and off by a few of its own pixels. There, each colour channel's mean and
variance are taken inside and outside (weighted by the probability p and by 1 - p, in a small window of the
frame); under two Gaussians the log-ratio of inside to outside is a quadratic in a pixel's colour. Its
coefficients are enlarged, so every pixel of the photo is judged by its own colour and its surroundings'
statistics:

    logit(p) + clip(log-ratio, -4, 4)  >  logit(threshold)

only where p is in doubt and near the edge. This sharpens a mask that goes out; nothing of it goes back
into the network.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.geometry import Frame
from fcfi_core.images import LoadedImage

RADIUS = 4
"""Of the window whose colours are compared, frame pixels."""

REACH = 3
"""How far from the edge of the map a pixel may change sides, frame pixels."""

DOUBT = 0.1
"""Probabilities between this and 1 - this are in doubt."""

VARIANCE = 2e-3
"""Added to every variance (colours 0..1): flat areas are no proof."""

STRONGEST = 4.0
"""Most that colours may add to or take from the logit."""

_CHUNK = 1 << 18
"""Pixels judged at a time."""


def sharpened(image: LoadedImage, frame: Frame, view: Map, threshold: float) -> NDArray[np.bool_]:
    """Return the mask of ``view``, with its edge where the photo's colours change.

    Args:
        image: upright RGB.
        frame: where ``view`` lies in it.
        view: (h, w) float32, probability.
        threshold: the mask is where the probability is above this.

    Returns:
        (H, W) bool.
    """
    mask = frame.above(view, threshold)
    band = _band(view, threshold)
    if not band.any():
        return mask
    ratio = _around(band, image.seen(frame), view)
    squares_and_probability = np.dstack([ratio[..., :3], view])
    rest = np.ascontiguousarray(ratio[..., 3:])
    flat, pixels, width = mask.reshape(-1), image.pixels.reshape(-1, 3), mask.shape[1]
    for y, x in frame.pixels_under(band, _CHUNK):
        known, more = frame.sampled((squares_and_probability, rest), y, x)
        doubtful = np.flatnonzero((known[:, 3] > DOUBT) & (known[:, 3] < 1 - DOUBT))
        known, more, places = known[doubtful], more[doubtful], y[doubtful] * width + x[doubtful]
        squares, probability, linear, constant = known[:, :3], known[:, 3], more[:, :3], more[:, 3]
        colours = pixels[places].astype(np.float32) / np.float32(255)
        votes = (squares * colours + linear) * colours
        log_ratio = votes[:, 0] + votes[:, 1] + votes[:, 2] + constant
        evidence = np.log(probability / (1 - probability)) + np.clip(log_ratio, -STRONGEST, STRONGEST)
        flat[places] = evidence > np.log(threshold / (1 - threshold))
    return mask


def _band(view: Map, threshold: float) -> NDArray[np.bool_]:
    """Return the frame pixels within REACH of the edge that are, or lie beside, doubtful ones."""
    inside = (view > threshold).astype(np.uint8)
    kernel = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    near = cv2.dilate(inside, kernel) != cv2.erode(inside, kernel, borderType=cv2.BORDER_REPLICATE)
    doubtful = ((view > DOUBT) & (view < 1 - DOUBT)).astype(np.uint8)
    beside = cv2.dilate(doubtful, np.ones((3, 3), np.uint8)) > 0
    return np.asarray(near & beside)


def _around(band: NDArray[np.bool_], colours: Map, view: Map) -> Map:
    """Return :func:`_log_ratio` where it is asked for: in the box around ``band``, 0 elsewhere."""
    rows, columns = np.flatnonzero(band.any(axis=1)), np.flatnonzero(band.any(axis=0))
    wide = RADIUS + 1
    window = (
        slice(max(rows[0] - wide, 0), rows[-1] + wide + 1),
        slice(max(columns[0] - wide, 0), columns[-1] + wide + 1),
    )
    found = np.zeros((*view.shape, 7), np.float32)
    found[window] = _log_ratio(colours[window], view[window])
    return found


def _log_ratio(colours: Map, view: Map) -> Map:
    """Return (h, w, 7): per channel the factors of the colour's square and of the colour, and a constant.

    Args:
        colours: (h, w, 3) float32, 0..1.
        view: (h, w) float32, probability.
    """
    mean_in, variance_in = _statistics(colours, view)
    mean_out, variance_out = _statistics(colours, 1 - view)
    squares = 0.5 / variance_out - 0.5 / variance_in
    linear = mean_in / variance_in - mean_out / variance_out
    constant = (
        0.5 * np.log(variance_out / variance_in)
        + 0.5 * mean_out**2 / variance_out
        - 0.5 * mean_in**2 / variance_in
    ).sum(axis=2)
    return np.dstack([squares, linear, constant]).astype(np.float32)


def _statistics(colours: Map, weights: Map) -> tuple[Map, Map]:
    """Return mean and variance of each channel around each pixel, (h, w, 3) float32 each."""

    def blurred(values: Map) -> Map:
        return np.asarray(cv2.boxFilter(values, -1, (2 * RADIUS + 1,) * 2, borderType=cv2.BORDER_REFLECT))

    total = blurred(weights)[..., None] + np.float32(1e-6)
    weighted = colours * weights[..., None]
    mean = blurred(weighted) / total
    variance = blurred(weighted * colours) / total - mean**2
    return mean, np.maximum(variance, 0) + np.float32(VARIANCE)
