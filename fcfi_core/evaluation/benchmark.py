"""The evaluation loop: a simulated annotator clicks on every object until the mask is good enough.

Conventions
-----------
* A *segmenter* is anything with ``open(pixels)`` that returns a session with ``click(x, y, positive)``:
  a :class:`~fcfi_core.predictor.Predictor`, a baseline, or a plain function ``(pixels, clicks) -> mask``.
* The annotator stops at ``max_clicks``, when nothing is left to correct, or (unless
  ``all_clicks``) when the highest target is reached. The mask then stays as it is, and so do its
  figures at later clicks.
* Milliseconds of a click are those of ``session.click`` until the mask is there at the size of the
  photo: *network* is what the segmenter reports as such, *rest* is everything else. Reading files, the
  simulated annotator and the metrics do not count; ``spc_ms`` is the official figure, which
  counts them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click
from fcfi_core.datasets.samples import Sample
from fcfi_core.errors import DataError, FcfiError, SettingsError
from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.answering import AnsweringSession
from fcfi_core.evaluation.choosing import ChoosingSession
from fcfi_core.evaluation.clicker import BoolMask, Clicker, ClickNoise
from fcfi_core.predictor import Predictor

NETWORK_TIMINGS = ("encode", "network")
"""Entries of a result's ``timings`` that are the network's."""


class Answer(Protocol):
    """What a click gives: a mask and, if known, its confidence and where the time went."""

    @property
    def mask(self) -> BoolMask:
        """(H, W) bool."""

    @property
    def confidence(self) -> float:
        """How good the segmenter believes the mask to be, 0..1; NaN if it has no idea."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Milliseconds by name; those of NETWORK_TIMINGS count as the network's."""


class ClickSession(Protocol):
    """One object in one photo."""

    def click(self, x: int, y: int, positive: bool = True) -> Answer:
        """Add a click and return the new mask."""


@runtime_checkable
class Segmenter(Protocol):
    """Whatever turns clicks into masks."""

    def open(self, image: NDArray[np.uint8]) -> Any:
        """Return a :class:`ClickSession` for one object in ``image``, (H, W, 3) RGB."""


SegmentFunction = Callable[[NDArray[np.uint8], tuple[Click, ...]], BoolMask]
"""The plain form: photo and all clicks in order -> mask."""


@dataclass(frozen=True)
class Rules:
    """How the annotator behaves and what is measured.

    Args:
        max_clicks: limit for one object.
        targets: IoU values that count as good enough, in ascending order.
        all_clicks: go on to ``max_clicks`` even when the highest target is reached.
        official: the official evaluation, defects included: the annotator never stops (and clicks at
            (0, 0) when nothing is wrong), boundary IoU mixes ignored pixels into the erosion, surface
            distance counts what is predicted there.
        boundaries: also measure boundary IoU and surface distance (a few milliseconds a click).
        noise: moves clicks; None clicks exactly on target.
        seed: of the noise.
    """

    max_clicks: int = 20
    targets: tuple[float, ...] = metrics.TARGETS
    all_clicks: bool = False
    official: bool = False
    boundaries: bool = True
    noise: ClickNoise | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_clicks < 1:
            raise SettingsError(f"limit of clicks is {self.max_clicks}; give 1 or more.")
        if not self.targets or not all(0 < target <= 1 for target in self.targets):
            raise SettingsError(f"IoU targets are {self.targets}; give shares above 0 and at most 1.")

    @property
    def stop_at(self) -> float | None:
        """IoU at which the annotator is content; None: never."""
        return None if self.all_clicks or self.official else max(self.targets)


