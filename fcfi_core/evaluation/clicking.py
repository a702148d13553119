"""The unit of an evaluation: one photo, on whose objects every segmenter's annotator clicks.

A photo is decoded once for all its objects and all segmenters, wherever that happens, and what comes back is
small: traces, the counts of the panoptic quality, and the last masks of the first segmenter as run lengths,
of which pictures of the worst cases are drawn in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fcfi_core.datasets.samples import ChosenPhoto, Sample
from fcfi_core.errors import FcfiError
from fcfi_core.evaluation.benchmark import Rules, Segmenter, SegmentFunction, Trace, trace
from fcfi_core.evaluation.clicker import BoolMask
from fcfi_core.evaluation.panoptic import PanopticQuality, compared
from fcfi_core.masks import coco
from fcfi_core.masks.partition import Overlaid

Contestants = Mapping[str, Segmenter | SegmentFunction]
"""Segmenters by name, the one that was asked about first."""


@dataclass(frozen=True, eq=False)
class Clicked:
    """What came of one photo.

    Args:
        traces: of each segmenter, one for each object in order.
        panoptic: of each segmenter, of its last masks.
        masks: last masks of the first segmenter, one for each object, as COCO's run lengths.
        unreadable: why the photo cannot be read; "": it can.
    """

    traces: Mapping[str, tuple[Trace, ...]] = field(default_factory=dict)
    panoptic: Mapping[str, PanopticQuality] = field(default_factory=dict)
    masks: tuple[Mapping[str, Any], ...] = ()
    unreadable: str = ""


def clicked(contestants: Contestants, rules: Rules, photo: ChosenPhoto) -> Clicked:
    """Return what came of one photo.

    Raises:
        FcfiError: what a segmenter raises, with the object's name added.
    """
    try:
        opened = photo.read()
    except FcfiError as error:
        return Clicked(unreadable=str(error))
    traces: dict[str, list[Trace]] = {name: [] for name in contestants}
    layers: dict[str, _Layers] = {}
    masks = []
    for sample in photo.samples(opened):
        for number, (name, segmenter) in enumerate(contestants.items()):
            found, mask = trace(segmenter, sample, rules)
            traces[name].append(found)
            layers.setdefault(name, _Layers(sample)).add(sample, mask)
            if number == 0:
                masks.append(coco.encode(mask))
    return Clicked(
        {name: tuple(found) for name, found in traces.items()},
        {name: found.quality for name, found in layers.items()},
        tuple(masks),
    )


def clicking(make: Callable[[], Contestants], rules: Rules) -> Callable[[ChosenPhoto], Clicked]:
    """Return what does photo after photo, in a process that makes its own segmenters."""
    return partial(clicked, make(), rules)


class _Layers:
    """The objects of one photo and their last masks, overlaps resolved."""

    def __init__(self, sample: Sample) -> None:
        self._ignore = sample.ignore
        self._truth, self._found = Overlaid(sample.truth.shape), Overlaid(sample.truth.shape)

    def add(self, sample: Sample, mask: BoolMask) -> None:
        self._truth.add(sample.truth)
        self._found.add(mask)

    @property
    def quality(self) -> PanopticQuality:
        return compared(self._found.numbers, self._truth.numbers, self._ignore)
