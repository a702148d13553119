"""The upgrade itself: frame by frame, shapes in, masks out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_function.settings import Settings
from cvat_function.upgrade import prompts
from cvat_function.upgrade.outcomes import Outcome, Outcomes
from cvat_function.upgrade.server import Work
from fcfi_core.errors import FcfiError, ImageError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import Finish
from fcfi_core.predictor import Predictor


@dataclass(frozen=True)
class Options:
    """What to upgrade, and into what.

    Attributes:
        kind: type of the new shapes, ``mask`` or ``polygon``.
        only_labels: names of the labels to work on; empty means all.
        from_types: types of the shapes to work on.
        keep: leave the old shapes beside the new ones.
        dry_run: write nothing.
    """

    kind: str = "mask"
    only_labels: frozenset[str] = frozenset()
    from_types: frozenset[str] = frozenset(("rectangle", "points"))
    keep: bool = False
    dry_run: bool = False


@dataclass(frozen=True, eq=False)
class Upgraded:
    """One shape and what became of it; ``mask`` (H, W) bool is None if there is a problem."""

    shape: dict[str, Any]
    outcome: Outcome
    mask: NDArray[np.bool_] | None


def pending(work: Work, options: Options, outcomes: Outcomes) -> dict[int, list[dict[str, Any]]]:
    """Return the shapes still to be upgraded, by frame number in ascending order."""
    frames = defaultdict(list)
    for shape in sorted(work.shapes, key=lambda shape: (shape["frame"], shape["id"])):
        if (
            shape["type"] in options.from_types
            and shape["type"] != options.kind
            and shape["id"] not in outcomes.upgraded
            and shape["frame"] not in work.deleted_frames
            and (not options.only_labels or work.label_name(shape["label_id"]) in options.only_labels)
        ):
            frames[shape["frame"]].append(shape)
    return dict(frames)


def upgrade(
    work: Work, settings: Settings, predictor: Predictor, options: Options, outcomes: Outcomes
) -> Iterator[tuple[int, LoadedImage | None, list[Upgraded]]]:
    """Upgrade what is pending; yield ``(frame number, image, what became of its shapes)`` per frame.

    Every frame is one request to the server, followed by its lines in the journal: an interrupted run
    repeats at most one frame, and finds what that frame's request has already written.

    Raises:
        DataError: if the server refuses for good.
    """
    groups = max((shape.get("group") or 0 for shape in work.shapes), default=0)
    for number, shapes in pending(work, options, outcomes).items():
        try:
            image = settings.load_frame(work.frame(number))
        except ImageError as error:
            found = [_failed(work, shape, str(error)) for shape in shapes]
            yield number, None, _noted(found, outcomes)
            continue
        found, new = [], []
        for shape in shapes:
            groups += 1
            one, replacements = _one(work, settings.finish, predictor, image, shape, options, groups)
            found.append(one)
            new += replacements
        if new and not options.dry_run and not (options.keep and work.holds(new)):
            work.write(new, replace=not options.keep)
        yield number, image, _noted(found, outcomes)


def _one(
    work: Work,
    finish: Finish,
    predictor: Predictor,
    image: LoadedImage,
    shape: dict[str, Any],
    options: Options,
    group: int,
) -> tuple[Upgraded, list[dict[str, Any]]]:
    """Return what becomes of ``shape``, and the shapes to write for it."""
    if not work.accepts(shape["label_id"], options.kind):
        name = work.label_name(shape["label_id"])
        problem = f"the label {name} does not take shapes of type {options.kind}; change its type to any."
        return _failed(work, shape, problem), []
    try:
        found = prompts.segment(predictor, image, shape, finish)
        new = prompts.replacements(shape, found.mask, found.confidence, options.kind, group)
    except FcfiError as error:
        return _failed(work, shape, str(error)), []
    if not options.keep:
        new[0]["id"] = shape["id"]
    outcome = Outcome(
        shape["id"],
        shape["frame"],
        work.label_name(shape["label_id"]),
        shape["type"],
        round(found.confidence, 4),
        round(prompts.fit(shape, found.mask), 4),
    )
    return Upgraded(shape, outcome, found.mask), new


def _failed(work: Work, shape: dict[str, Any], problem: str) -> Upgraded:
    label = work.label_name(shape["label_id"])
    outcome = Outcome(shape["id"], shape["frame"], label, shape["type"], 0.0, 0.0, problem)
    return Upgraded(shape, outcome, None)


def _noted(found: list[Upgraded], outcomes: Outcomes) -> list[Upgraded]:
    outcomes.add(one.outcome for one in found)
    return found
