"""Clicks and boxes: the only words for what a user points at.

Coordinates are ``(x, y)`` pixel indices of the upright original image: x counts columns from the
left, y counts rows from the top, and the centre of the first pixel is ``(0, 0)``. Fractional input
is rounded to the nearest pixel centre (halves away from zero towards the larger index), so that a
click is always one pixel and can serve as an exact key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fcfi_core.errors import PromptError

Number = int | float

_LARGEST_COORDINATE = 2**31


def _pixel(value: object, name: str) -> int:
    """Return the pixel index nearest to ``value``; raises PromptError for anything but a number."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise PromptError(f"{name} is {value!r}; give a finite number of pixels.")
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    if not math.isfinite(number) or abs(number) > _LARGEST_COORDINATE:
        raise PromptError(f"{name} is {number}; give a finite number of pixels.")
    return math.floor(number + 0.5)


@dataclass(frozen=True, slots=True)
class Click:
    """One pixel that belongs to the object (positive) or does not (negative).

    Args:
        x: column, pixels of the upright original; fractions go to the nearest pixel centre.
        y: row, likewise.
        positive: True for the object, False for the background.

    Raises:
        PromptError: if a coordinate is not a finite number.

    >>> Click(3.6, 2)
    Click(x=4, y=2, positive=True)
    """

    x: int
    y: int
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", _pixel(self.x, "click x"))
        object.__setattr__(self, "y", _pixel(self.y, "click y"))
        if not isinstance(self.positive, bool):
            raise PromptError(f"click polarity is {self.positive!r}; give True or False.")

    def require_inside(self, width: int, height: int) -> None:
        """Raise PromptError unless the click lies in an image of ``width`` x ``height`` pixels."""
        if not (0 <= self.x < width and 0 <= self.y < height):
            raise PromptError(
                f"click ({self.x}, {self.y}) is outside the image of {width} x {height} pixels; "
                f"x must be 0..{width - 1} and y 0..{height - 1}."
            )

    @classmethod
    def parse(cls, text: str) -> Click:
        """Return the click written as ``X,Y``, ``X,Y,+`` or ``X,Y,-`` (the command line's form).

        >>> Click.parse("40,60,-")
        Click(x=40, y=60, positive=False)
        """
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("+", "-")):
            raise PromptError(f"click {text!r} is not of the form X,Y or X,Y,- (for example 40,60,-).")
        try:
            x, y = float(parts[0]), float(parts[1])
        except ValueError:
            raise PromptError(
                f"click {text!r} is not of the form X,Y or X,Y,- (for example 40,60,-)."
            ) from None
        return cls.nearest(x, y, parts[-1] != "-")

    @classmethod
    def nearest(cls, x: float, y: float, positive: bool = True) -> Click:
        """Return the click on the pixel nearest to the fractional position ``(x, y)``."""
        return cls(_pixel(x, "click x"), _pixel(y, "click y"), positive)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels around the object, both ends inclusive.

    Args:
        x1, y1: one corner, pixels of the upright original; fractions go to the nearest pixel.
        x2, y2: the opposite corner; corners may come in any order and are sorted.

    Raises:
        PromptError: if a coordinate is not a finite number.

    >>> Box(30, 40, 10, 20)
    Box(x1=10, y1=20, x2=30, y2=40)
    """

    x1: int
    y1: int
    x2: int
    y2: int

    def __post_init__(self) -> None:
        x1, x2 = sorted((_pixel(self.x1, "box x1"), _pixel(self.x2, "box x2")))
        y1, y2 = sorted((_pixel(self.y1, "box y1"), _pixel(self.y2, "box y2")))
        for name, value in (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)):
            object.__setattr__(self, name, value)

    @property
    def width(self) -> int:
        """Number of pixel columns."""
        return self.x2 - self.x1 + 1

    @property
    def height(self) -> int:
        """Number of pixel rows."""
        return self.y2 - self.y1 + 1

    def clipped(self, width: int, height: int) -> Box:
        """Return the part inside an image of ``width`` x ``height`` pixels.

        Raises:
            PromptError: if no pixel of the box is inside the image.
        """
        if self.x2 < 0 or self.y2 < 0 or self.x1 >= width or self.y1 >= height:
            raise PromptError(
                f"box ({self.x1}, {self.y1}, {self.x2}, {self.y2}) lies outside the image of "
                f"{width} x {height} pixels; draw it on the image."
            )
        return Box(max(self.x1, 0), max(self.y1, 0), min(self.x2, width - 1), min(self.y2, height - 1))

    @classmethod
    def of(cls, value: object) -> Box:
        """Return the box written as a Box, or as x1, y1, x2, y2 in a tuple, list, array or tensor.

        Raises:
            PromptError: for anything else.

        >>> Box.of((10, 20, 30, 40))
        Box(x1=10, y1=20, x2=30, y2=40)
        """
        if isinstance(value, Box):
            return value
        corners = _plain(value)
        if not isinstance(corners, tuple | list) or len(corners) != 4:
            raise PromptError(f"box is {value!r}; give Box(x1, y1, x2, y2) or (x1, y1, x2, y2).")
        return cls(*map(_plain, corners))  # type: ignore[arg-type]

    @classmethod
    def parse(cls, text: str) -> Box:
        """Return the box written as ``X1,Y1,X2,Y2`` (the command line's form)."""
        try:
            x1, y1, x2, y2 = (float(part) for part in text.split(","))
        except ValueError:
            raise PromptError(
                f"box {text!r} is not of the form X1,Y1,X2,Y2 (for example 10,20,90,80)."
            ) from None
        return cls.nearest(x1, y1, x2, y2)

    @classmethod
    def nearest(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        """Return the box whose corners are the pixels nearest to the fractional corners given."""
        return cls(_pixel(x1, "box x1"), _pixel(y1, "box y1"), _pixel(x2, "box x2"), _pixel(y2, "box y2"))


def ordered(clicks: object) -> tuple[Click, ...]:
    """Return ``clicks`` as a tuple of :class:`Click`, in the given order.

    Args:
        clicks: any number of Click objects, ``(x, y)`` or ``(x, y, positive)``; or an (N, 2) or (N, 3) array
            or tensor of numbers, whose third column is 1 on the object and 0 on the background.

    Raises:
        PromptError: for anything else.

    >>> ordered([(3, 4), (5, 6, False)])
    (Click(x=3, y=4, positive=True), Click(x=5, y=6, positive=False))
    >>> ordered(np.array([[3, 4, 1], [5, 6, 0]]))
    (Click(x=3, y=4, positive=True), Click(x=5, y=6, positive=False))
    """
    plain = _plain(clicks)
    if not isinstance(plain, Iterable) or isinstance(plain, str | bytes | Click):
        raise PromptError(f"{clicks!r} is no list of clicks; give [(x, y), (x, y, positive), ...].")
    return tuple(click if isinstance(click, Click) else _click(click) for click in plain)


def _click(value: object) -> Click:
    parts = _plain(value)
    if not isinstance(parts, tuple | list) or len(parts) not in (2, 3):
        raise PromptError(f"{value!r} is not a click; give Click(x, y, positive) or (x, y, positive).")
    x, y, positive = (*map(_plain, parts), True)[:3]
    # Arrays hold numbers only: there 1 is the object and 0 is not.
    if not isinstance(positive, bool) and isinstance(positive, int | float) and positive in (0, 1):
        positive = bool(positive)
    return Click(x, y, positive)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    """Return an array, a tensor or a number of one as plain Python values; all else as it is."""
    convert = getattr(value, "tolist", None)
    return convert() if callable(convert) else value
