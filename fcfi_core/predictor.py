"""The face: give it an image and clicks, get a mask. What happens between is :mod:`fcfi_core.recurrence`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core import images
from fcfi_core.allowance import MEGABYTE
from fcfi_core.errors import FcfiError, SettingsError
from fcfi_core.images import LoadedImage
from fcfi_core.masks import RAW, Finish
from fcfi_core.memo import Memo
from fcfi_core.model import Model, load_model
from fcfi_core.prompt import Clicks, Prompt, Rectangle
from fcfi_core.protocol import Protocol
from fcfi_core.recurrence import Recurrence
from fcfi_core.results import Result
from fcfi_core.scene import Scene
from fcfi_core.session import Session

_MISSING: Any = object()


class Predictor:
    """Cuts objects out of images by clicks; any number of threads may share one.

    Args:
        model: from :func:`~fcfi_core.load_model`.
        protocol: None: the model's own.
        memo_bytes: cap of remembered click prefixes and encoder outputs.
        memo_seconds: how long an unused one is remembered.
        max_pixels: images with more are refused before they are decoded; None: no limit.

    >>> predictor = Predictor(load_model("default"))         # doctest: +SKIP
    >>> predictor.segment("dog.jpg", [(320, 200)]).mask.shape  # doctest: +SKIP
    (480, 640)
    """

    def __init__(
        self,
        model: Model,
        *,
        protocol: Protocol | None = None,
        memo_bytes: int = 256 * MEGABYTE,
        memo_seconds: float = 900.0,
        max_pixels: int | None = 200_000_000,
    ) -> None:
        self.model = model
        self.protocol = protocol or model.protocol
        self.memo = Memo(memo_bytes, memo_seconds)
        self.recurrence = Recurrence(model, self.protocol, self.memo)
        self._max_pixels = max_pixels
        self._memory = {"memo_bytes": memo_bytes, "memo_seconds": memo_seconds}

    def __repr__(self) -> str:
        return f"Predictor({self.model!r}, protocol={self.protocol.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the memory behind: another process fills its own, with the same values."""
        return {
            "model": self.model,
            "protocol": self.protocol,
            "max_pixels": self._max_pixels,
            **self._memory,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state.pop("model"), **state)  # type: ignore[misc]

    @classmethod
    def from_settings(
        cls, values: Mapping[str, Any], change: Callable[[Protocol], Protocol] | None = None
    ) -> Predictor:
        """Return the predictor that the environment asks for.

        Args:
            values: as :func:`fcfi_core.settings.read` returns them for the core's variables.
            change: makes the protocol to use of the model's own; None: use that.
        """
        model = load_model(
            values["FCFI_MODEL"],
            device=values["FCFI_DEVICE"],
            engine=values["FCFI_ENGINE"],
            threads=values["FCFI_THREADS"] or None,
        )
        protocol = model.protocol.switched(
            local_colours=values["FCFI_LOCAL_COLOURS"],
            refined=values["FCFI_REFINE"],
            traced=values["FCFI_TRACE"],
        )
        return cls(
            model,
            protocol=change(protocol) if change else protocol,
            memo_bytes=int(values["FCFI_MEMO_MEGABYTES"] * MEGABYTE),
            memo_seconds=values["FCFI_MEMO_SECONDS"],
            max_pixels=int(values["FCFI_MAX_MEGAPIXELS"] * MEGABYTE),
        )

    def open(
        self, image: images.Source, *, box: Rectangle | None = None, prior_mask: NDArray[Any] | None = None
    ) -> Session:
        """Return a session for one object in ``image``.

        Args:
            image: path, bytes, PIL image, (H, W, 3) uint8 RGB array, or what ``images.load`` returned.
            box: around the object: a Box, or x1, y1, x2, y2 in a tuple, list or array; cut at the image's
                border.
            prior_mask: (H, W) bool, or numbers that are not 0 on the object: a mask to correct.

        Raises:
            ImageError: if the image cannot be read.
            PromptError: if the box or the mask does not fit the image.
        """
        loaded, decode_time = self._timed(image)
        start = Prompt.of(box=box, mask=prior_mask).within(loaded.height, loaded.width)
        return Session(self.recurrence, loaded, start, decode_time)

    def scene(self, image: images.Source, *, finish: Finish = RAW) -> Scene:
        """Return a scene for several objects in ``image``, whose masks do not overlap; none is in it yet.

        Args:
            image: see :meth:`open`.
            finish: what becomes of specks and pinholes; none go by default, as with :meth:`segment`.

        Raises:
            ImageError: if the image cannot be read.
        """
        return Scene(self.recurrence, self.load(image), finish)

    def segment(
        self,
        image: images.Source,
        clicks: Clicks = (),
        box: Rectangle | None = None,
        prior_mask: NDArray[Any] | None = None,
    ) -> Result:
        """Return the mask for ``clicks``: the stateless form of a session, with the same value.

        Args:
            image, box, prior_mask: see :meth:`open`.
            clicks: in the order they were made: Click objects, ``(x, y)``, ``(x, y, positive)``, or an (N, 2)
                or (N, 3) array or tensor; may be empty if there is a box or a prior mask.

        Raises:
            ImageError: if the image cannot be read.
            PromptError: if there is nothing to go by, or something lies outside the image.
        """
        return self.answer(image, Prompt.of(clicks, box, prior_mask))

    def answer(self, image: images.Source, prompt: Prompt) -> Result:
        """Return the mask that ``prompt`` asks for; :meth:`segment` in one word.

        Raises:
            ImageError: if the image cannot be read.
            PromptError: if nothing is asked, or something lies outside the image.
        """
        loaded, decode_time = self._timed(image)
        result = self.recurrence.result(loaded, prompt)
        return replace(result, timings={"decode": decode_time, **result.timings})

    def segment_many(
        self,
        sources: Iterable[images.Source],
        prompts: Iterable[Prompt | Clicks],
        *,
        keep_going: bool = False,
    ) -> Iterator[Result | FcfiError]:
        """Yield the result of each pair of an image and a prompt, in order.

        The next image is read while the network works on the present one. Several prompts for one image cost
        the least when they follow each other and the image was loaded once, with :meth:`load`.

        Args:
            sources: one image for each prompt, see :meth:`open`.
            prompts: a Prompt, or clicks, for each image.
            keep_going: yield the error in place of the result and go on, instead of raising it.

        Raises:
            SettingsError: if there are more images than prompts, or fewer.
            FcfiError: what :meth:`answer` raises, unless ``keep_going``.
        """
        pairs = zip_longest(sources, prompts, fillvalue=_MISSING)
        with ThreadPoolExecutor(1, thread_name_prefix="fcfi-images") as reader:
            waiting: deque[tuple[Future[LoadedImage], Any]] = deque()
            while True:
                while len(waiting) < 2 and (pair := next(pairs, None)) is not None:
                    if any(value is _MISSING for value in pair):
                        raise SettingsError(
                            "there are more images than prompts, or fewer; give one prompt for each image."
                        )
                    waiting.append((reader.submit(self.load, pair[0]), pair[1]))
                if not waiting:
                    return
                image, asked = waiting.popleft()
                try:
                    prompt = asked if isinstance(asked, Prompt) else Prompt.of(asked)
                    result: Result | FcfiError = self.answer(image.result(), prompt)
                except FcfiError as error:
                    if not keep_going:
                        raise
                    result = error
                yield result

    def load(self, image: images.Source) -> LoadedImage:
        """Return ``image`` decoded, if it is within the limit.

        Raises:
            ImageError: if it cannot be read or is too large.
        """
        return image if isinstance(image, LoadedImage) else images.load(image, max_pixels=self._max_pixels)

    def warm_up(self) -> None:
        """Run two clicks on a grey image, so that the first user does not wait for lazy set-up."""
        grey = images.load(np.full((480, 640, 3), 127, np.uint8), max_pixels=None)
        self.segment(grey, [(320, 240), (300, 220)])

    def _timed(self, image: images.Source) -> tuple[LoadedImage, float]:
        """Return ``image`` decoded, and the milliseconds that took."""
        start = time.perf_counter()
        loaded = self.load(image)
        return loaded, 1000 * (time.perf_counter() - start)
