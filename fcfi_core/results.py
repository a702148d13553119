"""The answer to a click, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fcfi_core import masks, outputs
from fcfi_core.axes import Map
from fcfi_core.clicks import Box, Click
from fcfi_core.edges import DOUBT, sharpened
from fcfi_core.errors import SettingsError
from fcfi_core.geometry import Frame
from fcfi_core.images import LoadedImage
from fcfi_core.masks import Polygons, coco, cutting, cvat, label_studio
from fcfi_core.masks.finish import USUAL, Finish
from fcfi_core.masks.partition import partition
from fcfi_core.rating import expected_overlap
from fcfi_core.regions import Region
from fcfi_core.suggestions import Suggestion, suggestion

if TYPE_CHECKING:
    from PIL.Image import Image as PictureFile

_CODES: Mapping[str, Callable[..., Any]] = {
    "coco": coco.encode,
    "label_studio": label_studio.encode,
    "cvat": cvat.encode,
}

SUFFIXES_OF: Mapping[str, Iterable[str]] = {
    "mask": outputs.LOSSLESS,
    "overlay": outputs.PICTURES,
    "cutout": outputs.TRANSPARENT,
}
"""Suffixes of the picture files that :meth:`Result.save` writes."""

_SHOWN = 800
"""Longest side of the picture that a notebook shows, pixels."""
_SOFT_REACH = 1.5
"""Pixels around the mask's edge that may be half transparent, at least."""


