"""From answers to finished objects.

Doors are asked for masks of ever longer lists of clicks, and nobody tells them that an object is finished. So
answers to one image that begin alike belong to one object, and an object is finished when nobody asked for it
for two minutes, or the process ends. Writing happens on a thread of its own: a slow disk delays no click, and
a full one costs log lines alone, said in one sentence.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcfi_core.allowance import MEGABYTE
from fcfi_core.click_log.entry import Entry, mask_digest
from fcfi_core.click_log.file import append
from fcfi_core.errors import SettingsError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import Finish
from fcfi_core.prompt import Prompt
from fcfi_core.results import Result

if TYPE_CHECKING:
    from fcfi_core.model import Model

logger = logging.getLogger("fcfi.click_log")

FINISHED_AFTER = 120.0
"""Seconds without a further question after which an object counts as finished."""

_MOST_OPEN = 256
_LONGEST_LINE = 1 * MEGABYTE


@dataclass(frozen=True)
class _Open:
    """An object that somebody may be clicking on: its entry as of now, and when it began and went on."""

    entry: Entry
    first: float
    last: float


class ClickLog:
    """The log of one process; thread-safe. No method raises, whatever happens to the file.

    Args:
        path: of the file.
        most_bytes: of it and the older one together.
        finished_after: seconds, see :data:`FINISHED_AFTER`.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int = 64 * MEGABYTE,
        finished_after: float = FINISHED_AFTER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._finished_after = finished_after
        self._clock = clock
        self._open: OrderedDict[tuple[Any, ...], _Open] = OrderedDict()
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._closed = False
        self._complained = False

    def __getstate__(self) -> dict[str, Any]:
        """Travel to other processes as the path alone."""
        return {
            "path": self.path,
            "most_bytes": self._most_bytes,
            "finished_after": self._finished_after,
            "clock": self._clock,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> ClickLog | None:
        """Return the log that the environment asks for; None where it asks for none, as by default.

        Args:
            values: as :func:`fcfi_core.settings.read` returns them for the core's variables.

        Raises:
            SettingsError: if its folder is missing, or the path is a folder's.
        """
        if not values["FCFI_CLICK_LOG"]:
            return None
        path = Path(values["FCFI_CLICK_LOG"]).expanduser()
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise SettingsError(
                f"FCFI_CLICK_LOG is {str(path)!r}, which cannot be a file; give the path of a file in a "
                "folder that is there, or nothing for no log."
            )
        return cls(path, int(values["FCFI_CLICK_LOG_MEGABYTES"] * MEGABYTE))

    def answered(
        self, door: str, image: LoadedImage, prompt: Prompt, result: Result, model: Model, finish: Finish
    ) -> None:
        """Note an answer to somebody who may go on clicking.

        Args:
            door: where it was asked.
            image: what was clicked on.
            prompt: what was asked.
            result: what was answered, finished.
            model: gave the answer.
            finish: of the answer.
        """
        try:
            self._answered(door, image, prompt, result, model, finish)
        except Exception as error:  # a log is never worth a click
            self._complain(error)

    def finished(
        self, door: str, image: LoadedImage, prompt: Prompt, result: Result, model: Model, finish: Finish
    ) -> None:
        """Write down an object that nobody will go on with; see :meth:`answered`."""
        try:
            now = self._clock()
            self._write(_entry(door, image, prompt, result, model, finish, now, None))
        except Exception as error:
            self._complain(error)

    def close(self) -> None:
        """Write down what is open, and take nothing more."""
        with self._changed:
            self._closed = True
            left = list(self._open.values())
            self._open.clear()
            self._changed.notify_all()
        for one in left:
            self._write(one.entry)
        atexit.unregister(self.close)

    def _answered(
        self, door: str, image: LoadedImage, prompt: Prompt, result: Result, model: Model, finish: Finish
    ) -> None:
        prompt = prompt.within(image.height, image.width)
        began = prompt.clicks[:1] if not prompt.starts else ()
        key = door, image.digest, prompt.start_digest, began
        now = self._clock()
        with self._changed:
            if self._closed:
                return
            known = self._open.pop(key, None)
            entry = _entry(door, image, prompt, result, model, finish, now, known)
            self._open[key] = _Open(entry, known.first if known else now, now)
            early = self._open.popitem(last=False)[1] if len(self._open) > _MOST_OPEN else None
            self._start()
            self._changed.notify_all()
        if early is not None:
            self._write(early.entry)

    def _start(self) -> None:
        if self._writer is None or not self._writer.is_alive():
            if self._writer is None:
                atexit.register(self.close)
            self._writer = threading.Thread(target=self._work, name="fcfi-click-log", daemon=True)
            self._writer.start()

    def _work(self) -> None:
        """Write down what is finished, until the log is closed."""
        while True:
            with self._changed:
                if self._closed:
                    return
                due = [
                    key for key, one in self._open.items() if self._clock() - one.last >= self._finished_after
                ]
                entries = [self._open.pop(key).entry for key in due]
                if not entries:
                    first = next(iter(self._open.values()), None)
                    wait = None if first is None else first.last + self._finished_after - self._clock()
                    self._changed.wait(None if wait is None else max(wait, 0.05))
            for entry in entries:
                self._write(entry)

    def _write(self, entry: Entry) -> None:
        try:
            line = entry.line()
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"an object would take {len(line)} bytes, more than a line may have")
            append(self.path, line, self._most_bytes)
            self._complained = False
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Say once what is wrong, and again only after it was well in between."""
        if not self._complained:
            reason = getattr(error, "strerror", None) or str(error)
            logger.warning(
                "the click log %r cannot be written (%s); objects are missing in it until it can",
                str(self.path),
                reason,
            )
        self._complained = True


def _entry(
    door: str,
    image: LoadedImage,
    prompt: Prompt,
    result: Result,
    model: Model,
    finish: Finish,
    now: float,
    known: _Open | None,
) -> Entry:
    """Return the entry of an object that was answered as ``known`` says before, and is answered so now."""
    before = known.entry if known else None
    fields = _fields(prompt, before)
    since = round(now - known.first, 2) if known else 0.0
    spent = round(float(result.timings.get("total", 0.0)), 1)
    kept = _shared(before.prompt["clicks"], fields["clicks"]) if before else 0
    new = len(fields["clicks"]) - kept
    return Entry(
        door=door,
        time=before.time if before else datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        image=image.digest,
        width=image.width,
        height=image.height,
        prompt=fields,
        seconds=(*(before.seconds[:kept] if before else ()), *([since] * new)),
        milliseconds=(
            *(before.milliseconds[:kept] if before else ()),
            *([0.0] * (new - 1) + [spent] if new else []),
        ),
        lasted=since,
        answers=before.answers + 1 if before else 1,
        taken_back=before.taken_back + len(before.prompt["clicks"]) - kept if before else 0,
        model={"name": model.name, "version": model.version, "digest": model.digest},
        finish={"min_area": finish.min_area, "max_hole": finish.max_hole},
        mask=mask_digest(result.mask),
        area=result.area,
        confidence=round(float(result.confidence), 4),
    )


def _fields(prompt: Prompt, before: Entry | None) -> dict[str, Any]:
    """Return the JSON form of ``prompt``; a prior mask is encoded once for an object."""
    if before is None or "mask" not in before.prompt:
        return prompt.to_json()
    return {**Prompt(prompt.clicks, prompt.box).to_json(), "mask": before.prompt["mask"]}


def _shared(earlier: Sequence[Any], later: Sequence[Any]) -> int:
    """Return how many entries both begin with."""
    return next(
        (index for index, (one, other) in enumerate(zip(earlier, later, strict=False)) if one != other),
        min(len(earlier), len(later)),
    )
