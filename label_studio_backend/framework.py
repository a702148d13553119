"""The backend as a model class of the ``label-studio-ml`` framework.

Import it where that framework looks for a class: ``from label_studio_backend import FCFIModel``. It reads
the same environment variables as ``fcfi serve`` and calls the same functions; the framework brings the
HTTP server. One predictor serves all requests of a process, whatever number of instances is made.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from fcfi_core.click_log import ClickLog
from fcfi_core.errors import FcfiError
from fcfi_core.predictor import Predictor
from fcfi_core.serving.loading import Loading, version_of
from fcfi_core.serving.service import Service
from fcfi_core.settings import CORE_VARIABLES, read
from label_studio_backend.backend import Backend
from label_studio_backend.settings import Settings

try:
    from label_studio_ml.model import LabelStudioMLBase
except ImportError as error:
    raise ImportError(
        f"FCFIModel needs the label-studio-ml framework ({error}): pip install "
        "git+https://github.com/HumanSignal/label-studio-ml-backend.git; `fcfi serve` needs it not.",
        name="label_studio_ml",
    ) from error

logger = logging.getLogger("fcfi.label_studio")


@functools.cache
def shared_backend() -> Backend:
    """Return the process's backend; its weights begin to load with the first call."""
    values = read(CORE_VARIABLES, os.environ)
    model = Loading(lambda: Predictor.from_settings(values), version_of(values["FCFI_MODEL"]))
    settings = Settings.from_environment(os.environ)
    return Backend(settings, Service(settings, model.start(), os.environ, ClickLog.from_settings(values)))


class FCFIModel(LabelStudioMLBase):  # type: ignore[misc]  # the framework has no types
    """Click-based segmentation; see the module."""

    def setup(self) -> None:
        """Tell the framework (2.x) the version that Label Studio stores."""
        self.set("model_version", shared_backend().model_version)

    def predict(
        self, tasks: Sequence[Mapping[str, Any]], context: Mapping[str, Any] | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """Return what ``/predict`` answers under ``results``.

        The framework puts tracebacks into its error answers, so what cannot be used is one line in the
        log here, and an empty result.
        """
        backend = shared_backend()
        body = {
            "tasks": list(tasks),
            "label_config": self.label_config,
            "params": {"context": context or None},
        }
        try:
            results: list[dict[str, Any]] = backend.answer(body)["results"]
        except FcfiError as error:
            logger.warning("%s: %s", type(error).__name__, error)
            return [{"model_version": backend.model_version, "score": 0.0, "result": []}] if context else []
        return results
