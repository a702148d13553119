"""In which order the clicks of two lists were made.

CVAT sends left and right clicks as two lists, each in click order; how they alternated is lost. The
network is fed its previous answer with every click, so the order matters, and no worker may remember
it: the same request must give the same mask wherever it lands.

:func:`replay` therefore merges the lists by what an annotator does: click where the present mask is
most wrong. Before each step it looks at the head of both lists, and takes the click that lies deeper on the
wrong side of the mask's edge: a left click far outside the mask, or a right click far inside, must have come
next. Ties go to the left click. The comparison with other orders is recorded in
``docs/decisions/0007-cvat-click-order.md``.
"""

from __future__ import annotations

from collections import deque

from cvat_function.request import Prompts
from cvat_function.response import Found
from cvat_function.settings import Settings
from fcfi_core.clicks import Click
from fcfi_core.images import LoadedImage
from fcfi_core.masks.cleaning import clean
from fcfi_core.predictor import Predictor
from fcfi_core.results import Result
from fcfi_core.session import Session

MOST = 50
BLOCK = 25


def segment(predictor: Predictor, image: LoadedImage, prompts: Prompts, settings: Settings) -> Found:
    """Return the mask that ``prompts`` ask for; a function of image and prompts alone."""
    session = predictor.open(image, box=prompts.box)
    result = replay(session, prompts.positive, prompts.negative)
    mask = result.mask
    if settings.min_area or settings.max_hole:
        mask = clean(mask, keep=session.clicks, min_area=settings.min_area, max_hole=settings.max_hole)
    return Found(mask, result.confidence)


def replay(session: Session, positive: tuple[Click, ...], negative: tuple[Click, ...]) -> Result:
    """Click ``positive`` and ``negative`` into ``session`` in the order they were probably made.

    Args:
        session: without clicks; one with a box may get no click at all.
        positive: left clicks in their order; of very many the first and the latest, see :func:`thinned`.
        negative: right clicks in theirs, likewise.

    Returns:
        The result after the last click.

    Raises:
        PromptError: if there is neither a click nor a box.
    """
    left, right = deque(thinned(positive)), deque(thinned(negative))
    result = session.result
    while left or right:
        take_left = bool(left) and (not right or positive_is_next(result, left[0], right[0]))
        click = (left if take_left else right).popleft()
        result = session.click(click.x, click.y, click.positive)
    assert result is not None, "prompts are usable: a click or a box is there"
    return result


def thinned(clicks: tuple[Click, ...]) -> tuple[Click, ...]:
    """Return the first click and the latest ones, at most MOST in all; every click is a pass of the network.

    Nobody needs so many for one object. They are dropped a block at a time, so that a growing list shares
    its beginning with the one before, and the memo keeps helping.
    """
    excess = len(clicks) - MOST
    dropped = -(-excess // BLOCK) * BLOCK if excess > 0 else 0
    return clicks[:1] + clicks[1 + dropped :]


def positive_is_next(result: Result | None, positive: Click, negative: Click) -> bool:
    """Return whether ``positive`` is at least as wrong under the present ``result`` as ``negative``.

    Without a result (no click and no box yet) the positive click is first.
    """
    if result is None:
        return True
    return -result.depth_at(positive) >= result.depth_at(negative)
