"""What answers, whichever door a question comes through.

One queue, one model on its way or there, one store of decoded images, one budget of memory, one set of
counters. Doors (a page, a platform, a plain API) are routes that ask it; without HTTP it serves as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fcfi_core.allowance import Memory, present
from fcfi_core.click_log import ClickLog
from fcfi_core.images import LoadedImage
from fcfi_core.images.store import ImageStore
from fcfi_core.masks.finish import Finish
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.results import Result
from fcfi_core.serving.loading import Loading
from fcfi_core.serving.metrics import Metrics
from fcfi_core.serving.scheduler import Scheduler
from fcfi_core.serving.settings import ServingSettings

GRACE_SECONDS = 10.0
"""How long running requests may take after the signal to stop."""

_SHARE_OF_BODIES = 0.25
"""Of the memory set aside, what requests may hold; reading and drawing take the rest."""

_BYTES_PER_PIXEL = 8
"""Of a mask on its way out: the mask itself, a cleaned one, labels of its parts, its outlines' edges."""


class Service:
    """The queue, the model, the images and the limits; thread-safe.

    Args:
        settings: see there.
        model: the predictor, loaded or on its way.
        environment: of the process; a door reads settings of its own from it.
        click_log: where answers are written down; None: nowhere.
    """

    def __init__(
        self,
        settings: ServingSettings,
        model: Loading,
        environment: Mapping[str, str] = MappingProxyType({}),
        click_log: ClickLog | None = None,
    ) -> None:
        self.settings = settings
        self.model = model
        self.environment = environment
        self.click_log = click_log
        self.metrics = Metrics()
        self.memory = Memory(settings.memory_bytes * (1 - _SHARE_OF_BODIES))
        self.bodies = Memory(settings.memory_bytes * _SHARE_OF_BODIES)
        self.images = ImageStore(settings.image_cache_bytes, settings.image_fresh_seconds)
        self.scheduler = Scheduler(settings.workers, settings.queue, settings.predict_seconds, self.memory)
        self._at_start: list[Callable[[], None]] = []
        self.metrics.observe("memo", "click prefixes and encoder outputs", self._memo)
        self.metrics.observe("image_cache", "decoded images", self.images.statistics)
        self.metrics.gauge("memory_used_bytes", "reserved for reading and drawing", lambda: self.memory.used)
        self.metrics.gauge("memory_most_bytes", "most of it so far", lambda: self.memory.most)

    @property
    def predictor(self) -> Predictor:
        """The predictor, as soon as it is there; see :meth:`Loading.wait`."""
        return self.model.wait(min(present().seconds, self.settings.predict_seconds))

    def load(self, encoded: bytes) -> LoadedImage:
        """Return the picture in ``encoded``, from the store or decoded and kept there.

        Raises:
            ImageError: if it cannot be read, or is larger than what is kept.
        """
        return self.images.decoded(encoded, self.settings.max_pixels)[0]

    def answer(
        self, image: LoadedImage, prompt: Prompt, finish: Finish | None = None, *, door: str = ""
    ) -> Result:
        """Return the mask that ``prompt`` asks for, finished: the same for every door.

        Args:
            finish: None: as the settings say.
            door: who asks, for the click log; "" is not written down.
        """
        predictor, finish = self.predictor, finish or self.settings.finish
        result = predictor.answer(image, prompt).finished(finish)
        if door and self.click_log is not None:
            self.click_log.answered(door, image, prompt, result, predictor.model, finish)
        return result

    def at_start(self, function: Callable[[], None]) -> None:
        """Call ``function`` in a thread of its own when the server starts."""
        self._at_start.append(function)

    def close(self) -> None:
        """Let the queue finish what runs, and write down what was clicked."""
        self.scheduler.stop(GRACE_SECONDS)
        if self.click_log is not None:
            self.click_log.close()

    @property
    def to_start(self) -> tuple[Callable[[], None], ...]:
        """What to call when the server starts."""
        return tuple(self._at_start)

    def _memo(self) -> dict[str, Any]:
        predictor = self.model.ready
        return predictor.memo.statistics() if predictor else {}


def working_bytes(pixels: int) -> int:
    """Return what masks of so many pixels take while an answer is made of them."""
    return _BYTES_PER_PIXEL * pixels
