"""What an annotator drew, read from a request: one :class:`DrawnObject` per object.

Label Studio sends every region of the same type, label and image as the one just drawn, oldest
first. Positions are percent of the displayed picture; they become pixels only in the methods that
are told the picture's size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.allowance import checkpoint
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.masks import label_studio as label_studio_code
from fcfi_core.masks.polygons import Polygon, from_polygons
from fcfi_core.masks.resizing import resized
from fcfi_core.prompt import Prompt
from label_studio_backend import bitmask
from label_studio_backend.controls import same_word
from label_studio_backend.settings import as_list, as_mapping

MOST_CLICKS = 1000
"""Clicks read of one object; a longer list is refused."""

_SHAPES = {
    "keypointlabels": "click",
    "keypoint": "click",
    "rectanglelabels": "rectangle",
    "rectangle": "rectangle",
    "brushlabels": "brush",
    "brush": "brush",
    "polygonlabels": "polygon",
    "polygon": "polygon",
    "ellipselabels": "ellipse",
    "ellipse": "ellipse",
    "bitmasklabels": "bitmask",
    "bitmask": "bitmask",
}
DRAWINGS = ("brush", "bitmask", "polygon")
_POLARITIES: Mapping[object, bool] = {1: True, 0: False, "true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Region:
    """One region as Label Studio sends it, checked.

    Args:
        ident: Label Studio's id of the region ("" if it has none).
        shape: click, rectangle, ellipse, brush, bitmask or polygon.
        target: name of the image tag (``to_name``); "" if the region does not say.
        labels: the classes, often one, none without a label.
        value: the ``value`` object.
        positive: polarity of a click; None where the editor left it out.
        size: (width, height) of the displayed picture, or None where it is missing.
        rotation: how the annotator turned the view, degrees.
        item_index: which picture of a list, or None.
    """

    ident: str
    shape: str
    target: str
    labels: tuple[str, ...]
    value: Mapping[str, Any]
    positive: bool | None
    size: tuple[int, int] | None
    rotation: int | float
    item_index: int | None

    def number(self, name: str) -> float:
        """Return ``value[name]``; raises PromptError for anything but a finite number."""
        number = self.value.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < 1e15:
            raise PromptError(
                f"the {self.shape} has {name} = {number!r}; Label Studio sends a number of percent."
            )
        return float(number)

    def click(self, width: int, height: int) -> Click:
        """Return the pixel under the dot; positions beside the picture go to its nearest pixel."""
        x, y = self.number("x") / 100 * width, self.number("y") / 100 * height
        return Click(_index(x, width), _index(y, height), self.positive is not False)

    def box(self, width: int, height: int) -> Box:
        """Return the upright box around the (possibly turned) rectangle or ellipse, inside the picture."""
        left, top = self.number("x") / 100 * width, self.number("y") / 100 * height
        turn = math.radians(self.number("rotation") if "rotation" in self.value else 0.0)
        sine, cosine = math.sin(turn), math.cos(turn)
        if self.shape == "ellipse":
            across, down = self.number("radiusX") / 100 * width, self.number("radiusY") / 100 * height
            half, tall = math.hypot(across * cosine, down * sine), math.hypot(across * sine, down * cosine)
            x1, x2, y1, y2 = left - half, left + half, top - tall, top + tall
        else:
            across, down = self.number("width") / 100 * width, self.number("height") / 100 * height
            corners = [
                (left + dx * cosine - dy * sine, top + dx * sine + dy * cosine)
                for dx in (0.0, across)
                for dy in (0.0, down)
            ]
            x1, x2 = min(x for x, _ in corners), max(x for x, _ in corners)
            y1, y2 = min(y for _, y in corners), max(y for _, y in corners)
        return Box(
            _index(x1, width),
            _index(y1, height),
            max(_index(math.ceil(x2 - 1e-6) - 1, width), _index(x1, width)),
            max(_index(math.ceil(y2 - 1e-6) - 1, height), _index(y1, height)),
        )

    def mask(self, width: int, height: int) -> NDArray[np.bool_]:
        """Return the drawn brush, bitmask or polygon as a mask, (height, width) bool."""
        if self.shape == "bitmask":
            return bitmask.from_data_url(self.value.get("imageDataURL"), width, height)
        if self.shape == "brush":
            code = self.value.get("rle")
            if not isinstance(code, list):
                raise PromptError("the brush region holds no rle; draw it again.")
            return label_studio_code.decode(code, width, height)
        points = [_pair(point) for point in as_list(self.value.get("points"))]
        if len(points) < 3:
            raise PromptError(f"the polygon has {len(points)} points; draw at least 3.")
        exterior = np.array(points, dtype=np.float64) * (width / 100, height / 100)
        return from_polygons([Polygon(exterior)], width, height)


@dataclass(frozen=True)
class DrawnObject:
    """Everything asked about one object.

    Args:
        target: name of the image tag; "" if the regions do not say.
        labels: the clicked classes, often one, none without a label.
        clicks: dots in the order they were made, with resolved polarity.
        rectangle: the box or ellipse around the object, if one was drawn.
        drawing: the brush, bitmask or polygon to start from, if one was drawn.
    """

    target: str
    labels: tuple[str, ...]
    clicks: tuple[Region, ...] = ()
    rectangle: Region | None = None
    drawing: Region | None = None

    @property
    def label(self) -> str | None:
        """The first class, or None."""
        return next(iter(self.labels), None)

    @property
    def newest(self) -> Region:
        """The region that carries size, rotation and picture number."""
        return next(r for r in (*reversed(self.clicks), self.rectangle, self.drawing) if r is not None)

    @property
    def idents(self) -> tuple[str, ...]:
        """Ids of the regions, oldest first."""
        found = (self.drawing, self.rectangle, *self.clicks)
        return tuple(region.ident for region in found if region is not None)

    def prompt(self, width: int, height: int, shown_width: int, shown_height: int) -> Prompt:
        """Return what is asked, in pixels of the picture.

        Args:
            width, height: of the picture.
            shown_width, shown_height: of the picture as displayed, which drawings are painted on.
        """
        size = width, height
        mask = None if self.drawing is None else self.drawing.mask(shown_width, shown_height)
        return Prompt(
            tuple(click.click(*size) for click in self.clicks),
            self.rectangle.box(*size) if self.rectangle else None,
            None if mask is None else resized(mask, *size),
        )

    def comes_alone(self, background: str) -> bool:
        """Return whether the editor sent clicks of ``background`` without those of the object's class.

        It collects regions by their first label: that is ``background`` where its row of labels stands first.
        """
        first = [next(iter(_words(click.value.get("labels"))), None) for click in self.clicks]
        return bool(first) and all(same_word(label, background) for label in first)

    @property
    def asks_for_a_mask(self) -> bool:
        """False where negative clicks are all there is: nothing can be cut from nothing."""
        return bool(self.rectangle or self.drawing) or any(click.positive for click in self.clicks)


def read_regions(items: object, background: str = "") -> list[Region]:
    """Return the regions of a context or annotation that can be worked from; see :func:`unusable`.

    Where Label Studio splits a region in several entries of one id (a ``KeyPoint`` and a ``Labels`` entry
    for each row of labels), the classes move to the drawn one. A row of which only ``background`` was
    chosen, beside a row with a class, makes the click a negative one of that class.
    """
    entries = [entry for entry in as_list(items) if isinstance(entry, Mapping)]
    rows: dict[str, list[tuple[str, ...]]] = {}
    for entry in entries:
        if entry.get("type") == "labels":
            rows.setdefault(str(entry.get("id")), []).append(_words(_value(entry).get("labels")))
    found: dict[object, Region] = {}
    for number, entry in enumerate(entries):
        checkpoint()
        region = _read(entry, rows.get(str(entry.get("id")), []), background)
        if region is not None:
            # Ids given twice, as scripts may do, are two clicks if they lie at two places.
            place = region.value.get("x"), region.value.get("y")
            found[(region.shape, region.ident, repr(place)) if region.ident else number] = region
    return list(found.values())


def unusable(items: object) -> str:
    """Return what :func:`read_regions` leaves out of ``items``, in words; "" if that is nothing."""
    left_out: Counter[str] = Counter()
    for entry in as_list(items):
        if not isinstance(entry, Mapping):
            left_out["entries that are no regions"] += 1
        elif entry.get("type") != "labels" and str(entry.get("type")) not in _SHAPES:
            left_out[f"regions of type {str(entry.get('type'))[:40]!r}"] += 1
    return ", ".join(f"{count} {what}" for what, count in left_out.items())


def _read(entry: Mapping[str, Any], rows: Sequence[tuple[str, ...]], background: str) -> Region | None:
    kind, value = str(entry.get("type")), _value(entry)
    shape = _SHAPES.get(kind)
    if shape is None or (shape == "click" and "rle" in value):
        return None  # of an rle: the editor's second copy of an accepted mask ("keep label selected")
    ident, target = entry.get("id"), entry.get("to_name")
    width, height = entry.get("original_width"), entry.get("original_height")
    index, rotation = entry.get("item_index"), entry.get("image_rotation")
    own = [words for words in (_words(value.get(kind)), *rows) if words]
    wanted = [words for words in own if not all(same_word(word, background) for word in words)]
    chosen = wanted or own or [_words(value.get("labels"))]
    return Region(
        ident=ident if isinstance(ident, str) else "",
        shape=shape,
        target=target if isinstance(target, str) else "",
        labels=tuple(dict.fromkeys(word for words in chosen for word in words)),
        value=value,
        positive=False if wanted and len(wanted) < len(own) else _polarity(entry.get("is_positive")),
        size=(width, height) if _is_side(width) and _is_side(height) else None,  # type: ignore[arg-type]
        rotation=rotation if isinstance(rotation, int | float) and abs(rotation) <= 3600 else 0,
        item_index=index if isinstance(index, int) and not isinstance(index, bool) else None,
    )


def from_context(items: object, background: str = "") -> list[DrawnObject]:
    """Return the objects of an interactive request: one per image tag, picture and class, oldest first.

    Of several rectangles or drawings of a class the newest counts.

    Args:
        items: the context's ``result``.
        background: a label that makes clicks negative where it is chosen beside a class, or "".
    """
    groups: dict[tuple[str, int | None, tuple[str, ...]], list[Region]] = {}
    for region in read_regions(items, background):
        groups.setdefault((region.target, region.item_index, region.labels[:1]), []).append(region)
    # Of labels chosen beside the class, those of the newest region count.
    return [_prompt(target, regions[-1].labels, regions) for (target, _, _), regions in groups.items()]


def from_annotation(items: object) -> list[DrawnObject]:
    """Return the objects of a stored annotation: each box, ellipse and polygon, and the dots of each class.

    Brush and bitmask regions are masks already and are left out.
    """
    prompts: list[DrawnObject] = []
    dots: dict[tuple[str, int | None, tuple[str, ...]], list[Region]] = {}
    for region in read_regions(items):
        if region.shape == "click":
            dots.setdefault((region.target, region.item_index, region.labels), []).append(region)
        elif region.shape not in ("brush", "bitmask"):
            prompts.append(_prompt(region.target, region.labels, [region]))
    prompts += [_prompt(target, labels, regions) for (target, _, labels), regions in dots.items()]
    return [prompt for prompt in prompts if prompt.asks_for_a_mask]


def _prompt(target: str, labels: tuple[str, ...], regions: Sequence[Region]) -> DrawnObject:
    return DrawnObject(
        target=target,
        labels=labels,
        clicks=resolve_polarity([region for region in regions if region.shape == "click"]),
        rectangle=_last(region for region in regions if region.shape in ("rectangle", "ellipse")),
        drawing=_last(region for region in regions if region.shape in DRAWINGS),
    )


def resolve_polarity(clicks: Sequence[Region]) -> tuple[Region, ...]:
    """Return the clicks that count, each with its polarity.

    Dots restored from a draft and plain key points come without polarity and stay on the picture
    after the tick: beside clicks that have one they are left-overs. Where none has it, all are positive.
    """
    if len(clicks) > MOST_CLICKS:
        raise PromptError(f"the object has {len(clicks)} clicks; at most {MOST_CLICKS} are read.")
    marked = tuple(click for click in clicks if click.positive is not None)
    return marked or tuple(replace(click, positive=True) for click in clicks)


def _last(regions: Iterable[Region]) -> Region | None:
    return next(reversed(list(regions)), None)


def _polarity(value: object) -> bool | None:
    """Return the polarity that ``value`` says; None where it says none.

    Raises:
        PromptError: if it says something else.
    """
    if value is None:
        return None
    word = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(word, str | bool | int | float) or word not in _POLARITIES:
        raise PromptError(f"a click has is_positive = {str(value)[:40]!r}; Label Studio sends true or false.")
    return _POLARITIES[word]


def _value(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_mapping(entry.get("value"))


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in as_list(value) if isinstance(word, str))


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _index(position: float, size: int) -> int:
    return min(max(math.floor(position), 0), size - 1)


def _pair(point: object) -> tuple[float, float]:
    pair = as_list(point)
    if len(pair) != 2 or not all(
        isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e6
        for number in pair
    ):
        raise PromptError(
            f"{str(point)[:80]!r} is not a corner of a polygon; Label Studio sends two numbers of percent."
        )
    return float(pair[0]), float(pair[1])
