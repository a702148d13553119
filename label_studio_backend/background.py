"""A label that means "not this": negative clicks for those whose desktop keeps Alt+click to itself.

Clicks of another label come in a list of their own, without the clicks they belong to. So the last few
objects of a task are remembered here, and a click list is completed from them before anything is
computed; after a restart the user's draft, which comes with the request, stands in. This is the only
thing the backend remembers that an answer depends on, and only for configs that offer such a label.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace

from fcfi_core.allowance import MEGABYTE
from fcfi_core.errors import PromptError
from label_studio_backend.prompts import DrawnObject, Region, from_context

_MOST_TASKS = 2048
_OBJECTS_OF_A_TASK = 4
_SECONDS = 3600.0


@dataclass(eq=False)
class _Object:
    """An object being clicked: its two lists, and the order in which clicks came."""

    wanted: DrawnObject | None = None
    unwanted: tuple[Region, ...] = ()
    order: list[str] = field(default_factory=list)
    touched: float = 0.0

    @property
    def size(self) -> int:
        """Bytes, roughly: names and numbers come from strangers and may be of any length."""
        regions = [*self.unwanted]
        if self.wanted is not None:
            drawn = (self.wanted.drawing, self.wanted.rectangle)
            regions += [*self.wanted.clicks, *(region for region in drawn if region is not None)]
        return sum(_size(region) for region in regions) + sum(200 + len(ident) for ident in self.order)

    def knows(self, regions: Iterable[Region]) -> bool:
        return any(region.ident in self.order for region in regions)

    def merged(self) -> DrawnObject | None:
        """Return the object's prompt, clicks of both lists in the order they came."""
        if self.wanted is None:
            return None
        clicks = (*self.wanted.clicks, *self.unwanted)
        idents = [click.ident for click in clicks]
        self.order = [ident for ident in self.order if ident in idents]
        self.order += [ident for ident in idents if ident not in self.order]
        return replace(
            self.wanted, clicks=tuple(sorted(clicks, key=lambda click: self.order.index(click.ident)))
        )


class BackgroundClicks:
    """Completes click lists of configs with a background label; thread-safe and bounded.

    Args:
        most_bytes: what may be remembered, roughly; the tasks touched longest ago go first.
        clock: seconds, monotonic.
    """

    def __init__(self, most_bytes: int = 8 * MEGABYTE, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, list[_Object]] = OrderedDict()
        self._sizes: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Bytes remembered, roughly."""
        return sum(self._sizes.values())

    def complete(
        self, task: Hashable, prompt: DrawnObject, *, background: bool, drafts: Iterable[object]
    ) -> DrawnObject:
        """Return ``prompt`` with the clicks of the other list.

        Args:
            task: names the task and the image tag.
            prompt: what came; after a background click it holds background clicks only.
            background: True for such a click.
            drafts: the results of the user's drafts, newest last: looked at if nothing is remembered.
        """
        key = hashlib.blake2b(repr(task).encode("utf-8", "replace"), digest_size=16).hexdigest()
        with self._lock:
            objects = self._recent(key)
            known = next((one for one in objects if one.knows(prompt.clicks)), None)
            if known is None and background:
                known = objects[-1] if objects else _from_drafts(prompt, drafts)
            if known is None:
                known = _Object()
            if known in objects:
                objects.remove(known)
            objects.append(known)  # the one touched last stands last
            del objects[:-_OBJECTS_OF_A_TASK]
            known.touched = self._clock()
            if background:
                known.unwanted = tuple(replace(click, positive=False) for click in prompt.clicks)
            else:
                known.wanted = prompt
            merged = known.merged()
            self._sizes[key] = sum(one.size for one in objects)
            while self.size > self._most_bytes:
                self._forget(next(iter(self._tasks)))
        return merged or replace(
            prompt, clicks=tuple(replace(click, positive=False) for click in prompt.clicks)
        )

    def _forget(self, key: str) -> None:
        del self._tasks[key]
        self._sizes.pop(key, None)

    def _recent(self, key: str) -> list[_Object]:
        now = self._clock()
        objects = [one for one in self._tasks.get(key, []) if now - one.touched < _SECONDS]
        self._tasks[key] = objects
        self._tasks.move_to_end(key)
        while len(self._tasks) > _MOST_TASKS:
            self._forget(next(iter(self._tasks)))
        return objects


def _size(region: Region) -> int:
    numbers = [len(value) for value in region.value.values() if isinstance(value, list)]
    texts = [len(value) for value in region.value.values() if isinstance(value, str)]
    other = [value for value in region.value.values() if not isinstance(value, list | str | int | float)]
    return 1000 + len(region.ident) + 8 * sum(numbers) + 4 * sum(texts) + (len(repr(other)) if other else 0)


def _from_drafts(prompt: DrawnObject, drafts: Iterable[object]) -> _Object | None:
    """Return the object whose wanted clicks the user's draft still holds."""
    found: DrawnObject | None = None
    for result in drafts:
        try:
            candidates = from_context(result)
        except PromptError:  # a draft that a script wrote
            continue
        for candidate in candidates:
            if candidate.target == prompt.target and candidate.labels != prompt.labels and candidate.clicks:
                found = candidate
    return _Object(wanted=found) if found else None
