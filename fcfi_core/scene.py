"""Several objects of one image, whose masks do not overlap, and the order in which they were edited.

A scene is a list of objects, each a label and a prompt; every edit leaves a whole list behind, so undo and
redo are exact, whichever object was edited. The mask of an object alone stays a function of the image and its
prompt; what a scene shows of it is a function of the image and all its prompts: a pixel that several masks
cover belongs to one of them (:func:`fcfi_core.results.exclusive`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcfi_core.clicks import Click, Number
from fcfi_core.errors import PromptError
from fcfi_core.images import LoadedImage
from fcfi_core.masks.finish import Finish
from fcfi_core.prompt import Clicks, Prompt, Rectangle
from fcfi_core.recurrence import Recurrence
from fcfi_core.results import Result, exclusive

UNNAMED = "object"
"""The label of objects that nobody named."""


@dataclass(frozen=True)
class SceneObject:
    """One object of an image.

    Args:
        label: its class.
        prompt: what asks for it; fits the image.
    """

    label: str
    prompt: Prompt


Objects = Mapping[int, SceneObject]
"""Objects by their numbers, in the order they were added."""


class Scene:
    """Several objects in one image; made by :meth:`fcfi_core.Predictor.scene`.

    Objects have numbers from 1, which stay theirs when others are removed. Threads may share a scene: each
    call sees and leaves a complete list of objects.

    Args:
        recurrence: gives the masks.
        image: what is clicked on.
        finish: what becomes of specks and pinholes.

    >>> scene = predictor.scene("coffee.jpg")                    # doctest: +SKIP
    >>> cup = scene.add("cup", [(300, 150)])                     # doctest: +SKIP
    >>> spoon = scene.add("spoon", [(500, 300)])                 # doctest: +SKIP
    >>> result = scene.click(cup, 60, 60, positive=False)        # doctest: +SKIP
    >>> scene.undo()                                             # doctest: +SKIP
    >>> scene[cup].mask & scene[spoon].mask                      # doctest: +SKIP
    """

    def __init__(self, recurrence: Recurrence, image: LoadedImage, finish: Finish) -> None:
        self._recurrence = recurrence
        self._image = image
        self._finish = finish
        self._steps: list[Objects] = [{}]
        self._position = 0
        self._answers: dict[int, tuple[Prompt, Result]] = {}  # of the present objects alone
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        labels = [one.label for one in self.objects.values()]
        return f"Scene({self.width} x {self.height}, {labels})"

    @property
    def width(self) -> int:
        """Columns of the upright image."""
        return self._image.width

    @property
    def height(self) -> int:
        """Rows of the upright image."""
        return self._image.height

    @property
    def objects(self) -> Objects:
        """The objects by their numbers, in the order they were added."""
        return MappingProxyType(self._present)

    @property
    def _present(self) -> Objects:
        return self._steps[self._position]

    # --- edits -------------------------------------------------------------------------------------------

    def add(
        self,
        label: str = UNNAMED,
        clicks: Clicks = (),
        box: Rectangle | None = None,
        mask: NDArray[Any] | None = None,
    ) -> int:
        """Add an object and return its number.

        Args:
            label: its class.
            clicks, box, mask: see :meth:`fcfi_core.Predictor.segment`; nothing: clicks come later.

        Raises:
            PromptError: if something lies outside the image; the scene then stays as it was.
        """
        prompt = Prompt.of(clicks, box, mask).within(self.height, self.width)
        with self._lock:
            number = 1 + max((number for step in self._steps for number in step), default=0)
            self._push({**self._present, number: SceneObject(label, prompt)})
            return number

    def click(self, number: int, x: Number, y: Number, positive: bool = True) -> Result:
        """Add a click to an object and return what the scene shows of it then.

        Args:
            number: of the object.
            x, y: pixels of the upright original.
            positive: True on the object, False on what does not belong to it.

        Raises:
            PromptError: if there is no such object, or the click is outside the image; the scene then stays
                as it was.
        """
        with self._lock:
            prompt = self._object(number).prompt
            return self.ask(number, prompt.with_clicks((*prompt.clicks, Click.nearest(x, y, positive))))

    def choose(self, number: int, index: int) -> Result:
        """Take another of the answers to an object's first click, see :meth:`fcfi_core.Session.choose`."""
        with self._lock:
            prompt = self._object(number).prompt
            return self.ask(number, self._recurrence.choice(self._image, prompt, index))

    def ask(self, number: int, prompt: Prompt) -> Result:
        """Give an object another prompt, for example with a click moved, and return what is shown of it then.

        Raises:
            PromptError: if there is no such object, nothing is asked, or something lies outside the image;
                the scene then stays as it was.
        """
        with self._lock:
            changed = replace(self._object(number), prompt=prompt.within(self.height, self.width))
            self._answer(number, changed.prompt)
            self._push({**self._present, number: changed})
            return self[number]

    def rename(self, number: int, label: str) -> None:
        """Give an object another label; raises PromptError if there is no such object."""
        with self._lock:
            self._push({**self._present, number: replace(self._object(number), label=label)})

    def remove(self, number: int) -> None:
        """Take an object away; raises PromptError if there is no such object."""
        with self._lock:
            self._object(number)
            self._push({other: one for other, one in self._present.items() if other != number})

    def undo(self) -> None:
        """Take the last edit back, of whichever object; raises PromptError if there is none."""
        with self._lock:
            if not self.can_undo:
                raise PromptError("there is no edit to undo.")
            self._position -= 1

    def redo(self) -> None:
        """Make the edit again that was undone last; raises PromptError if there is none."""
        with self._lock:
            if not self.can_redo:
                raise PromptError("there is no edit to make again.")
            self._position += 1

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether an edit was undone and nothing else was done since."""
        return self._position < len(self._steps) - 1

    # --- what it shows -----------------------------------------------------------------------------------

    @property
    def results(self) -> dict[int, Result]:
        """The results by the objects' numbers, with masks that do not overlap.

        An object of which nothing was asked yet has none. Probabilities and confidences are those of the
        objects' own answers.
        """
        with self._lock:
            asked = {n: one.prompt for n, one in self._present.items() if not one.prompt.is_empty}
            answers = {number: self._answer(number, prompt) for number, prompt in asked.items()}
            self._answers = {number: (asked[number], answer) for number, answer in answers.items()}
            return dict(zip(answers, exclusive(list(answers.values())), strict=True))

    def __getitem__(self, number: int) -> Result:
        """Return what the scene shows of an object.

        Raises:
            PromptError: if there is no such object, or nothing was asked of it yet.
        """
        with self._lock:
            if self._object(number).prompt.is_empty:
                raise PromptError(f"nothing was asked of object {number} yet; click on it.")
            return self.results[number]

    def numbers(self) -> NDArray[np.int32]:
        """Return (H, W) int32: the number of the object that each pixel belongs to, 0 for none."""
        shown = np.zeros((self.height, self.width), np.int32)
        for number, result in self.results.items():
            shown[result.mask] = number
        return shown

    def _object(self, number: int) -> SceneObject:
        if number not in self._present:
            raise PromptError(f"there is no object {number!r}; give one of {list(self._present)}.")
        return self._present[number]

    def _answer(self, number: int, prompt: Prompt) -> Result:
        known, answer = self._answers.get(number, (None, None))
        if answer is None or known != prompt:
            answer = self._recurrence.result(self._image, prompt).finished(self._finish)
            self._answers[number] = prompt, answer
        return answer

    def _push(self, objects: Objects) -> None:
        self._steps[self._position + 1 :] = [objects]
        self._position += 1
