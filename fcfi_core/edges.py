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

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map, extremes, sampled
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

_CHUNK = 1 << 14
"""Pixels judged at a time: as many as stay in the processor's cache."""

_AT_ONCE = 1 << 20
"""Frame pixels whose colours are compared at a time: the usual frames at once, traced ones in strips."""

_ROUNDING = 1e-6
"""More than what rounding may move a probability between its neighbours."""

_GREY = np.arange(256, dtype=np.float32) / np.float32(255)


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
    band = _band(view, threshold)
    if not band.any():
        return frame.above(view, threshold)
    # Under the band the edge is found here, once, unless the threshold is so far off that what is not in
    # doubt may lie on either side of it.
    usual = 2 * DOUBT < threshold < 1 - 2 * DOUBT
    mask = frame.above(view, threshold, but=band if usual else None)
    squares_and_probability, rest = _around(band, image.seen(frame), view, _reach(frame))
    flat, samples, width = mask.reshape(-1), image.pixels.reshape(-1), mask.shape[1]
    limit = np.log(threshold / (1 - threshold))
    row_places, column_places = frame.places(view.shape)
    for y, x in frame.pixels_under(band, _CHUNK, cells=_doubtful_cells(view)):
        down, across = row_places.take(y), column_places.take(x)
        y *= width
        y += x
        known = sampled(squares_and_probability, down, across)
        if usual:
            flat[y] = known[3] > threshold
        doubtful = np.flatnonzero((known[3] > DOUBT) & (known[3] < 1 - DOUBT))
        *factors, probability = (channel.take(doubtful) for channel in known)
        *others, constant = sampled(rest, down.take(doubtful), across.take(doubtful))
        places = y.take(doubtful)
        log_ratio, at = np.zeros_like(probability), 3 * places
        for square, linear in zip(factors, others, strict=True):
            colour = _GREY.take(samples.take(at))
            log_ratio += (square * colour + linear) * colour
            at += 1
        log_ratio += constant
        evidence = np.log(probability / (1 - probability)) + np.clip(log_ratio, -STRONGEST, STRONGEST)
        flat[places] = evidence > limit
    return mask


def _doubtful_cells(view: Map) -> NDArray[np.bool_]:
    """Return the squares between four pixels of the frame in which the enlarged map may be in doubt."""
    low, high = extremes(view)
    return (high > DOUBT - _ROUNDING) & (low < 1 - DOUBT + _ROUNDING)


def _band(view: Map, threshold: float) -> NDArray[np.bool_]:
    """Return the frame pixels within REACH of the edge that are, or lie beside, doubtful ones."""
    inside = (view > threshold).astype(np.uint8)
    kernel = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    near = cv2.dilate(inside, kernel) != cv2.erode(inside, kernel, borderType=cv2.BORDER_REPLICATE)
    doubtful = ((view > DOUBT) & (view < 1 - DOUBT)).astype(np.uint8)
    beside = cv2.dilate(doubtful, np.ones((3, 3), np.uint8)) > 0
    return np.asarray(near & beside)


def _reach(frame: Frame) -> int:
    """Return how many frame pixels from that under a pixel of the image lie those it is sampled from."""
    enlarged = max(frame.height / frame.region.height, frame.width / frame.region.width)
    return int(0.5 + 0.5 * enlarged) + 1


def _around(band: NDArray[np.bool_], colours: Map, view: Map, reach: int) -> tuple[Map, Map]:
    """Return :func:`_log_ratio` within ``reach`` of ``band``, 0 elsewhere.

    Returns:
        (h, w, 4) float32: factors of the colours' squares, and ``view``; the same: factors of the colours,
        and the constant.
    """
    columns = np.flatnonzero(band.any(axis=0))
    kernel = np.ones((2 * reach + 1,) * 2, np.uint8)
    squares, rest = np.zeros((2, *view.shape, 4), np.float32)
    squares[..., 3] = view
    for first, last, wide in _strips(band, reach):
        window = (
            slice(max(first - wide, 0), last + wide + 1),
            slice(max(columns[0] - wide, 0), columns[-1] + wide + 1),
        )
        marked = band[window].astype(np.uint8)
        marked[: first - window[0].start] = 0
        marked[last + 1 - window[0].start :] = 0
        wanted = cv2.dilate(marked, kernel) > 0
        found = _log_ratio(np.ascontiguousarray(colours[window]), np.ascontiguousarray(view[window]), wanted)
        squares[window][wanted, :3], rest[window][wanted, :3], rest[window][wanted, 3] = found
    return squares, rest


def _strips(band: NDArray[np.bool_], reach: int) -> Iterator[tuple[int, int, int]]:
    """Yield first and last rows of strips that hold all of ``band``, and what is seen around each."""
    rows = np.flatnonzero(band.any(axis=1))
    if band.size <= _AT_ONCE:
        yield int(rows[0]), int(rows[-1]), RADIUS + 1
        return
    height = max(1, _AT_ONCE // (4 * band.shape[1]))
    for start in range(int(rows[0]), int(rows[-1]) + 1, height):
        stop = min(start + height, int(rows[-1]) + 1)
        if band[start:stop].any():
            yield start, stop - 1, RADIUS + reach


def _log_ratio(colours: Map, view: Map, wanted: NDArray[np.bool_]) -> tuple[Map, Map, Map]:
    """Return per channel the factors of the colour's square and of the colour, (N, 3) each, and a constant.

    Args:
        colours: (h, w, 3) float32, 0..1.
        view: (h, w) float32, probability.
        wanted: (h, w) bool, N pixels.
    """
    at = np.flatnonzero(wanted)
    mean_in, variance_in = _statistics(colours, view, at)
    mean_out, variance_out = _statistics(colours, 1 - view, at)
    squares = 0.5 / variance_out - 0.5 / variance_in
    linear = mean_in / variance_in - mean_out / variance_out
    constant = (
        0.5 * np.log(variance_out / variance_in)
        + 0.5 * mean_out**2 / variance_out
        - 0.5 * mean_in**2 / variance_in
    ).sum(axis=1)
    return squares, linear, constant


def _statistics(colours: Map, weights: Map, at: NDArray[np.intp]) -> tuple[Map, Map]:
    """Return mean and variance of each channel around the pixels ``at``, (N, 3) float32 each."""

    def blurred(values: Map) -> Map:
        around = cv2.boxFilter(values, -1, (2 * RADIUS + 1,) * 2, borderType=cv2.BORDER_REFLECT)
        return np.asarray(around.reshape(weights.size, -1).take(at, axis=0), np.float32)

    total = blurred(weights) + np.float32(1e-6)
    weighted = colours * cv2.merge((weights,) * 3)
    mean = blurred(weighted) / total
    variance = blurred(weighted * colours) / total - mean**2
    return mean, np.maximum(variance, 0) + np.float32(VARIANCE)
