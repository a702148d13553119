"""Numbers of a file -> boxes, clicks and masks; what all formats share.

Positions lie in the plane where pixel 0 spans 0..1, as in COCO.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core import masks
from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.left_out import Note, nothing_noted
from fcfi_core.datasets.objects import BoolMask
from fcfi_core.errors import DataError, PromptError
from fcfi_core.masks import coco

FEW_POINTS = "rings of fewer than three points"
NO_NUMBER = "rings with a coordinate that is no number"

_FARTHEST = 1e7


def mask_of_rings(
    rings: Iterable[Any], width: int, height: int, note: Note, scale: tuple[float, float] = (1, 1)
) -> BoolMask:
    """Return the pixels whose centre is inside any of ``rings``, (height, width) bool.

    Args:
        rings: each flat, [x, y, x, y, ...], or (N, 2); those that cannot be drawn are left out.
        note: is told of each of these.
        scale: by which x and y are multiplied.

    Raises:
        DataError: if none can be drawn.
    """
    usable, problems = [], []
    for ring in rings:
        points, problem = _ring(ring)
        if problem:
            problems.append(problem)
        else:
            usable.append(masks.Polygon(points * scale))
    if not usable:
        raise DataError(
            f"no polygon of it can be drawn: {', '.join(dict.fromkeys(problems)) or 'it has none'}."
        )
    for problem in problems:
        note(problem)
    return masks.from_polygons(usable, width, height)


def _ring(values: Any) -> tuple[NDArray[np.float64], str]:
    """Return a ring as (N, 2), or what is wrong with it."""
    try:
        flat = np.asarray(values, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        flat = np.array([np.nan])
    if flat.size < 6:
        return flat, NO_NUMBER if not np.isfinite(flat).all() else FEW_POINTS
    if flat.size % 2 or not (np.abs(flat) <= _FARTHEST).all():
        return flat, NO_NUMBER
    return flat.reshape(-1, 2), ""


def mask_of_segmentation(
    segmentation: Any, width: int, height: int, note: Note, area: Any = None
) -> BoolMask:
    """Return a COCO segmentation (polygons or run-length code) as (height, width) bool.

    Args:
        area: pixels of the object, if the file tells. It decides what whole numbers of a polygon mean: places
            in the plane, as COCO says; or the outermost pixels of the object, as OpenCV's contours do.

    Raises:
        DataError: if it is of neither form, or of another size, or nothing of it can be drawn.
    """
    if isinstance(segmentation, Mapping):
        size = segmentation.get("size")
        if isinstance(size, list | tuple) and list(size) != [height, width]:
            raise DataError(
                f"a COCO segmentation has size {list(size)!r:.60}, its image [{height}, {width}]."
            )
        return coco.decode(segmentation, unfinished=True)
    if not isinstance(segmentation, list | tuple):
        raise DataError(
            "a COCO segmentation is neither a list of polygons [x, y, x, y, ...] nor {'size', 'counts'}."
        )
    if segmentation and all(isinstance(value, int | float) for value in segmentation):
        segmentation = [segmentation]  # a single polygon without the list around it
    try:
        mask = mask_of_rings(segmentation, width, height, note)
        if isinstance(area, int | float) and np.count_nonzero(mask) != area:
            contours = _mask_of_contours(segmentation, width, height)
            mask = contours if np.count_nonzero(contours) == area else mask
        return mask
    except DataError as error:
        raise DataError(f"a COCO segmentation is unusable: {error}") from None


def _mask_of_contours(rings: Iterable[Any], width: int, height: int) -> BoolMask:
    """Return what lies within or on ``rings`` of whole numbers of pixels; nothing if they hold others."""
    found = np.zeros((height, width), np.uint8)
    for ring in rings:
        points, problem = _ring(ring)
        if not problem:
            whole = points.astype(np.int32)
            if (whole != points).any():
                return np.zeros((height, width), np.bool_)
            cv2.fillPoly(found, [whole], (1,))
    return found.view(np.bool_)


def decode_segmentation(segmentation: Any, height: int, width: int) -> BoolMask:
    """Return a COCO segmentation as (H, W) bool; otherwise as :func:`mask_of_segmentation`."""
    return mask_of_segmentation(segmentation, width, height, nothing_noted)


def box_of_edges(x1: float, y1: float, x2: float, y2: float) -> Box:
    """Return the pixels between edges in the plane: 10..20 are the pixels 10 to 19.

    Raises:
        PromptError: if one is no finite number.
    """
    first, far = Click.nearest(min(x1, x2), min(y1, y2)), Click.nearest(max(x1, x2), max(y1, y2))
    return Box(first.x, first.y, max(far.x - 1, first.x), max(far.y - 1, first.y))


def coco_box(values: Any) -> Box:
    """Return COCO's ``[x, y, width, height]`` as a box of pixels.

    Raises:
        PromptError: if it is not four finite numbers.
    """
    try:
        x, y, width, height = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise PromptError(f"box {_short(values)} is not of the form [x, y, width, height].") from None
    try:
        return box_of_edges(x, y, x + max(width, 0), y + max(height, 0))
    except PromptError:
        raise PromptError(f"box {_short(values)} holds what is no number of pixels.") from None


def parse_clicks(values: Any) -> tuple[Click, ...]:
    """Return clicks written as ``[[x, y], [x, y, positive], ...]``, positive true/false or 1/0.

    Raises:
        PromptError: if they are not of this form.
    """
    try:
        return tuple(Click.nearest(x, y, not rest or bool(rest[0])) for x, y, *rest in values)
    except (TypeError, ValueError):
        raise PromptError(f"clicks {_short(values)} are not of the form [[x, y, positive], ...].") from None


def clicks_of_keypoints(flat: Any) -> tuple[Click, ...]:
    """Return the labelled ones of COCO's key points, ``[x, y, v, x, y, v, ...]``, as positive clicks.

    Raises:
        PromptError: if they are not triples of numbers.
    """
    try:
        triples = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        return tuple(Click.nearest(x, y) for x, y, v in triples if v > 0)
    except (TypeError, ValueError):
        raise PromptError(f"keypoints {_short(flat)} are not triples x, y, v.") from None


def whole_number(value: object) -> int | None:
    """Return ``value`` as a whole number if it is one, also as text; None for anything else."""
    if type(value) is int:  # nearly always, and asked for every number of a large file
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if str(value).strip() in (str(number), f"{number}.0") else None


def numbered(labels: Sequence[str]) -> dict[int, str]:
    """Return ``{1: first label, 2: second ...}``, each label once, in order of appearance.

    >>> numbered(["cat", "dog", "cat"])
    {1: 'cat', 2: 'dog'}
    """
    return dict(enumerate(dict.fromkeys(labels), start=1))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
