"""Pictures of what happened with one object: the photo, where the mask is wrong, and the clicks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click
from fcfi_core.datasets.samples import Sample
from fcfi_core.evaluation.clicker import BoolMask

MISSED = (38, 110, 235)
EXCESS = (235, 52, 52)
HIT = (60, 200, 110)
_TINT = 0.55
_MARGIN = 0.35  # of the object's box, shown on every side


def picture(sample: Sample, mask: BoolMask, clicks: Sequence[Click], *, side: int = 420) -> bytes:
    """Return a JPEG of the surroundings of the object.

    Blue: missed; red: predicted but wrong; green outline: right. Clicks are numbered disks, green
    for positive and red for negative ones.

    Args:
        sample: photo and truth.
        mask: (H, W) bool, the last mask.
        clicks: in order.
        side: longer side of the picture, pixels.
    """
    ignore = np.zeros_like(sample.truth) if sample.ignore is None else sample.ignore
    shown = sample.pixels.copy()
    _tint(shown, sample.truth & ~mask & ~ignore, MISSED)
    _tint(shown, mask & ~sample.truth & ~ignore, EXCESS)
    top, bottom, left, right = _surroundings(sample.truth | mask, clicks)
    scale = side / max(bottom - top, right - left)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    shown = np.asarray(
        cv2.resize(shown[top:bottom, left:right], size, interpolation=_interpolation(scale)), np.uint8
    )
    hit = cv2.resize(
        (mask & sample.truth)[top:bottom, left:right].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST
    )
    contours, _ = cv2.findContours(hit, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, contours, -1, HIT, 1, cv2.LINE_AA)
    for number, click in enumerate(clicks, start=1):
        _draw_click(shown, number, click, ((click.x + 0.5 - left) * scale, (click.y + 0.5 - top) * scale))
    _, encoded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return encoded.tobytes()


def _tint(pixels: NDArray[np.uint8], where: BoolMask, colour: tuple[int, int, int]) -> None:
    pixels[where] = ((1 - _TINT) * pixels[where] + _TINT * np.array(colour)).astype(np.uint8)


def _surroundings(region: BoolMask, clicks: Sequence[Click]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right (ends exclusive) of the part to show."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    ys = [int(rows[0]), int(rows[-1]), *(click.y for click in clicks)]
    xs = [int(columns[0]), int(columns[-1]), *(click.x for click in clicks)]
    margin = round(_MARGIN * max(max(ys) - min(ys), max(xs) - min(xs))) + 8
    height, width = region.shape
    return (
        max(min(ys) - margin, 0),
        min(max(ys) + margin + 1, height),
        max(min(xs) - margin, 0),
        min(max(xs) + margin + 1, width),
    )


def _interpolation(scale: float) -> int:
    return cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if scale > 3 else cv2.INTER_CUBIC


def _draw_click(shown: NDArray[np.uint8], number: int, click: Click, place: tuple[float, float]) -> None:
    centre = (round(place[0]), round(place[1]))
    cv2.circle(shown, centre, 7, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(shown, centre, 6, (22, 130, 60) if click.positive else (190, 30, 30), -1, cv2.LINE_AA)
    text = str(number)
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.32, 1)
    origin = (centre[0] - width // 2, centre[1] + height // 2)
    cv2.putText(shown, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.32, (255, 255, 255), 1, cv2.LINE_AA)
