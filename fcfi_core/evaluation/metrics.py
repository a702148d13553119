"""How good are masks, and how many clicks did they take?

Conventions
-----------
* Masks are ``(H, W) bool`` at the size of the upright original; ``ignore`` marks pixels that count
  neither for nor against. IoU, boundary IoU are shares in 0..1, surface distances are pixels.
* A *series* is the IoU of one object after click 1, 2, ...: it ends early when the annotator
  stopped (nothing left to correct, or the highest target reached). The value then stays: whoever
  stops clicking keeps the mask. Several series form a table ``(objects, clicks) float64``
  (:func:`table`), on which the click metrics work. A row of NaN, an object without a pixel that
  counts, enters none of them.
* Targets are shares (0.85, 0.90), names are percent (``noc@85``).

Click metrics
-------------
=========  ===============================================================================
noc@t      clicks until IoU >= t first holds, the limit if it never does; mean over objects
nof@t      objects whose noc@t equals the limit (so one that arrives with the very last
           click counts too: the convention of the literature, ">= 20 @ t")
missed@t   objects that never reached t
iou@k      mean IoU after k clicks; assd@k likewise
biou@k     boundary IoU, the band 2 % of the diagonal wide; biou2px@k: 2 pixels wide
=========  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.errors import DataError

BoolMask = NDArray[np.bool_]
Table = NDArray[np.float64]

TARGETS = (0.80, 0.85, 0.90, 0.95)
BAND = 0.02  # width of the boundary band, as a share of the image diagonal
NARROW = 2  # width of the narrow boundary band, pixels


def validate(prediction: BoolMask, truth: BoolMask, ignore: BoolMask | None = None) -> None:
    """Raise DataError unless the masks are two-dimensional, boolean and of one size."""
    for name, mask in (("prediction", prediction), ("truth", truth), ("ignore", ignore)):
        if mask is None:
            continue
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise DataError(f"{name} is {mask.dtype} of shape {mask.shape}; give a (H, W) bool mask.")
        if mask.shape != truth.shape:
            raise DataError(
                f"{name} has shape {mask.shape}, the truth {truth.shape}; give masks of one size."
            )


def iou(prediction: BoolMask, truth: BoolMask, ignore: BoolMask | None = None) -> float:
    """Return the intersection over union of two masks; NaN if both are empty.

    >>> a = np.array([[True, True, False]]); b = np.array([[False, True, True]])
    >>> round(iou(a, b), 3)
    0.333
    """
    validate(prediction, truth, ignore)
    both, either = prediction & truth, prediction | truth
    if ignore is not None:
        both, either = both & ~ignore, either & ~ignore
    union = int(np.count_nonzero(either))
    return int(np.count_nonzero(both)) / union if union else float("nan")


def boundary_iou(
    prediction: BoolMask,
    truth: BoolMask,
    ignore: BoolMask | None = None,
    *,
    official: bool = False,
    pixels: int | None = None,
) -> float:
    """Return the IoU of the two boundary bands (each mask minus its erosion by 2 % of the diagonal).

    The image border counts as boundary. Ignored pixels are set to background in both masks.

    Args:
        official: treat ignored pixels as the official evaluation does: they stay in the prediction,
            and enter the truth as the number 255, which the erosion then mixes with 0 and 1.
        pixels: width of the band instead of 2 % of the diagonal.
    """
    validate(prediction, truth, ignore)
    if pixels is None:
        pixels = max(1, round(BAND * float(np.hypot(*truth.shape))))
    if ignore is None or not ignore.any():
        return iou(_band(prediction, pixels).astype(np.bool_), _band(truth, pixels).astype(np.bool_))
    if not official:
        return boundary_iou(prediction & ~ignore, truth & ~ignore, pixels=pixels)
    truth_band = _band(np.where(ignore, 255, truth), pixels)
    return iou(_band(prediction, pixels).astype(np.bool_), truth_band == 1, truth_band == 255)


def _band(mask: NDArray[np.generic], width: int) -> NDArray[np.uint8]:
    """Return mask minus its erosion, (H, W) uint8; a truth with the value 255 is eroded as numbers."""
    padded = np.pad(mask.astype(np.uint8), 1)
    # width erosions with 3 x 3 are one with a square, which OpenCV separates: much cheaper.
    eroded = cv2.erode(padded, np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    return np.subtract(padded, eroded, dtype=np.uint8)[1:-1, 1:-1]


def surface_distance(prediction: BoolMask, truth: BoolMask, ignore: BoolMask | None = None) -> float:
    """Return the average symmetric distance of the two outer contours, in pixels (ASSD).

    Contours are one pixel wide; holes have none. Two empty masks are 0 apart; an empty and a filled
    one are as far apart as can be: the image diagonal. Ignored pixels are set to background in both
    masks.
    """
    validate(prediction, truth, ignore)
    if ignore is not None:
        prediction, truth = prediction & ~ignore, truth & ~ignore
    if not prediction.any() or not truth.any():
        return 0.0 if prediction.any() == truth.any() else float(np.hypot(*truth.shape))
    ours, theirs = _contour(prediction), _contour(truth)
    total = _distance_to(theirs)[ours].sum() + _distance_to(ours)[theirs].sum()
    return float(total / (np.count_nonzero(ours) + np.count_nonzero(theirs)))


def contour_accuracy(prediction: BoolMask, truth: BoolMask, tolerance: float = 0.008) -> float:
    """Return F, how well two outlines agree (Perazzi et al., A benchmark dataset for VOS, CVPR 2016).

    The harmonic mean of the share of the prediction's outline that lies near the truth's, and the reverse.
    Two empty masks agree (1), an empty and a filled one do not (0).

    Args:
        tolerance: what counts as near, as a share of the image's diagonal.
    """
    validate(prediction, truth)
    ours, theirs = _edges(prediction), _edges(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    reach = int(np.ceil(tolerance * float(np.hypot(*truth.shape))))
    near = [
        cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
        for edges in (ours, theirs)
    ]
    precision, recall = near[1][ours].mean(), near[0][theirs].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _edges(mask: BoolMask) -> BoolMask:
    """Return the pixels that differ from the next one to the right, below, or both, (H, W) bool."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    found: BoolMask = (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])
    return found