@dataclass(frozen=True, eq=False)
class Trace:
    """What happened with one object. Sequences have one entry per click.

    Args:
        dataset, image_name, object_id, area: the object; area in pixels.
        clicks: in order.
        ious, bious, assds: of the masks (the latter two empty where not measured).
        narrow_bious: boundary IoU with the narrow band, likewise.
        confidences: what the segmenter said of them, NaN where it said nothing.
        network_ms, rest_ms: time of the clicks.
        elapsed_ms: of the whole object, annotator and metrics included.
        best_first: IoU of the best answer to the first click; NaN where there was no choice to look at.
    """

    dataset: str
    image_name: str
    object_id: int
    area: int
    clicks: tuple[Click, ...]
    ious: tuple[float, ...]
    bious: tuple[float, ...]
    assds: tuple[float, ...]
    confidences: tuple[float, ...]
    network_ms: tuple[float, ...]
    rest_ms: tuple[float, ...]
    elapsed_ms: float
    best_first: float = float("nan")
    narrow_bious: tuple[float, ...] = ()


def trace(segmenter: Segmenter | SegmentFunction, sample: Sample, rules: Rules) -> tuple[Trace, BoolMask]:
    """Return what happens when the annotator cuts out ``sample``, and the last mask, (H, W) bool.

    Raises:
        DataError: if the segmenter's mask is not (H, W) bool of the photo's size.
        FcfiError: what the segmenter raises, with the object's name added.
    """
    start = time.perf_counter()
    # Predictors take the loaded photo, whose digest is known: pixels would be hashed again for every object.
    if isinstance(segmenter, Predictor):
        session: ClickSession = segmenter.open(sample.loaded)
    else:
        session = as_segmenter(segmenter).open(sample.pixels)
    annotator = Clicker(
        sample.truth,
        sample.ignore,
        stop_when_perfect=not rules.official,
        noise=rules.noise,
        seed=_seed_of(rules.seed, sample.name),
    )
    mask: BoolMask = np.zeros(sample.truth.shape, np.bool_)
    chooser = session if isinstance(session, ChoosingSession) else None
    answering = session if isinstance(session, AnsweringSession) else None
    steps = _Steps(sample, rules)
    best_first = float("nan")
    while len(steps.clicks) < rules.max_clicks:
        answer = answering.answer(sample.truth, sample.ignore) if answering else None
        click = annotator.next(mask) if answer is None else answer
        if click is None:
            break
        try:
            given, time_of_click = _timed(session, click)
            mask = given.mask
            steps.add(click, given, time_of_click)
            if chooser and len(steps.clicks) == 1 and rules.max_clicks > 1:
                best_first, chosen = chooser.better(sample.truth, sample.ignore)
                if chosen is not None and not steps.are_enough:
                    mask = chosen.mask
                    steps.add(click, chosen, (0.0, 0.0))
        except FcfiError as error:
            raise type(error)(f"{sample.name}, click {len(steps.clicks) + 1}: {error}") from error
        if steps.are_enough:
            break
    found = Trace(
        dataset=sample.dataset,
        image_name=sample.image_name,
        object_id=sample.object_id,
        area=int(np.count_nonzero(sample.truth)),
        clicks=tuple(steps.clicks),
        ious=tuple(steps.ious),
        bious=tuple(steps.bious),
        assds=tuple(steps.assds),
        confidences=tuple(steps.confidences),
        network_ms=tuple(network for network, _ in steps.times),
        rest_ms=tuple(rest for _, rest in steps.times),
        elapsed_ms=1000 * (time.perf_counter() - start),
        best_first=best_first,
        narrow_bious=tuple(steps.narrow_bious),
    )
    return found, mask


class _Steps:
    """What is noted of each click."""

    def __init__(self, sample: Sample, rules: Rules) -> None:
        self._sample = sample
        self._rules = rules
        self.clicks: list[Click] = []
        self.ious: list[float] = []
        self.bious: list[float] = []
        self.narrow_bious: list[float] = []
        self.assds: list[float] = []
        self.confidences: list[float] = []
        self.times: list[tuple[float, float]] = []

    def add(self, click: Click, answer: Answer, time_of_click: tuple[float, float]) -> None:
        """Note what ``click`` gave."""
        truth, ignore, rules = self._sample.truth, self._sample.ignore, self._rules
        self.clicks.append(click)
        self.confidences.append(answer.confidence)
        self.times.append(time_of_click)
        self.ious.append(metrics.iou(answer.mask, truth, ignore))
        if rules.boundaries:
            self.bious.append(metrics.boundary_iou(answer.mask, truth, ignore, official=rules.official))
            ignored = None if rules.official else ignore
            self.narrow_bious.append(metrics.boundary_iou(answer.mask, truth, ignored, pixels=metrics.NARROW))
            self.assds.append(metrics.surface_distance(answer.mask, truth, ignored))

    @property
    def are_enough(self) -> bool:
        """Whether the annotator is content with the last mask."""
        return self._rules.stop_at is not None and self.ious[-1] >= self._rules.stop_at


