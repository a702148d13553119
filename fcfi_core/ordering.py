"""In which order the clicks of two lists were made.

Some callers know positive and negative clicks as two lists, each in click order; how they alternated is
lost. The network is fed its previous answer with every click, so the order matters, and no worker may
remember it: the same request must give the same mask wherever it lands.

:func:`ordered` therefore merges the lists by what an annotator does: click where the present mask is
most wrong. Before each step it looks at the head of both lists, and takes the click that lies deeper on the
wrong side of the mask's edge: a positive click far outside the mask, or a negative click far inside, must
have come next. Ties go to the positive click. The comparison with other orders is recorded in
``docs/decisions/0007-click-order.md``.

The order is a function of image, start and both lists. What was decided for shorter lists is remembered in
the recurrence's memo: a list that grew by a click costs one decision and one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fcfi_core.clicks import Click
from fcfi_core.images import LoadedImage
from fcfi_core.prompt import Prompt
from fcfi_core.recurrence import Recurrence
from fcfi_core.results import Result

MOST = 50
BLOCK = 25

_ENTRY_BYTES = 200
"""What one click of a remembered order takes in memory, about."""


def ordered(recurrence: Recurrence, image: LoadedImage, prompt: Prompt) -> Prompt:
    """Return ``prompt`` with its clicks in the order they were probably made.

    Args:
        recurrence: gives the masks on the way, and remembers.
        image: what is clicked on.
        prompt: fits the image. The order among its positive clicks and that among its negative ones count;
            how the two alternate does not. Of very many the first and the latest are taken, see
            :func:`thinned`.

    Raises:
        PromptError: for a click outside the image.
    """
    start = prompt.prefix(0)
    positive = thinned(tuple(click for click in prompt.clicks if click.positive))
    negative = thinned(tuple(click for click in prompt.clicks if not click.positive))
    names = _Names.of(recurrence, image, start, positive, negative)
    known, left, right = _known(recurrence, names, start, positive, negative)
    while left or right:
        takes_left = bool(left)
        if left and right and not _repeats(image, known, left[0]):
            result = None if known.is_empty else recurrence.result(image, known)
            takes_left = positive_is_next(result, left[0], right[0])
        source = left if takes_left else right
        known = known.with_clicks((*known.clicks, source[0]))
        left, right = (left[1:], right) if takes_left else (left, right[1:])
    size = _ENTRY_BYTES * (1 + len(known.clicks))
    recurrence.memo.put(names.key(len(positive), len(negative)), known.clicks, size)
    return known


def thinned(clicks: tuple[Click, ...]) -> tuple[Click, ...]:
    """Return the first click and the latest ones, at most MOST in all; every click is a pass of the network.

    Nobody needs so many for one object. They are dropped a block at a time, so that a growing list shares
    its beginning with the one before, and the memo keeps helping.
    """
    excess = len(clicks) - MOST
    dropped = -(-excess // BLOCK) * BLOCK if excess > 0 else 0
    return clicks[:1] + clicks[1 + dropped :]


@dataclass(frozen=True)
class _Names:
    """What orders are remembered by.

    Args:
        context: all that an order depends on beside the lists.
        positive, negative: names of the prefixes of both lists.
    """

    context: tuple[object, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]

    @classmethod
    def of(
        cls,
        recurrence: Recurrence,
        image: LoadedImage,
        start: Prompt,
        positive: tuple[Click, ...],
        negative: tuple[Click, ...],
    ) -> _Names:
        context = "order", recurrence.key, image.digest
        return cls(context, start.with_clicks(positive).digests, start.with_clicks(negative).digests)

    def key(self, positive: int, negative: int) -> tuple[object, ...]:
        """Return the key of the order of the first so many clicks of both lists."""
        return *self.context, self.positive[positive], self.negative[negative]


def _known(
    recurrence: Recurrence,
    names: _Names,
    start: Prompt,
    positive: tuple[Click, ...],
    negative: tuple[Click, ...],
) -> tuple[Prompt, tuple[Click, ...], tuple[Click, ...]]:
    """Return the beginning of the order as far as it is remembered, and what is left of both lists.

    The decisions for shorter lists hold until one of these was used up: from there on the longer lists
    have a choice that the shorter ones had not.
    """
    lengths = list(_lengths(len(positive), len(negative)))
    found, clicks = recurrence.memo.first([names.key(*pair) for pair in lengths])
    taken: list[Click] = []
    used_positive = used_negative = 0
    if clicks is not None:
        known_positive, known_negative = lengths[found]
        for click in clicks:
            if used_positive == known_positive < len(positive) or used_negative == known_negative < len(
                negative
            ):
                break
            taken.append(click)
            used_positive += click.positive
            used_negative += not click.positive
    return start.with_clicks(taken), positive[used_positive:], negative[used_negative:]


def _lengths(positive: int, negative: int) -> Iterator[tuple[int, int]]:
    """Yield the lengths of both lists under which the order may be remembered, the likeliest first."""
    yield positive, negative
    for fewer in range(1, 4):
        yield positive - min(fewer, positive), negative
        yield positive, negative - min(fewer, negative)


def _repeats(image: LoadedImage, known: Prompt, click: Click) -> bool:
    """Return whether ``click`` asks for another answer to the first one: nobody corrects before choosing."""
    repeated = known.with_clicks((*known.clicks, click)).repetitions(image.height, image.width)
    return bool(repeated) and repeated.stop == len(known.clicks) + 1


def positive_is_next(result: Result | None, positive: Click, negative: Click) -> bool:
    """Return whether ``positive`` is at least as wrong under the present ``result`` as ``negative``.

    Without a result (no click and no start yet) the positive click is first.
    """
    if result is None:
        return True
    return -result.depth_at(positive) >= result.depth_at(negative)
