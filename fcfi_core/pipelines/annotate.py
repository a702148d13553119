"""Many images with prompts become masks: resumable, by many workers, in bounded memory.

Every finished image is a line in the journal (:mod:`fcfi_core.pipelines.journal`). What can go wrong
with one image or object (missing file, damaged picture, a click outside) is written there too, and the
run goes on. When all images are through, the outputs are written from the journal in the order of
the source, so they are the same bytes whatever was interrupted, and whoever did the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from fcfi_core.click_log import ClickLog
from fcfi_core.datasets.left_out import LeftOut, Note
from fcfi_core.errors import FcfiError, SettingsError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import RAW, USUAL, Finish
from fcfi_core.pipelines.journal import Journal
from fcfi_core.pipelines.prompts import ImagePrompts, PromptSource, Use, Wanted, narrowed
from fcfi_core.predictor import Predictor
from fcfi_core.results import Result, exclusive
from fcfi_core.workers import Job, Lost, Place, Threads, finished, suited

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Options:
    """What determines the masks, beside prompts and model.

    Args:
        use: which kind of hints to use.
        segmentation: "rle" (exact), or "polygon" (holes bridged, within tolerance and budget).
        tolerance: of polygons, pixels.
        max_points: of polygons, for one object.
        finish: what becomes of specks and pinholes.
        exclusive: whether the objects of an image may not overlap; a disputed pixel goes to the likeliest.
        click_log: where finished objects are added, which changes no mask; None: nowhere.
    """

    use: Use = "auto"
    segmentation: Literal["rle", "polygon"] = "rle"
    tolerance: float = 1.0
    max_points: int = 200
    finish: Finish = USUAL
    exclusive: bool = False
    click_log: ClickLog | None = None

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise SettingsError(f"polygon tolerance is {self.tolerance}; give 0 or more pixels.")
        if self.max_points < 4:
            raise SettingsError(f"polygon budget is {self.max_points} points; give 4 or more.")

    def described(self) -> dict[str, Any]:
        """Return the options as they stand in a journal."""
        fields = {**vars(self), "clean": not self.finish.changes_nothing}
        finish = fields.pop("finish")
        del fields["click_log"]
        if not self.exclusive:
            del fields["exclusive"]  # as journals of runs without it have it
        if finish not in (USUAL, RAW):
            fields |= {"min_area": finish.min_area, "max_hole": finish.max_hole}
        return fields


def annotate(
    predictor: Predictor,
    source: PromptSource,
    out: Path,
    *,
    options: Options | None = None,
    place: Place | None = None,
    make_predictor: Callable[[], Predictor] | None = None,
    retry_errors: bool = False,
    progress: bool = False,
) -> Journal:
    """Cut out every object of ``source`` and return the journal of the finished run, open.

    Args:
        predictor: shared by all threads of this process.
        source: images and prompts.
        out: folder of the journal; made if needed. An unfinished journal in it is continued.
        options: None: the defaults.
        place: where the work is done; None: in two threads, which read and encode images while the network
            runs one pass at a time. A run of few images takes threads instead of processes, and so does a
            source that cannot be sent to a process.
        make_predictor: makes a predictor like ``predictor`` in each worker process; None: threads.
        retry_errors: do images again that failed, or that hold an object that failed.
        progress: show a bar on standard error.

    Raises:
        SettingsError: if the folder holds another run, or cannot be written.
        WorkerError: if worker processes end whatever they are given.
    """
    options = options or Options()
    place = place or Threads(2)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the folder {out}: {error.strerror}; give another one.") from None
    journal = Journal(out / JOURNAL, describe_run(predictor, source, options))
    try:
        done = journal.indices
        if retry_errors:
            done = {index for index, entry in journal.entries() if not failed(entry)}
        pending = [index for index in range(len(source.images)) if index not in done]
        job = Job(
            partial(_annotated, predictor, options),
            partial(_annotator, make_predictor, options, predictor.model.key) if make_predictor else None,
        )
        with (
            suited(place, job, source.images, pending) as opened,
            tqdm(
                total=len(source.images),
                initial=len(done),
                unit="image",
                disable=not progress,
                dynamic_ncols=True,
            ) as bar,
        ):
            for index, answer in finished(opened, job, source.images, pending):
                journal.append(index, _given_up(source.images[index], answer))
                bar.update()
    except BaseException:
        journal.__exit__(None, None, None)
        raise
    return journal


def describe_run(predictor: Predictor, source: PromptSource, options: Options) -> dict[str, Any]:
    """Return all that the masks depend on; two runs with equal descriptions give equal results."""
    protocol = predictor.protocol.to_dict()
    for later in ("refined", "traced"):
        if not protocol[later]:
            del protocol[later]  # as journals of runs without it have it
    return {
        "source": source.name,
        "prompts": source.digest,
        "model": predictor.model.digest,
        "engine": f"{predictor.model.engine.name} {predictor.model.engine.version}",
        "protocol": protocol,
        "options": options.described(),
    }


def failed(entry: Mapping[str, Any]) -> bool:
    """Return whether a journal entry tells of an error, of the image or of one of its objects."""
    return "error" in entry or any("error" in one for one in entry["objects"])


def _annotator(
    make_predictor: Callable[[], Predictor], options: Options, key: tuple[str, ...]
) -> Callable[[ImagePrompts], dict[str, Any]]:
    """Return the work of a process.

    Raises:
        SettingsError: if its masks would have other bits than those of the main process.
    """
    predictor = make_predictor()
    predictor.model.require_key(key)
    return partial(_annotated, predictor, options)


def _given_up(source: ImagePrompts, answer: dict[str, Any] | Lost) -> dict[str, Any]:
    """Return the journal entry of an answer; of one that cannot be had, an error."""
    return {"image": source.name, "error": f"{answer}."} if isinstance(answer, Lost) else answer


def _annotated(predictor: Predictor, options: Options, source: ImagePrompts) -> dict[str, Any]:
    return annotate_image(predictor, source, options)


def annotate_image(predictor: Predictor, source: ImagePrompts, options: Options) -> dict[str, Any]:
    """Return the journal entry of one image: its size and its objects, or why it failed."""
    entry: dict[str, Any] = {"image": source.name}
    try:
        opened = source.read()
        loaded = predictor.load(opened.picture)
    except (FcfiError, OSError) as error:
        return {**entry, "error": str(error)}
    entry |= {"width": loaded.width, "height": loaded.height}
    if loaded.notes:
        entry["notes"] = list(loaded.notes)
    left_out = LeftOut()
    found = [
        _cut_out(predictor, loaded, wanted, options, left_out.at(source.name)) for wanted in opened.objects
    ]
    if options.exclusive:
        apart = iter(exclusive([one for one in found if isinstance(one, Result)]))
        found = [next(apart) if isinstance(one, Result) else one for one in found]
    entry["objects"] = [
        _object_entry(wanted, one, options) for wanted, one in zip(opened.objects, found, strict=True)
    ]
    if left_out:
        entry["left_out"] = dict(left_out)
    return entry


def _cut_out(
    predictor: Predictor, loaded: LoadedImage, wanted: Wanted, options: Options, note: Note
) -> Result | FcfiError:
    """Return what the object looks like, or why that cannot be said."""
    try:
        prompt = narrowed(wanted.prompt(note), options.use)
        result = predictor.answer(loaded, prompt).finished(options.finish)
        if options.click_log is not None:
            options.click_log.finished("annotate", loaded, prompt, result, predictor.model, options.finish)
        return result
    except FcfiError as error:
        return error


def _object_entry(wanted: Wanted, result: Result | FcfiError, options: Options) -> dict[str, Any]:
    entry: dict[str, Any] = {"object": wanted.name, "label": wanted.label}
    if wanted.id is not None:
        entry["id"] = wanted.id
    if wanted.category is not None:
        entry["category"] = wanted.category
    if isinstance(result, FcfiError):
        return {**entry, "error": str(result)}
    box = result.box
    if box is None:
        return {**entry, "error": "the mask is empty; give this object other clicks."}
    if options.segmentation == "polygon":
        polygons = result.polygons(options.tolerance, options.max_points, holes="bridge")
        segmentation: Any = [part.exterior.round(2).ravel().tolist() for part in polygons]
        entry["lost_iou"] = round(polygons.lost_iou, 4)
    else:
        segmentation = result.rle("coco")
    return {
        **entry,
        "segmentation": segmentation,
        "bbox": [box.x1, box.y1, box.width, box.height],
        "area": result.area,
        "confidence": round(result.confidence, 4),
    }