def _contour(mask: BoolMask) -> BoolMask:
    """Return the pixels of the outer contours, (H, W) bool."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(drawn, contours, -1, 1, 1)
    return drawn.astype(np.bool_)


def _distance_to(contour: BoolMask) -> NDArray[np.float64]:
    """Return the exact distance of every pixel to the contour, (H, W) float64."""
    distance = cv2.distanceTransform((~contour).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances are square roots of integers: rounding the squares undoes OpenCV's float32.
    exact: NDArray[np.float64] = np.sqrt(np.rint(np.square(distance, dtype=np.float64)))
    return exact


def table(series: Iterable[Sequence[float]], max_clicks: int) -> Table:
    """Return series of possibly different lengths as one (objects, max_clicks) float64 array.

    A series that ended early keeps its last value; an empty one (nothing to click on) is NaN.

    >>> table([[0.5, 0.75], [0.25, 0.5, 1.0]], 3)
    array([[0.5 , 0.75, 0.75],
           [0.25, 0.5 , 1.  ]])
    """
    rows = [list(row)[:max_clicks] for row in series]
    padded = [row + [row[-1] if row else float("nan")] * (max_clicks - len(row)) for row in rows]
    return np.array(padded, np.float64).reshape(len(rows), max_clicks)


def known(ious: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the rows of a table that hold a value: the objects with something to click on."""
    values = np.asarray(ious)
    return values[~np.isnan(values).all(axis=1)]


def clicks_to(ious: NDArray[np.floating], target: float) -> NDArray[np.int64]:
    """Return for every object the first click (1-based) with IoU >= ``target``, else the limit.

    Args:
        ious: (objects, clicks); the number of columns is the limit.
    """
    reached = np.asarray(ious) >= target
    first: NDArray[np.int64] = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, reached.shape[1])
    return first


def noc(ious: NDArray[np.floating], target: float) -> float:
    """Return the mean number of clicks to reach ``target``; NaN without known objects.

    >>> noc(np.array([[0.5, 0.9, 0.9], [0.2, 0.3, 0.4]]), 0.85)
    2.5
    """
    return _mean(clicks_to(known(ious), target).astype(np.float64))


def nof(ious: NDArray[np.floating], target: float) -> int:
    """Return how many objects needed the limit of clicks (or more) to reach ``target``."""
    ious = known(ious)
    return int(np.count_nonzero(clicks_to(ious, target) == ious.shape[1]))


def missed(ious: NDArray[np.floating], target: float) -> int:
    """Return how many objects never reached ``target``."""
    return int(np.count_nonzero(~(known(ious) >= target).any(axis=1)))


def mean_at(values: NDArray[np.floating], click: int) -> float:
    """Return the mean over objects of the value after ``click`` clicks (1-based); NaN without objects."""
    return _mean(np.asarray(values)[:, click - 1].astype(np.float64))


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def evaluate(
    ious: Table,
    bious: Table | None = None,
    assds: Table | None = None,
    *,
    narrow_bious: Table | None = None,
    targets: Sequence[float] = TARGETS,
) -> dict[str, float]:
    """Return every click metric by name, in reading order.

    Args:
        ious: (objects, clicks) table of IoU; ``bious``, ``narrow_bious`` and ``assds``
            likewise, where measured.
        targets: IoU values for noc, nof and missed.

    >>> list(evaluate(np.array([[0.5, 0.95]]), targets=(0.9,)))
    ['noc@90', 'nof@90', 'missed@90', 'iou@1', 'iou@2']
    """
    result: dict[str, float] = {}
    names = [(target, f"{100 * target:g}") for target in targets]
    result |= {f"noc@{name}": noc(ious, target) for target, name in names}
    result |= {f"nof@{name}": nof(ious, target) for target, name in names}
    result |= {f"missed@{name}": missed(ious, target) for target, name in names}
    for metric, values in (
        ("iou", ious),
        ("biou", bious),
        ("biou2px", narrow_bious),
        ("assd", assds),
    ):
        if values is not None:
            result |= {f"{metric}@{k}": mean_at(values, k) for k in range(1, values.shape[1] + 1)}
    return result
