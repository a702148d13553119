"""How long each stage of a request took."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any


class Stages:
    """A stopwatch with laps.

    Attributes:
        milliseconds: name of each finished stage -> how long it took.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.milliseconds: dict[str, float] = {}
        self._clock = clock
        self._last = clock()

    def done(self, name: str) -> None:
        """Note that everything since the last call was the stage ``name``."""
        now = self._clock()
        self.milliseconds[name] = round(1000 * (now - self._last), 2)
        self._last = now

    def log_failure(self, logger: Any, error: Exception, status: int) -> None:
        """Write ``error`` to nuclio's ``logger``: a warning if the request was wrong, else with traceback."""
        if status < 500:
            logger.warn_with("refused", reason=str(error))
        else:
            logger.error_with(
                "failed", reason=repr(error), traceback="".join(traceback.format_exception(error))
            )