@dataclass(frozen=True, eq=False)
class Result:
    """A segmentation of one object.

    Nothing of the size of the image exists until it is asked for: the answer is kept in the frame the
    network saw.

    Args:
        frame: where ``view`` lies in the image.
        view: (h, w) float32, probability in the frame; outside the frame it is 0.
        threshold: the mask is where the probability at full resolution is above this.
        clicks: the user's clicks, in order.
        implied_click: the click assumed because the user gave a box or a prior mask only.
        image_notes: what was done to the image to read it (for example "16-bit, stretched").
        notes: what the user should know about this answer (for example why it is empty).
        timings: milliseconds: "decode" (the image file), "encode" (network, what depends on the image
            alone), "network" (the rest of it), "rest", and "total" of these but the first. Parts that
            were remembered take 0.
        cleaned_mask: (H, W) bool that replaces the mask, within its box; set by :meth:`finished`.
        rated: the confidence, where the answer was rated (:mod:`fcfi_core.rating`); None elsewhere.
        sharp: whether the colours of the image sharpen the mask's edge.
        more: computes the answers to choose from, see :attr:`candidates`; None: there is this one alone.
        finer: computes the :meth:`refined` answer; None: this one stays.
        along: computes the :meth:`traced` answer, None if there is nothing to trace; None: this one stays.
        image: what was clicked on; None: not known any more.
    """

    frame: Frame
    view: Map = field(repr=False)
    threshold: float
    clicks: tuple[Click, ...]
    implied_click: Click | None = None
    image_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    cleaned_mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    rated: float | None = None
    sharp: bool = False
    more: Callable[[], tuple[Result, ...]] | None = field(default=None, repr=False)
    finer: Callable[[], Result] | None = field(default=None, repr=False)
    along: Callable[[], Result | None] | None = field(default=None, repr=False)
    image: LoadedImage | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind the image, and what computes further answers: they belong to this process."""
        left = {"sharp": False, "more": None, "finer": None, "along": None, "image": None}
        return {**self.__dict__, "cleaned_mask": self.mask, **left}

    def __repr__(self) -> str:
        size = f"{self.frame.image_width} x {self.frame.image_height}"
        notes = f", notes={list(self.notes)}" if self.notes else ""
        return f"Result({size}, clicks={len(self.clicks)}, confidence={self.confidence:.2f}{notes})"

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows: the overlay, made smaller, or the mask if there is no image."""
        from PIL import Image

        picture = Image.fromarray(self.mask) if self.image is None else self.overlay()
        picture.thumbnail((_SHOWN, _SHOWN))
        return outputs.encoded(np.asarray(picture.convert("RGB")), Path("shown.png"))

    @cached_property
    def candidates(self) -> tuple[Result, ...]:
        """The answers to a first click to choose from, the largest first; without a choice this one alone.

        Computed when asked for: up to two further looks of the network (:mod:`fcfi_core.candidates`).
        """
        return (self,) if self.more is None else self.more()

    def refined(self) -> Result:
        """Return the answer after one more pass of the network over the same region, in a finer frame.

        Its edges are more exact, thin parts more complete; it takes about two clicks' time. Clicks that
        follow go on from the present answer, not from this one. Already refined results, those of official
        rules, and those that came from another process stay as they are.
        """
        if self.finer is None:
            return self
        return replace(self.finer(), timings=self.timings, more=self.more, along=self.along)

    def traced(self) -> Result:
        """Return the thin structure that the clicks are on, traced (:mod:`fcfi_core.tracing`).

        It takes a click's time for each of its windows, at most :data:`~fcfi_core.tracing.MOST` of them.
        Clicks that follow go on from the present answer, not from this one. This answer stays as it is where
        the clicks are on nothing thin, the photo is not much larger than a frame, the prompt has a start,
        another answer was chosen, the rules are official, or the result came from another process.
        """
        found = None if self.along is None else self.along()
        return self if found is None else replace(found, timings=self.timings, more=self.more)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool, read-only: the object, thresholded at the image's resolution."""
        mask = self.cleaned_mask
        if mask is None and self.sharp and self.image is not None:
            mask = sharpened(self.image, self.frame, self.view, self.threshold)
        elif mask is None:
            mask = self.frame.above(self.view, self.threshold)
        mask.flags.writeable = False
        return mask

    @cached_property
    def probability(self) -> Map:
        """(H, W) float32, read-only, 0..1: how likely each pixel belongs to the object."""
        probability = self.frame.paste(self.view)
        probability.flags.writeable = False
        return probability

    def probability_at(self, click: Click) -> float:
        """Return the probability of the clicked pixel alone, without the map of the whole image."""
        pixel = Region(click.y, click.y, click.x, click.x)
        if self.frame.region.including([click]) != self.frame.region:
            return 0.0
        return float(self.frame.invert(self.view, pixel)[0, 0])

    def probability_in(self, part: Box) -> Map:
        """Return the probability in ``part`` of the image, its size, float32; 0 outside the frame."""
        seen = self.frame.region
        top, bottom = max(part.y1, seen.top), min(part.y2, seen.bottom)
        left, right = max(part.x1, seen.left), min(part.x2, seen.right)
        found = np.zeros((part.height, part.width), np.float32)
        if top <= bottom and left <= right:
            window = np.s_[top - part.y1 : bottom - part.y1 + 1, left - part.x1 : right - part.x1 + 1]
            found[window] = self.frame.invert(self.view, Region(top, bottom, left, right))
        return found

    def depth_at(self, click: Click) -> float:
        """Return how far ``click`` lies from the mask's edge, in pixels of the image.

        Positive inside the mask, negative outside, infinite where there is no edge. Measured in the frame
        the network saw, so exact to one of its pixels; the image's border is no edge.
        """
        distances = np.hypot(*(self._edge - (click.x, click.y)).T)
        distance = float(distances.min(initial=np.inf))
        return distance if self.probability_at(click) > self.threshold else -distance

    @cached_property
    def _edge(self) -> NDArray[np.float64]:
        """(N, 2) float64: the points (x, y) of the image between pixels in and out of the mask."""
        frame, region = self.frame, self.frame.region
        above, left = int(region.top > 0), int(region.left > 0)
        below, right = int(region.bottom < frame.image_height - 1), int(region.right < frame.image_width - 1)
        inside = np.pad(self.view > self.threshold, ((above, below), (left, right)))
        rows, columns = np.nonzero(inside[1:] != inside[:-1])
        beside_rows, beside_columns = np.nonzero(inside[:, 1:] != inside[:, :-1])
        y = np.concatenate((rows + 1.0, beside_rows + 0.5)) - above
        x = np.concatenate((columns + 0.5, beside_columns + 1.0)) - left
        height, width = self.view.shape
        x = region.left + x * region.width / width - 0.5
        y = region.top + y * region.height / height - 0.5
        return np.stack((x, y), axis=1)

    @cached_property
    def confidence(self) -> float:
        """How good the mask probably is, 0..1: the expected intersection over union with the truth.

        After a first click it is what answers that look like this one had on photos with known masks
        (:mod:`fcfi_core.rating`). Elsewhere it follows from the probabilities
        (:func:`~fcfi_core.rating.expected_overlap`): it ranks masks of one model; as an absolute figure it is
        as honest as the probabilities.
        """
        if self.rated is not None:
            return self.rated
        return expected_overlap(self.view, self.view > self.threshold)

    @cached_property
    def suggestion(self) -> Suggestion | None:
        """Where one more click is worth most, as the network sees it (:mod:`fcfi_core.suggestions`).

        None where nothing is in doubt. Ask somebody whether that pixel belongs to the object; click there.
        After a first click the answers to choose from are asked, too (:attr:`candidates`).
        """
        answers: list[NDArray[np.bool_]] = []
        if sum(click.positive for click in self.clicks) == 1:
            answers = [one.frame.moved(one.view, self.frame) > one.threshold for one in self.candidates]
        return suggestion(self.view, self.threshold, self.frame, self.clicks, answers)

    @cached_property
    def box(self) -> Box | None:
        """The smallest box around the mask, or None if that is empty."""
        return masks.box_of(self.mask, self._part)

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return 0 if self._part is None else int(np.count_nonzero(masks.crop(self.mask, self._part)))

    @cached_property
    def _part(self) -> Box | None:
        """A box that holds all of the mask, a little larger than needed: found in the frame, in no time."""
        # Colours take no pixel in whose probability is less than DOUBT.
        part = self.frame.foreground(self.view, min(self.threshold, DOUBT), margin=1)
        return None if part is None else Box(part.left, part.top, part.right, part.bottom)

    def overlay(
        self, image: LoadedImage | None = None, colour: tuple[int, int, int] = (255, 120, 0)
    ) -> PictureFile:
        """Return the photo with the mask in half-transparent ``colour``, a Pillow image (RGB).

        Args:
            image: the photo, where the result has lost it (it does not travel to other processes).
            colour: red, green, blue, 0..255.

        Raises:
            SettingsError: if there is no photo.
        """
        from PIL import Image

        return Image.fromarray(cutting.painted(self._photo(image), self.mask, colour))

    def cutout(self, image: LoadedImage | None = None, *, crop: bool = False) -> PictureFile:
        """Return the object alone on a transparent ground, a Pillow image (RGBA), with soft edges.

        Along the edge opacity follows the probability, and colours are those of the object nearby instead
        of mixtures with what was behind it (:mod:`fcfi_core.masks.cutting`).

        Args:
            image: the photo, where the result has lost it (it does not travel to other processes).
            crop: only the part of the photo around the object, instead of all of it.

        Raises:
            SettingsError: if there is no photo, or nothing to cut out.
        """
        from PIL import Image

        if self.box is None:
            raise SettingsError("the mask is empty: there is nothing to cut out; click on an object first.")
        photo, reach = self._photo(image), max(_SOFT_REACH, 1 / self.frame.scale)
        alone, part = cutting.cut(photo, self.mask, self.probability, self.threshold, reach)
        if crop:
            return Image.fromarray(alone)
        whole = np.zeros((*self.mask.shape, 4), np.uint8)
        whole[part] = alone
        return Image.fromarray(whole)

    def save(self, path: str | Path, what: Literal["mask", "overlay", "cutout"] = "mask") -> None:
        """Write the mask (0 and 255), the overlay or the cut-out as a picture file.

        The file is written beside its place and renamed, so what is there is whole.

        Args:
            path: its suffix names the format: .png, .tif, .bmp, .webp, and .jpg for overlays alone.
            what: to write.

        Raises:
            SettingsError: for another suffix or word, or if the file cannot be written.
        """
        if what not in SUFFIXES_OF:
            raise SettingsError(f"what to save is {what!r}; give one of {', '.join(SUFFIXES_OF)}.")
        path = Path(path)
        outputs.require_writable(path, "path", SUFFIXES_OF[what])
        outputs.write(path, outputs.encoded(self._picture(what), path), "choose another place")

    def encoded(self, path: Path, what: Literal["mask", "overlay", "cutout"] = "mask") -> bytes:
        """Return the bytes of the file that :meth:`save` would write."""
        return outputs.encoded(self._picture(what), path)

    def _picture(self, what: str) -> NDArray[np.uint8]:
        if what == "mask":
            return self.mask.astype(np.uint8) * 255
        return np.asarray(self.overlay() if what == "overlay" else self.cutout())

    def _photo(self, image: LoadedImage | None) -> NDArray[np.uint8]:
        image = image or self.image
        if image is None:
            raise SettingsError("this result has lost its photo; give it, for example predictor.load(path).")
        if (image.height, image.width) != self.mask.shape:
            height, width = self.mask.shape
            raise SettingsError(
                f"the photo has {image.width} x {image.height} pixels, the mask {width} x {height}; give the "
                "photo that was clicked on."
            )
        return image.pixels

    def finished(self, finish: Finish = USUAL) -> Result:
        """Return the same result with specks removed from the mask and pinholes filled.

        The part under a positive click and the hole under a negative one stay. The probability and the
        confidence are those of the network, as before.

        Args:
            finish: what counts as small; the default is that of every door.
        """
        if finish.changes_nothing:
            return self
        keep = (self.implied_click,) if self.implied_click else self.clicks
        return replace(self, cleaned_mask=finish.applied(self.mask, keep, self._part))

    def inside(self, box: Box) -> Result:
        """Return the same result with nothing of the mask outside ``box`` (inside the image)."""
        cut = np.zeros_like(self.mask)
        masks.crop(cut, box)[:] = masks.crop(self.mask, box)
        return replace(self, cleaned_mask=cut)

    def cleaned(self, min_area: float | None = None, max_hole: float | None = None) -> Result:
        """Return the result :meth:`finished` with the figures of a ``Finish``."""
        return self.finished(Finish(min_area, max_hole))

    def polygons(
        self,
        tolerance: float = 1.0,
        max_points: int | None = 200,
        holes: Literal["keep", "fill", "bridge"] = "keep",
    ) -> Polygons:
        """Return the outlines of the mask, parts largest first, each with its holes.

        Args:
            tolerance: pixels by which the outline may leave the mask's edge.
            max_points: budget for all outlines together; ``lost_iou`` of the result tells its price.
            holes: "keep" them as rings, "fill" them, or "bridge" them into the exterior.
        """
        return masks.to_polygons(self.mask, tolerance, max_points, holes, within=self._part)

    def rle(self, code: Literal["coco", "label_studio", "cvat"]) -> Any:
        """Return the mask in a run-length code.

        Args:
            code: "coco" (a dict with ``size`` and compressed ``counts``), "label_studio" (a list of
                bytes), or "cvat" (a list of runs, then left, top, right, bottom of the mask's box).

        Raises:
            SettingsError: for any other code.
        """
        if code not in _CODES:
            raise SettingsError(f"run-length code is {code!r}; give one of {', '.join(_CODES)}.")
        return _CODES[code](self.mask, within=self._part)


def exclusive(results: Sequence[Result]) -> tuple[Result, ...]:
    """Return results of one image with masks that do not overlap.

    Who gets a disputed pixel: :func:`fcfi_core.masks.partition.partition`. Probabilities and confidences
    stay the network's. One result alone stays as it is.
    """
    if len(results) < 2:
        return tuple(results)

    def likelihood(number: int, part: Box) -> Map:
        return results[number].probability_in(part)

    parts = partition([result.mask for result in results], likelihood)
    return tuple(replace(result, cleaned_mask=part) for result, part in zip(results, parts, strict=True))