def noc(
    segmenter: Segmenter | SegmentFunction,
    samples: Iterable[Sample],
    targets: Sequence[float] = (0.85, 0.90),
    max_clicks: int = 20,
) -> dict[str, float]:
    """Return the click metrics of :func:`fcfi_core.evaluation.metrics.evaluate`, as fast as possible.

    The short form for a development split: no boundary metrics, no pictures, early stop.

    Args:
        segmenter: a predictor, or a function ``(pixels, clicks) -> mask``.
        samples: objects, for example a :class:`~fcfi_core.datasets.samples.Selection`.
        targets: IoU values, shares.
        max_clicks: limit for one object.

    >>> from fcfi_core.datasets.samples import Sample
    >>> truth = np.zeros((20, 20), bool); truth[5:15, 5:15] = True
    >>> sample = Sample("set", "photo", 1, np.zeros((20, 20, 3), np.uint8), truth)
    >>> noc(lambda pixels, clicks: truth, [sample])["noc@90"]
    1.0
    """
    rules = Rules(max_clicks=max_clicks, targets=tuple(targets), boundaries=False)
    series = [trace(segmenter, sample, rules)[0].ious for sample in samples]
    return metrics.evaluate(metrics.table(series, max_clicks), targets=targets)


def as_segmenter(segmenter: Segmenter | SegmentFunction) -> Segmenter:
    """Return ``segmenter``, with ``open`` added if it is a plain function."""
    return segmenter if isinstance(segmenter, Segmenter) else _Function(segmenter)


@dataclass(frozen=True, eq=False)
class PlainAnswer:
    """The least a click can give.

    Args:
        mask: (H, W) bool.
        timings: milliseconds by name.
        confidence: 0..1, NaN if unknown.
    """

    mask: BoolMask
    timings: Mapping[str, float] = field(default_factory=dict)
    confidence: float = float("nan")


@dataclass(frozen=True)
class _Function:
    function: SegmentFunction

    def open(self, image: NDArray[np.uint8]) -> _FunctionSession:
        return _FunctionSession(self.function, image)


class _FunctionSession:
    def __init__(self, function: SegmentFunction, image: NDArray[np.uint8]) -> None:
        self._function = function
        self._image = image
        self._clicks: tuple[Click, ...] = ()

    def click(self, x: int, y: int, positive: bool = True) -> PlainAnswer:
        self._clicks = (*self._clicks, Click(x, y, positive))
        return PlainAnswer(self._function(self._image, self._clicks))


def _timed(session: ClickSession, click: Click) -> tuple[Answer, tuple[float, float]]:
    """Return the answer to ``click``, and the milliseconds of the network and of the rest."""
    start = time.perf_counter()
    answer = session.click(click.x, click.y, click.positive)
    mask = answer.mask
    total = 1000 * (time.perf_counter() - start)
    if mask.dtype != np.bool_:
        raise DataError(f"the segmenter returned a mask of {mask.dtype}; it must be bool.")
    network = sum(answer.timings.get(name, 0.0) for name in NETWORK_TIMINGS)
    return answer, (network, max(total - network, 0.0))


def _seed_of(seed: int, name: str) -> int:
    """Return a seed of its own for each object, so that a choice of objects does not change the noise."""
    return int(np.random.SeedSequence([seed, *name.encode("utf-8", "surrogatepass")]).generate_state(1)[0])
