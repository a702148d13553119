"""Images in order of need: where a person's clicks are worth most, by the model's own doubt.

An image with prompts (boxes, clicks, drafts) needs as much as its objects are doubtful: one minus the
expected IoU of each mask, on average. An image without prompts is asked at nine places, in the middle of the
thirds of its sides: whatever lies there is an object to the network, and its doubts stand for the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from fcfi_core.clicks import Click
from fcfi_core.datasets.left_out import nothing_noted
from fcfi_core.datasets.objects import AnnotatedPhoto
from fcfi_core.datasets.photos import path_below, photos_below
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.images import LoadedImage
from fcfi_core.pipelines.prompts import ImagePrompts, OpenedImage, PromptSource
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.stores import Stored
from fcfi_core.workers import Job, Lost, Place, Threads, finished, suited

_PLACES = 3
"""Along each side, where an image without prompts is asked."""


@dataclass(frozen=True)
class Need:
    """What one image needs.

    Args:
        image: its name in the source.
        id: the source's own number of it, if it has one.
        need: 0 (nothing in doubt) to 1; NaN if that cannot be said.
        objects: how many masks it is the mean of.
        least: confidence of the most doubtful one, 0..1.
        error: why nothing can be said; "" if something can.
    """

    image: str
    id: int | None
    need: float
    objects: int
    least: float
    error: str = ""


@dataclass(frozen=True)
class Batch:
    """Consecutive images of a source, for platforms that hand them out together.

    Args:
        number: from 0, in the order of the source.
        first, last: index of its first and last image, from 0.
        need: mean of those of which something can be said; NaN if that is none.
    """

    number: int
    first: int
    last: int
    need: float


def needs(
    predictor: Predictor,
    source: PromptSource,
    *,
    place: Place | None = None,
    make_predictor: Callable[[], Predictor] | None = None,
    progress: bool = False,
) -> list[Need]:
    """Return what each image of ``source`` needs, in its order.

    Args:
        predictor: whose doubt counts.
        source: images, with prompts or without.
        place: where the work is done; None: in one thread.
        make_predictor: makes a predictor like ``predictor`` in each worker process; None: threads.
        progress: show a bar on standard error.

    Raises:
        WorkerError: if worker processes end whatever they are given.
    """
    images, pending = source.images, range(len(source.images))
    job = Job(
        partial(_need, predictor),
        partial(_judge, make_predictor, predictor.model.key) if make_predictor else None,
    )
    found: dict[int, Need] = {}
    with (
        suited(place or Threads(), job, images, pending) as opened,
        tqdm(total=len(images), unit="image", disable=not progress, dynamic_ncols=True) as bar,
    ):
        for index, answer in finished(opened, job, images, pending):
            found[index] = _unknown(images[index], f"{answer}.") if isinstance(answer, Lost) else answer
            bar.update()
    return [found[index] for index in pending]


def _judge(make_predictor: Callable[[], Predictor], key: tuple[str, ...]) -> Callable[[ImagePrompts], Need]:
    """Return the work of a process, whose doubts are those of the main process to the last bit."""
    predictor = make_predictor()
    predictor.model.require_key(key)
    return partial(_need, predictor)


def _unknown(image: ImagePrompts, why: str) -> Need:
    return Need(image.name, image.id, float("nan"), 0, float("nan"), why)


def by_need(found: Iterable[Need]) -> list[Need]:
    """Return the neediest first; what cannot be judged comes last, for it needs a person in another way."""
    return sorted(found, key=lambda one: (bool(one.error), -one.need if not one.error else 0.0))


def batches(found: Sequence[Need], size: int) -> list[Batch]:
    """Return the batches of ``size`` consecutive images, the neediest first."""
    made = []
    for number, first in enumerate(range(0, len(found), size)):
        part = [one.need for one in found[first : first + size] if not one.error]
        mean = sum(part) / len(part) if part else float("nan")
        made.append(Batch(number, first, min(first + size, len(found)) - 1, mean))
    return sorted(made, key=lambda one: -one.need if one.need == one.need else 1.0)


def photos_without_prompts(folder: Path | Stored, max_pixels: int | None = None) -> PromptSource:
    """Return the photos in ``folder`` and the folders below, by name.

    Raises:
        DataError: if there is none.
    """
    paths = sorted(photos_below(folder), key=str)
    if not paths:
        raise DataError(f"{str(folder)!r} holds no photo; give a folder with photos, or a source of prompts.")
    found = [ImagePrompts(path_below(path, folder), partial(_opened, path, max_pixels)) for path in paths]
    return PromptSource(folder.name, "", found, {})


def _opened(path: Path | Stored, max_pixels: int | None) -> OpenedImage:
    photo = AnnotatedPhoto(path.name, path.name, path)
    return OpenedImage(photo.load(max_pixels), ())


def _need(predictor: Predictor, image: ImagePrompts) -> Need:
    try:
        opened = image.read()
        loaded = predictor.load(opened.picture)
        found = list(_confidences(predictor, loaded, opened))
    except (FcfiError, OSError) as error:
        return _unknown(image, str(error))
    if not found:
        return _unknown(image, "no object of it can be asked for.")
    return Need(image.name, image.id, 1 - sum(found) / len(found), len(found), min(found))


def _confidences(predictor: Predictor, loaded: LoadedImage, opened: OpenedImage) -> Iterator[float]:
    if not opened.objects:
        for prompt in _asked_everywhere(loaded.width, loaded.height):
            yield predictor.answer(loaded, prompt).confidence
    for wanted in opened.objects:
        try:
            yield predictor.answer(loaded, wanted.prompt(nothing_noted)).confidence
        except FcfiError:
            continue  # one damaged object says nothing of the others


def _asked_everywhere(width: int, height: int) -> Iterator[Prompt]:
    for row in range(_PLACES):
        for column in range(_PLACES):
            x = min(int(width * (column + 0.5) / _PLACES), width - 1)
            y = min(int(height * (row + 0.5) / _PLACES), height - 1)
            yield Prompt((Click(x, y),))
