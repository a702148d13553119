"""Clicks that people really made, from a click log, on the regions of training photos.

A log knows photos by their content and objects by their clicks. An object belongs to the region of the photo
that its first positive click lies in; clicks that contradict that region (a positive one beside it, or a
negative one on it: people err, and mean other things) are no use for training on it. What is left says where
people begin on such an object, and where they correct.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fcfi_core.click_log import Entry
from fcfi_core.clicks import Click
from fcfi_core.training.photos import IGNORED, Photo, RealClicks


@dataclass(frozen=True)
class Found:
    """What a log holds for some photos.

    Args:
        photos: with the clicks on their regions.
        objects: of the log that were found on them.
        clicks: of these that are used.
        contradicting: of these that are not, because they contradict the region.
    """

    photos: list[Photo]
    objects: int
    clicks: int
    contradicting: int


def with_real_clicks(photos: Sequence[Photo], entries: Iterable[Entry]) -> Found:
    """Return ``photos`` with the clicks of ``entries`` that were made on them."""
    by_image: dict[str, list[Entry]] = {}
    for entry in entries:
        by_image.setdefault(entry.image, []).append(entry)
    found, objects, used, contradicting = [], 0, 0, 0
    for photo in photos:
        clicks: dict[int, tuple[RealClicks, ...]] = {}
        for entry in by_image.get(photo.digest, ()) if photo.digest else ():
            region, real, dropped = _on(photo, entry)
            if region is None:
                continue
            clicks[region] = (*clicks.get(region, ()), real)
            objects, used, contradicting = objects + 1, used + len(real.clicks), contradicting + dropped
        found.append(replace(photo, clicks=clicks) if clicks else photo)
    return Found(found, objects, used, contradicting)


def _on(photo: Photo, entry: Entry) -> tuple[int | None, RealClicks, int]:
    """Return the region that an object of the log is, its clicks there, and how many contradict it."""
    height, width = photo.ids.shape
    prompt = entry.asked()
    placed = [
        Click(
            min(int((click.x + 0.5) * width / entry.width), width - 1),
            min(int((click.y + 0.5) * height / entry.height), height - 1),
            click.positive,
        )
        for click in prompt.clicks
    ]
    first = next((click for click in placed if click.positive), None)
    region = None if first is None else int(photo.ids[first.y, first.x])
    if region is None or region not in photo.regions:
        return None, RealClicks(False, ()), 0
    agreeing = [
        click
        for click in placed
        if (here := int(photo.ids[click.y, click.x])) != IGNORED and (here == region) == click.positive
    ]
    begins = not prompt.starts and agreeing[0] == placed[0] and placed[0].positive
    return region, RealClicks(begins, tuple(agreeing)), len(placed) - len(agreeing)
