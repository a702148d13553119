"""Request in, regions out: what the server and the framework class share.

An answer is a function of the request (and of the image behind its address): no session, no current
image, no current project. Any process that has the same weights gives the same answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fcfi_core.allowance import Allowance, checkpoint, granted, reserved
from fcfi_core.errors import BusyError, FcfiError, PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.extent import Mask
from fcfi_core.masks.partition import beside
from fcfi_core.masks.resizing import resized
from fcfi_core.serving.service import Service, working_bytes
from label_studio_backend.answers import Place, regions
from label_studio_backend.background import BackgroundClicks
from label_studio_backend.image_resolver import ImageResolver
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.neighbours import masks_beside
from label_studio_backend.predict_request import PredictRequest, Task
from label_studio_backend.prompts import DrawnObject, from_annotation
from label_studio_backend.settings import Settings, as_mapping

logger = logging.getLogger("fcfi.label_studio")

DOOR = "label-studio"
"""How click logs call this way in."""

UNFINISHED = " (unfinished)"
"""Ends the ``model_version`` of batch results that hold nothing, so that Label Studio asks again."""


@dataclass
class Timings:
    """Milliseconds per stage of one request."""

    fetch: float = 0.0
    decode: float = 0.0
    infer: float = 0.0
    encode: float = 0.0

    def __str__(self) -> str:
        return ", ".join(f"{stage} {spent:.0f}" for stage, spent in vars(self).items()) + " ms"


@dataclass
class _Objects:
    """Regions found for one task, the score of the least certain object, and what was not done, and why."""

    regions: list[dict[str, Any]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True


class Backend:
    """Answers Label Studio's requests; thread-safe.

    Args:
        settings: see there.
        service: what it asks.
    """

    def __init__(self, settings: Settings, service: Service) -> None:
        self._settings = settings
        self._service = service
        self._metrics = service.metrics
        self._background = BackgroundClicks(settings.background_bytes)
        self.resolver = ImageResolver(settings, service.images)

    @property
    def model_version(self) -> str:
        """What Label Studio stores with predictions."""
        return self._service.model.version

    def predict(self, request: PredictRequest) -> dict[str, Any]:
        """Return the body of the answer to ``/predict``.

        Args:
            request: from :meth:`PredictRequest.parse`.

        Raises:
            FcfiError: one sentence on what cannot be used.
            Superseded: if a newer request of the same object came meanwhile.
        """
        return self._interactive(request) if request.prompts is not None else self._batch(request)

    def answer(self, body: bytes | Mapping[str, Any]) -> dict[str, Any]:
        """Return the same for a request's body without a scheduler, for servers that have their own."""
        request = PredictRequest.parse(body, self._settings.background_label)
        until = time.monotonic() + self._settings.predict_seconds
        with granted(Allowance(until, self._service.memory)):
            return self.predict(request)

    def _interactive(self, request: PredictRequest) -> dict[str, Any]:
        task, found, timings, clicks = request.tasks[0], _Objects(), Timings(), 0
        for prompt in request.prompts or ():
            clicks = max(clicks, len(prompt.clicks))
            if prompt.clicks:
                self._metrics.saw_clicks(
                    (request.project, task.ident), prompt.clicks[0].ident, len(prompt.clicks)
                )
            self._draw(request, task, prompt, found, timings)
        self._note(timings)
        logger.info(
            "task %s: %d object(s), %d click(s) -> %d region(s), confidence %s; %s",
            task.ident,
            len(request.prompts or ()),
            clicks,
            len(found.regions),
            f"{min(found.scores):.2f}" if found.scores else "-",
            timings,
        )
        if request.left_out:
            found.notes.append(f"{request.left_out} cannot be worked from")
        for note in found.notes:
            logger.info("task %s: %s", task.ident, note)
        notes = {"notes": found.notes} if found.notes else {}  # Label Studio shows none; people who look do
        return {"results": [self._entry(found)], **notes}

    def _batch(self, request: PredictRequest) -> dict[str, Any]:
        """Pre-annotate from what the tasks hold already: each box and polygon becomes a mask.

        Where no task holds anything, there are no results at all: an empty prediction would be stored,
        shown as a useless tab, and keep Label Studio from asking again.
        """
        seeds = [self._seeds(task) for task in request.tasks]
        if not any(seeds):
            logger.info("batch of %d task(s) without boxes, polygons or dots: nothing to predict", len(seeds))
            return {"results": []}
        entries, timings = [], Timings()
        for task, prompts in zip(request.tasks, seeds, strict=True):
            found = _Objects(complete=bool(prompts))
            for prompt in prompts:
                try:
                    self._draw(request, task, prompt, found, timings)
                except BusyError:
                    found.complete = False
                    break
                except FcfiError as error:
                    found.complete = False
                    logger.warning("task %s: %s", task.ident, error)
            entries.append(self._entry(found))
        self._note(timings)
        made = sum(len(entry["result"]) for entry in entries)
        logger.info("batch of %d task(s): %d region(s); %s", len(entries), made, timings)
        return {"results": entries}

    def _seeds(self, task: Task) -> list[DrawnObject]:
        """Return what the newest annotation holds to work from; else the newest prediction not our own."""
        for source in (task.annotations, task.predictions):
            for entry in reversed(source):
                entry = as_mapping(entry)
                ours = str(entry.get("model_version") or "").removesuffix(UNFINISHED) == self.model_version
                if entry.get("was_cancelled") is True or ours:
                    continue
                prompts = from_annotation(entry.get("result"))
                if prompts:
                    return prompts
        return []

    def _draw(
        self, request: PredictRequest, task: Task, prompt: DrawnObject, found: _Objects, timings: Timings
    ) -> None:
        """Add the regions of one object to ``found``."""
        checkpoint()
        config = LabellingConfig.for_image(
            request.label_config, prompt.target, self._settings.background_label
        )
        prompt = self._completed(request, task, replace(prompt, target=config.target(prompt.target)), config)
        if not prompt.asks_for_a_mask:
            found.notes.append("only negative clicks: they take away from nothing")
            return
        output = config.output(prompt.target, prompt.labels, self._settings.output)
        if not (output.labels or output.named) and config.has_classes(prompt.target):
            found.notes.append("the click has no label, so its mask has no class; choose one in the editor")
        reference = config.reference(prompt.target, task.data, prompt.newest.item_index or 0)
        image, stages = self.resolver.load(reference, task.ident)
        timings.fetch += stages.fetch
        timings.decode += stages.decode
        checkpoint()
        start = time.perf_counter()
        place = self._place(prompt, image)
        pixels = place.width * place.height + image.width * image.height
        with reserved(working_bytes(pixels), f"a mask of {place.width} x {place.height} pixels", PromptError):
            door = DOOR if request.prompts is not None else f"{DOOR}, batch"
            mask, confidence = self._segment(image, prompt, place, door)
            if self._settings.exclusive and request.prompts is not None:
                mask = self._apart(mask, task, prompt, place, found.notes)
            middle = time.perf_counter()
            checkpoint()
            found.regions += regions(
                mask,
                place,
                output,
                confidence,
                tolerance=self._settings.polygon_tolerance,
                most_points=self._settings.polygon_points,
            )
        found.scores.append(confidence)
        timings.infer += 1000 * (middle - start)
        timings.encode += 1000 * (time.perf_counter() - middle)

    def _segment(self, image: LoadedImage, asked: DrawnObject, place: Place, door: str) -> tuple[Mask, float]:
        """Return the mask at the displayed size, and its confidence."""
        prompt = asked.prompt(image.width, image.height, place.width, place.height)
        result = self._service.answer(image, prompt, self._settings.finish, door=door)
        return resized(result.mask, place.width, place.height), min(max(float(result.confidence), 0.0), 1.0)

    def _apart(self, mask: Mask, task: Task, prompt: DrawnObject, place: Place, notes: list[str]) -> Mask:
        """Return ``mask`` without the finished regions of the draft, as far as the request holds them."""
        clicks = [click.click(place.width, place.height) for click in prompt.clicks]
        apart = beside(mask, masks_beside(prompt, place, task.drafts, notes), clicks)
        if mask.any() and not apart.any():
            notes.append("finished regions hold all of it; click in it where it should stay")
        return apart

    def _completed(
        self, request: PredictRequest, task: Task, prompt: DrawnObject, config: LabellingConfig
    ) -> DrawnObject:
        """Return ``prompt`` with the clicks of the background label, where the config has one."""
        if request.prompts is None or not prompt.clicks:
            return prompt
        offered = [
            label
            for control in config.controls
            if control.shape in ("keypoint", "labels") and prompt.target in control.targets
            for label in control.labels
        ]
        if not any(config.is_negative(label, prompt.target) for label in offered):
            return prompt
        alone = config.is_negative(prompt.label, prompt.target) or prompt.comes_alone(config.background)
        return self._background.complete(
            (request.project, task.ident, prompt.target, prompt.newest.item_index),
            prompt,
            background=alone,
            drafts=[as_mapping(draft).get("result") for draft in task.drafts],
        )

    def _place(self, prompt: DrawnObject, image: LoadedImage) -> Place:
        newest = prompt.newest
        width, height = newest.size or (image.width, image.height)
        if width * height > self._settings.max_pixels:
            raise PromptError(
                f"the region is said to lie on {width} x {height} pixels, more than is accepted."
            )
        if not _same_shape((width, height), (image.width, image.height)):
            turned = _same_shape((height, width), (image.width, image.height))
            raise PromptError(
                f"the region is said to lie on {width} x {height} pixels (original_width, original_height), "
                f"but the picture shows {image.width} x {image.height}"
                + (" once it is turned upright as its file says" if turned else "")
                + "; send the size of the picture as it is shown."
            )
        return Place(prompt.target, width, height, newest.rotation, newest.item_index)

    def _entry(self, found: _Objects) -> dict[str, Any]:
        version = self.model_version if found.complete else self.model_version + UNFINISHED
        return {"model_version": version, "score": min(found.scores, default=0.0), "result": found.regions}

    def _note(self, timings: Timings) -> None:
        for stage, spent in vars(timings).items():
            self._metrics.stages.labels(stage).observe(spent / 1000)


def _same_shape(said: tuple[int, int], shown: tuple[int, int]) -> bool:
    """Return whether both sizes can be of one picture, larger or smaller: a pixel is lost in rounding."""
    across, down = said[0] / shown[0], said[1] / shown[1]
    return abs(across - down) * min(shown) <= 1.5 or abs(across / down - 1) <= 0.01
