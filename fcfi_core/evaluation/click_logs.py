"""What a click log tells: how many clicks a team's objects took, and what another model makes of them.

Nothing is known of the truth: an object's last mask is what somebody was content with. Played again, its
clicks go to another model, and the masks of both are compared. These clicks corrected the first model, so the
figure says how alike two models are under real clicks, and not which one is better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fcfi_core.click_log import Entry, mask_digest
from fcfi_core.click_log.log import FINISHED_AFTER
from fcfi_core.datasets.photos import photos_below
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.evaluation import metrics
from fcfi_core.images import LoadedImage, digest_of
from fcfi_core.predictor import Predictor

AGREED = 0.9
"""Intersection over union from which two masks count as the same object."""


def joined(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return one entry for each object, where several processes served it and each wrote down its part.

    Entries of one door, image and beginning belong together while no more than
    :data:`fcfi_core.click_log.log.FINISHED_AFTER` seconds lie between them. The one that went on longest
    stays, with the answers of all.
    """
    found: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda one: one.time):
        prompt = entry.asked()
        key = entry.door, entry.image, prompt.start_digest, prompt.clicks[:1] if not prompt.starts else ()
        before = found[key][-1] if found[key] else None
        if before is not None and _began(entry) - _ended(before) <= FINISHED_AFTER:
            longer = max(before, entry, key=_ended)
            apart = _began(longer) - _began(before)
            found[key][-1] = replace(
                longer,
                time=before.time,
                answers=before.answers + entry.answers,
                seconds=tuple(second + apart for second in longer.seconds),
                lasted=longer.lasted + apart,
            )
        else:
            found[key].append(entry)
    return tuple(sorted((one for group in found.values() for one in group), key=lambda one: one.time))


@dataclass(frozen=True)
class Habits:
    """How objects were cut out at one door. Times in seconds, medians over objects.

    Args:
        door: where; "all" for all of them.
        objects: how many.
        clicks, median_clicks, most_clicks: of an object: mean, median, most.
        negative: share of negative clicks.
        taken_back: clicks undone or moved, for each object.
        seconds: from the first answer to the last, of objects with more than one click.
        seconds_between: between two clicks.
        milliseconds: of computing an answer, median over clicks.
        confidence: of the last mask, mean.
    """

    door: str
    objects: int
    clicks: float
    median_clicks: float
    most_clicks: int
    negative: float
    taken_back: float
    seconds: float
    seconds_between: float
    milliseconds: float
    confidence: float


def habits(entries: Sequence[Entry]) -> tuple[Habits, ...]:
    """Return a row for each door, and one for all if there are several."""
    doors = sorted({entry.door for entry in entries})
    rows = [_habits(door, [entry for entry in entries if entry.door == door]) for door in doors]
    return tuple(rows if len(rows) == 1 else [*rows, _habits("all", entries)])


def _habits(door: str, entries: Sequence[Entry]) -> Habits:
    clicks = [entry.prompt.get("clicks") or [] for entry in entries]
    counts = [len(some) for some in clicks]
    negative = [not click.get("positive", True) for some in clicks for click in some]
    several = [entry for entry in entries if len(set(entry.seconds)) > 1]
    between = [gap for entry in several for gap in np.diff(entry.seconds) if gap > 0]
    spent = [time for entry in entries for time in entry.milliseconds if time > 0]
    return Habits(
        door=door,
        objects=len(entries),
        clicks=float(np.mean(counts)),
        median_clicks=float(np.median(counts)),
        most_clicks=max(counts),
        negative=float(np.mean(negative)) if negative else float("nan"),
        taken_back=float(np.mean([entry.taken_back for entry in entries])),
        seconds=_median(entry.lasted for entry in several),
        seconds_between=_median(between),
        milliseconds=_median(spent),
        confidence=float(np.mean([entry.confidence for entry in entries])),
    )


