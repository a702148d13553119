"""What an annotator drew, read from a request: one :class:`Prompt` per object.

Label Studio sends every region of the same type, label and image as the one just drawn, oldest
first. Positions are percent of the displayed picture; they become pixels only in the methods that
are told the picture's size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import prompt
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.masks import label_studio as label_studio_code
from fcfi_core.masks.polygons import Polygon, from_polygons
from fcfi_core.masks.resizing import resized
from label_studio_backend.labelling_config import same_word
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
}


@dataclass(frozen=True)
class Region:
    """One region as Label Studio sends it, checked.

    Args:
        ident: Label Studio's id of the region ("" if it has none).
        shape: click, rectangle, brush or polygon.
        target: name of the image tag (``to_name``).
        label: the class, or None.
        value: the ``value`` object.
        positive: polarity of a click; None where the editor left it out.
        size: (width, height) of the displayed picture, or None where it is missing.
        rotation: how the annotator turned the view, degrees.
        item_index: which picture of a list, or None.
    """

    ident: str
    shape: str
    target: str
    label: str | None
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
        """Return the upright box around the (possibly turned) rectangle, inside the picture."""
        left, top = self.number("x") / 100 * width, self.number("y") / 100 * height
        across, down = self.number("width") / 100 * width, self.number("height") / 100 * height
        turn = math.radians(self.number("rotation") if "rotation" in self.value else 0.0)
        sine, cosine = math.sin(turn), math.cos(turn)
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
        """Return the drawn brush or polygon as a mask, (height, width) bool."""
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
class Prompt:
    """Everything asked about one object.

    Args:
        target: name of the image tag.
        label: the clicked class, or None.
        clicks: dots in the order they were made, with resolved polarity.
        rectangle: the box around the object, if one was drawn.
        drawing: the brush or polygon to start from, if one was drawn.
    """

    target: str
    label: str | None
    clicks: tuple[Region, ...] = ()
    rectangle: Region | None = None
    drawing: Region | None = None

    @property
    def newest(self) -> Region:
        """The region that carries size, rotation and picture number."""
        return next(r for r in (*reversed(self.clicks), self.rectangle, self.drawing) if r is not None)

    @property
    def idents(self) -> tuple[str, ...]:
        """Ids of the regions, oldest first."""
        found = (self.drawing, self.rectangle, *self.clicks)
        return tuple(region.ident for region in found if region is not None)

    def pixels(self, width: int, height: int, shown_width: int, shown_height: int) -> prompt.Prompt:
        """Return what is asked, in pixels of the picture.

        Args:
            width, height: of the picture.
            shown_width, shown_height: of the picture as displayed, which drawings are painted on.
        """
        size = width, height
        mask = None if self.drawing is None else self.drawing.mask(shown_width, shown_height)
        return prompt.Prompt(
            tuple(click.click(*size) for click in self.clicks),
            self.rectangle.box(*size) if self.rectangle else None,
            None if mask is None else resized(mask, *size),
        )

    @property
    def asks_for_a_mask(self) -> bool:
        """False where negative clicks are all there is: nothing can be cut from nothing."""
        return bool(self.rectangle or self.drawing) or any(click.positive for click in self.clicks)


def read_regions(items: object, background: str = "") -> list[Region]:
    """Return the regions of a context or annotation that can be worked from.

    Entries of unknown types are left out. Where Label Studio splits a region in several (a ``KeyPoint``
    and a ``Labels`` entry of one id for each row of labels), the class moves to the drawn one; a row of
    which ``background`` was chosen beside a class makes the click a negative one of that class.
    """
    entries = [entry for entry in as_list(items) if isinstance(entry, Mapping)]
    rows: dict[str, list[str]] = {}
    for entry in entries:
        word = _first_word(as_mapping(entry.get("value")).get("labels"))
        if entry.get("type") == "labels" and word is not None:
            rows.setdefault(str(entry.get("id")), []).append(word)
    found: dict[tuple[str, str], Region] = {}
    for number, entry in enumerate(entries):
        words = rows.get(str(entry.get("id")), [])
        classes = [word for word in words if not same_word(word, background)]
        region = _read(entry, next(iter((*classes, *words)), None))
        if region is None:
            continue
        if classes and len(classes) < len(words):
            region = replace(region, label=classes[0], positive=False)
        found[region.shape, region.ident or f"#{number}"] = region
    return list(found.values())


def _read(entry: Mapping[str, Any], name: str | None) -> Region | None:
    kind, value = str(entry.get("type")), as_mapping(entry.get("value"))
    shape = _SHAPES.get(kind)
    target = entry.get("to_name")
    if shape is None or not isinstance(target, str):
        return None
    if shape == "click" and "rle" in value:
        return None  # the editor's second copy of an accepted mask ("keep label selected")
    ident = entry.get("id")
    ident = ident if isinstance(ident, str) else ""
    width, height = entry.get("original_width"), entry.get("original_height")
    index, rotation = entry.get("item_index"), entry.get("image_rotation")
    return Region(
        ident=ident,
        shape=shape,
        target=target,
        label=_first_word(value.get(kind)) or _first_word(value.get("labels")) or name,
        value=value,
        positive=_polarity(entry.get("is_positive")),
        size=(width, height) if _is_side(width) and _is_side(height) else None,  # type: ignore[arg-type]
        rotation=rotation if isinstance(rotation, int | float) and abs(rotation) <= 3600 else 0,
        item_index=index if isinstance(index, int) and not isinstance(index, bool) else None,
    )


def from_context(items: object, background: str = "") -> list[Prompt]:
    """Return the objects of an interactive request: one per image tag, picture and class, oldest first.

    Of several rectangles or drawings of a class the newest counts.

    Args:
        items: the context's ``result``.
        background: a label that makes clicks negative where it is chosen beside a class, or "".
    """
    groups: dict[tuple[str, int | None, str | None], list[Region]] = {}
    for region in read_regions(items, background):
        groups.setdefault((region.target, region.item_index, region.label), []).append(region)
    return [_prompt(target, label, regions) for (target, _, label), regions in groups.items()]


def from_annotation(items: object) -> list[Prompt]:
    """Return the objects of a stored annotation: each box, each polygon, and the dots of each class.

    Brush regions are masks already and are left out.
    """
    prompts: list[Prompt] = []
    dots: dict[tuple[str, int | None, str | None], list[Region]] = {}
    for region in read_regions(items):
        if region.shape == "click":
            dots.setdefault((region.target, region.item_index, region.label), []).append(region)
        elif region.shape != "brush":
            prompts.append(_prompt(region.target, region.label, [region]))
    prompts += [_prompt(target, label, regions) for (target, _, label), regions in dots.items()]
    return [prompt for prompt in prompts if prompt.asks_for_a_mask]


def _prompt(target: str, label: str | None, regions: Sequence[Region]) -> Prompt:
    return Prompt(
        target=target,
        label=label,
        clicks=resolve_polarity([region for region in regions if region.shape == "click"]),
        rectangle=_last(region for region in regions if region.shape == "rectangle"),
        drawing=_last(region for region in regions if region.shape in ("brush", "polygon")),
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
    return bool(value) if isinstance(value, bool) or value in (0, 1) else None


def _first_word(value: object) -> str | None:
    words = as_list(value)
    return words[0] if words and isinstance(words[0], str) else None


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
