"""A thin structure is traced in windows of the photo's own pixels.

A wire or a crack through a large photo is a fraction of a pixel wide in the frame that shows the photo: the
network sees next to nothing of it. Here it looks through windows instead, at the clicks first. Where what it
finds there is thin, and too thin for a frame that shows the photo, it goes on: the next window lies where
the structure leads out of what was seen, the feedback is what is known of it, and its surest pixel there is
taken for a click. Where nothing leads on, the trace ends. Windows in which something wide appears are leaks,
and left out.

Nothing but (image, clicks) decides: the same clicks give the same trace, and no state follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcfi_core.axes import Map
from fcfi_core.clicks import Click
from fcfi_core.geometry import Frame
from fcfi_core.regions import Region

SIDE = 384
"""Of a window, network pixels."""

SEEN_WIDTH = 3.0
"""What is wider than this in a frame that shows the whole photo is seen there; network pixels."""

WIDEST = 16.0
"""Mean width in the windows at the clicks up to which something is thin, network pixels."""

MOST = 32
"""Windows of one trace."""

_MARGIN = 48
"""Network pixels along a window's sides that are seen and not taken: little is known of what is around."""

_REACH = 96
"""What is further than this from the middles of all windows, along an axis, is looked at; network pixels."""

_LEAK = 2.5
"""So many times as wide as at the clicks, and what was found is something else."""

_TOUCH = 8
"""Pixels around a click in which the structure it means may lie."""

_LARGEST = 1 << 22
"""Network pixels of the whole image, at most; larger images are traced in a coarser grid."""

_STEPS = 2
"""Grids that are tried, each half as fine as the one before."""

_GAIN = 2.0
"""A grid is tried if it is this many times finer than a frame of :data:`SIDE` that shows the whole image."""

_ROUND = np.pi / 4
"""Length of an edge in any direction, by that of its pixels' sides, on average."""

Look = Callable[[Frame, Map, Sequence[Click], float], Map]
"""(frame, feedback, clicks, gate) -> probability: one pass of the network; the last click is the new one."""