@dataclass(frozen=True)
class PlayedAgain:
    """One object, asked of another model.

    Args:
        entry: of the log.
        file: of the photo.
        same: whether the mask is the logged one, bit for bit.
        iou: of its mask and that of the model to compare with; NaN without one.
    """

    entry: Entry
    file: Path
    same: bool
    iou: float


@dataclass(frozen=True)
class Replay:
    """What came of playing a log again.

    Args:
        played: one for each object whose photo was found.
        missing: objects whose photo was not found.
        failed: sentences on what could not be played.
    """

    played: tuple[PlayedAgain, ...]
    missing: int
    failed: tuple[str, ...]


def replay(
    entries: Sequence[Entry],
    folder: Path,
    predictor: Predictor,
    reference: Predictor | None = None,
    progress: Callable[[Iterable[Entry]], Iterable[Entry]] = iter,
) -> Replay:
    """Ask ``predictor`` what was asked then.

    Args:
        entries: of a log, see :func:`joined`.
        folder: holds the photos, also in folders below; they are told by their content.
        predictor: answers.
        reference: the model to compare with; None: masks are compared by their digests alone.
        progress: sees the entries on their way.

    Raises:
        DataError: if none of the photos is there.
    """
    photos = _photos(folder, {entry.image for entry in entries}, predictor)
    if not photos:
        raise DataError(
            f"--images is {str(folder)!r}, where none of the {len({one.image for one in entries})} photos of "
            "the log is; give the folder with the files that were annotated, unchanged."
        )
    played, failed = [], []
    image: tuple[str, LoadedImage] | None = None
    for entry in progress(sorted((one for one in entries if one.image in photos), key=lambda one: one.image)):
        path, ignore_alpha = photos[entry.image]
        try:
            if image is None or image[0] != entry.image:
                image = entry.image, _loaded(path, ignore_alpha, predictor)
            prompt, finish = entry.asked(), entry.finished_by()
            mask = predictor.answer(image[1], prompt).finished(finish).mask
            other = None if reference is None else reference.answer(image[1], prompt).finished(finish).mask
        except FcfiError as error:
            failed.append(f"{path.name}: {error}")
            continue
        iou = float("nan") if other is None else metrics.iou(mask, other)
        played.append(PlayedAgain(entry, path, mask_digest(mask) == entry.mask, iou))
    return Replay(tuple(played), sum(one.image not in photos for one in entries), tuple(failed))


def _photos(folder: Path, wanted: set[str], predictor: Predictor) -> dict[str, tuple[Path, bool]]:
    """Return where the photos of those digests are, and whether their transparency was ignored."""
    if not folder.is_dir():
        raise DataError(f"--images is {str(folder)!r}, which is no folder; give the one with the photos.")
    found: dict[str, tuple[Path, bool]] = {}
    files = sorted(path for path in photos_below(folder) if isinstance(path, Path))
    for path in files:
        try:
            encoded = path.read_bytes()
        except OSError:
            continue
        for ignore_alpha in (False, True):
            found.setdefault(digest_of(encoded, ignore_alpha=ignore_alpha), (path, ignore_alpha))
    found = {digest: place for digest, place in found.items() if digest in wanted}
    if len(found) < len(wanted):  # doors that were given pixels know those alone
        for path in files:
            try:
                digest = predictor.load(predictor.load(path).pixels).digest
            except FcfiError:
                continue
            if digest in wanted:
                found.setdefault(digest, (path, False))
    return found


def _loaded(path: Path, ignore_alpha: bool, predictor: Predictor) -> LoadedImage:
    from fcfi_core.images import load

    return load(path, ignore_alpha=True) if ignore_alpha else predictor.load(path)


def _began(entry: Entry) -> float:
    return datetime.fromisoformat(entry.time).timestamp()


def _ended(entry: Entry) -> float:
    return _began(entry) + entry.lasted


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.median(found)) if found else float("nan")
