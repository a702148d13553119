"""The nuclio tracker: masks, polygons and rectangles carried from frame to frame.

The first call of a track brings the frame on which shapes were drawn and the shapes; later calls bring
the next frame and the states answered before. CVAT servers that know no ``supported_shape_types`` send
rectangles as bare lists of four numbers, and get the same back.
"""

from __future__ import annotations

import json
import os
from typing import Any

from cvat_function import request, response, tracking
from cvat_function.settings import Settings
from cvat_function.stages import Stages
from fcfi_core.errors import PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.predictor import Predictor


def init_context(context: Any) -> None:
    """Load the model into ``context.user_data`` and run one dummy click."""
    context.user_data.settings = Settings.from_environment(os.environ)
    context.user_data.predictor = context.user_data.settings.open_predictor()
    context.logger.info_with("ready", model=context.user_data.predictor.model.name)


def handler(context: Any, event: Any) -> Any:
    """Return nuclio's response to one frame: a shape or null for every object, and the states."""
    stages = Stages()
    try:
        fields = request.parse_object(event.body)
        encoded = request.read_image(fields)
        stages.done("request")
        image = context.user_data.settings.load_frame(encoded)
        stages.done("image")
        answer = track(
            context.user_data.predictor, image, entries(fields, "shapes"), entries(fields, "states")
        )
        stages.done("frames")
        status, body = 200, json.dumps(answer, separators=(",", ":"))
        doubts = [doubt for doubt in answer["review"] if doubt]
        if doubts:
            context.logger.info_with("to review", objects=len(doubts), why="; ".join(doubts))
    except Exception as error:
        status, body = response.refusal(error)
        stages.log_failure(context.logger, error, status)
    context.logger.info_with("answered", status=status, bytes=len(body), **stages.milliseconds)
    return context.Response(body=body, headers={}, content_type="application/json", status_code=status)


def track(
    predictor: Predictor, image: LoadedImage, shapes: list[Any], states: list[Any]
) -> dict[str, list[Any]]:
    """Return ``{"shapes": [...], "states": [...], "review": [...]}`` for one frame, entry by entry.

    An entry with a state is followed into this frame; one without begins here, on its shape. ``review`` holds
    why a person should look at the shape on this frame, "" if there is no reason: CVAT hands it on to whoever
    calls the function over REST, and its interface passes over it.

    Raises:
        PromptError: if a state or shape is not usable, or the lists differ in length.
    """
    states = states or [None] * len(shapes)
    shapes = shapes or [None] * len(states)
    if len(shapes) != len(states):
        raise PromptError(f"{len(shapes)} shapes came with {len(states)} states; send one state per shape.")
    answers = [
        start(predictor, image, shape) if state is None else proceed(predictor, image, shape, state)
        for shape, state in zip(shapes, states, strict=True)
    ]
    shapes, states, review = map(list, zip(*answers, strict=True)) if answers else ([], [], [])
    return {"shapes": shapes, "states": states, "review": review}


Answer = tuple[Any, dict[str, Any] | None, str]
"""Of one object: its shape or None, its state, and why to look at it."""


def start(predictor: Predictor, image: LoadedImage, shape: Any) -> Answer:
    """Return the shape as it came, and its first state; an empty entry stays empty."""
    if shape is None:
        return None, None, ""
    bare = isinstance(shape, list)
    if not bare and not isinstance(shape, dict):
        raise PromptError("a shape is no object; send {type, points}.")
    kind, points = ("rectangle", shape) if bare else (shape.get("type"), shape.get("points"))
    state = tracking.begin(kind, points, predictor, image).to_json()
    return shape, {**state, "bare": True} if bare else state, ""


def proceed(predictor: Predictor, image: LoadedImage, shape: Any, state: Any) -> Answer:
    """Return the object's shape on this frame (None if lost) and its new state."""
    known = tracking.State.from_json(state, image.width, image.height)
    found = tracking.follow(known, predictor, image)
    moved = found.state.to_json()
    if state.get("bare"):
        return found.points, {**moved, "bare": True}, found.doubt
    shape = None if found.points is None else {"type": known.kind, "points": found.points}
    return shape, moved, found.doubt


def entries(fields: Any, name: str) -> list[Any]:
    """Return the list under ``name``, empty if missing; raises PromptError for anything else."""
    value = fields.get(name)
    if value is not None and not isinstance(value, list):
        raise PromptError(f"{name} is no list; send one entry per object.")
    return value or []