def traced(
    look: Look, size: tuple[int, int], clicks: Sequence[Click], threshold: float, multiple: int
) -> tuple[Frame, Map] | None:
    """Return the frame around all windows, and the probability in it; None if this is no thin structure.

    Args:
        look: how the network is asked.
        size: (height, width) of the image.
        clicks: of the user, in order.
        threshold: the structure is where the probability is above this.
        multiple: both sides of what the network sees are multiples of this.
    """
    if not any(click.positive for click in clicks):
        return None
    finest = max(1, int(np.ceil((size[0] * size[1] / _LARGEST) ** 0.5)))
    for step in (finest * 2**turn for turn in range(_STEPS)):
        sides = [min(SIDE, side // step) // multiple * multiple for side in size]
        if max(size) < _GAIN * SIDE * step or min(sides) <= 2 * _MARGIN:
            break
        trace = _Trace(look, size, step, (sides[0], sides[1]), clicks, threshold)
        if trace.begins():
            trace.goes_on()
            return trace.found()
    return None


def width_of(mask: NDArray[np.bool_]) -> float:
    """Return the mean width of what ``mask`` shows, pixels, as if it were a band; infinite without an edge.

    Args:
        mask: (h, w) bool; its border is no edge.
    """
    area = np.count_nonzero(mask)
    edge = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    return 2 * area / (_ROUND * edge) if edge else (np.inf if area else 0.0)


@dataclass(frozen=True, slots=True)
class _Window:
    """A window in the grid, and the part of it that is taken over."""

    frame: Frame
    seen: tuple[slice, slice]
    taken: tuple[slice, slice]


class _Trace:
    """What is known of the structure, in a grid over the image whose pixels are ``step`` wide and high.

    The rows and columns at the image's end that fill no pixel of the grid are not looked at.
    """

    def __init__(
        self,
        look: Look,
        size: tuple[int, int],
        step: int,
        sides: tuple[int, int],
        clicks: Sequence[Click],
        threshold: float,
    ) -> None:
        self._look = look
        self._size = size
        self._step = step
        self._sides = sides
        self._clicks = clicks
        self._threshold = threshold
        self._known = np.zeros([side // step for side in size], np.float32)
        self._near = np.zeros(self._known.shape, np.bool_)
        self._starts = [self._place(click) for click in clicks if click.positive][:MOST]
        self._windows: list[_Window] = []
        self._width = np.inf
        self._widest = min(WIDEST, SEEN_WIDTH * max(size) / (SIDE * step))

    def begins(self) -> bool:
        """Look at the clicks, and return whether they are on something thin."""
        widths = []
        for y, x in self._starts:
            window, found = self._seen_from(y, x)
            self._take(window, found)
            widths.append(width_of(found > self._threshold))
        self._width = float(np.median(widths))
        return 0 < self._width <= self._widest

    def goes_on(self) -> None:
        """Look where the structure leads, as long as it leads anywhere."""
        while len(self._windows) < MOST and (place := self._next()) is not None:
            window, found = self._seen_from(*place)
            if width_of(found > self._threshold) <= _LEAK * self._width + 2:
                self._take(window, found)

    def found(self) -> tuple[Frame, Map]:
        """Return the frame around all windows, and the probability in it."""
        rows, columns = self._looked_at()
        view = self._known[rows, columns].copy()
        return self._frame(rows, columns), view

    def _place(self, click: Click) -> tuple[int, int]:
        y, x = click.y // self._step, click.x // self._step
        return min(y, self._known.shape[0] - 1), min(x, self._known.shape[1] - 1)

    def _frame(self, rows: slice, columns: slice) -> Frame:
        """Return the frame of a part of the grid, pixel by pixel."""
        step = self._step
        region = Region(
            rows.start * step, rows.stop * step - 1, columns.start * step, columns.stop * step - 1
        )
        return Frame(region, rows.stop - rows.start, columns.stop - columns.start, *self._size)

    def _window(self, y: int, x: int) -> _Window:
        """Return the window with a place of the grid in its middle, moved inside the grid."""
        seen, taken = [], []
        for place, side, limit in zip((y, x), self._sides, self._known.shape, strict=True):
            start = min(max(place - side // 2, 0), limit - side)
            seen.append(slice(start, start + side))
            taken.append(
                slice(
                    start + (_MARGIN if start else 0),
                    start + side - (_MARGIN if start + side < limit else 0),
                )
            )
        return _Window(self._frame(*seen), (seen[0], seen[1]), (taken[0], taken[1]))

    def _seen_from(self, y: int, x: int) -> tuple[_Window, Map]:
        """Return the window around a place of the structure, and what the network finds in it."""
        window = self._window(y, x)
        self._windows.append(window)
        self._near[max(y - _REACH, 0) : y + _REACH + 1, max(x - _REACH, 0) : x + _REACH + 1] = True
        frame, region = window.frame, window.frame.region
        here = Click(
            min(x * self._step + self._step // 2, region.right),
            min(y * self._step + self._step // 2, region.bottom),
            True,
        )
        others = [
            click
            for click in self._clicks
            if region.top <= click.y <= region.bottom
            and region.left <= click.x <= region.right
            and not (click.positive and self._place(click) == (y, x))
        ]
        feedback = np.ascontiguousarray(self._known[window.seen])
        if not (feedback > self._threshold).any():
            found = self._look(frame, np.zeros_like(feedback), [here], 0.0)
            if not others:
                return window, found
            feedback = found
        return window, self._look(frame, feedback, [*others, here], 1.0)

    def _take(self, window: _Window, found: Map) -> None:
        """Add what was found to what is known: nothing that was seen is unseen by another window."""
        known = self._known[window.taken]
        rows, columns = (
            slice(taken.start - seen.start, taken.stop - seen.start)
            for taken, seen in zip(window.taken, window.seen, strict=True)
        )
        np.maximum(known, found[rows, columns], out=known)

    def _looked_at(self) -> tuple[slice, slice]:
        """Return the rows and columns around all windows' taken parts."""
        rows, columns = zip(*(window.taken for window in self._windows), strict=True)
        return (
            slice(min(one.start for one in rows), max(one.stop for one in rows)),
            slice(min(one.start for one in columns), max(one.stop for one in columns)),
        )

    def _next(self) -> tuple[int, int] | None:
        """Return the surest pixel of the structure that no window was near; None if there is none."""
        rows, columns = self._looked_at()
        known = self._known[rows, columns]
        count, labels = cv2.connectedComponents((known > self._threshold).astype(np.uint8))
        meant = np.zeros(count, np.bool_)
        for y, x in self._starts:
            top, left = max(y - rows.start - _TOUCH, 0), max(x - columns.start - _TOUCH, 0)
            meant[labels[top : y - rows.start + _TOUCH + 1, left : x - columns.start + _TOUCH + 1]] = True
        meant[0] = False
        ahead = meant[labels] & ~self._near[rows, columns]
        if not ahead.any():
            return None
        y, x = divmod(int(np.argmax(np.where(ahead, known, -1))), known.shape[1])
        return y + rows.start, x + columns.start
