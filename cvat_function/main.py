"""The nuclio interactor: one handler call per click in CVAT.

nuclio starts one process per worker, calls ``init_context`` once and ``handler`` for every request,
one at a time. The answer depends on the request alone: workers and replicas share nothing.
"""

from __future__ import annotations

import os
from typing import Any

from cvat_function import request, response
from cvat_function.frames import Frames
from cvat_function.settings import Settings
from cvat_function.stages import Stages
from fcfi_core.ordering import ordered
from fcfi_core.results import exclusive

DOOR = "cvat"
"""How click logs call this way in."""


def init_context(context: Any) -> None:
    """Load the model into ``context.user_data`` and run one dummy click."""
    context.user_data.settings = Settings.from_environment(os.environ)
    context.user_data.frames = Frames(context.user_data.settings)
    context.user_data.click_log = context.user_data.settings.open_click_log()
    context.user_data.predictor = context.user_data.settings.open_predictor()
    context.logger.info_with("ready", model=context.user_data.predictor.model.name)


def handler(context: Any, event: Any) -> Any:
    """Return nuclio's response to one request of CVAT: masks, or one sentence of refusal."""
    settings, predictor, stages = context.user_data.settings, context.user_data.predictor, Stages()
    try:
        asked = request.parse(event.body)
        stages.done("request")
        image = context.user_data.frames.load(asked.image)
        stages.done("image")
        objects = [one for one in asked.objects(image.width, image.height) if one.asks]
        prompts = [ordered(predictor.recurrence, image, one) for one in objects]
        results = [predictor.answer(image, one).finished(settings.finish) for one in prompts]
        found = [one.mask for one in exclusive(results)]
        if log := context.user_data.click_log:
            for prompt, result in zip(prompts, results, strict=True):
                log.answered(DOOR, image, prompt, result, predictor.model, settings.finish)
        stages.done("clicks")
        status, body = 200, response.encode(found, image.width, image.height, settings.form)
        stages.done("answer")
    except Exception as error:
        status, body = response.refusal(error)
        stages.log_failure(context.logger, error, status)
    context.logger.info_with("answered", status=status, bytes=len(body), **stages.milliseconds)
    return context.Response(body=body, headers={}, content_type="application/json", status_code=status)
