"""Label Studio's labelling config: which tags there are, and which one takes the mask."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from fcfi_core.errors import DataError, ImageError
from label_studio_backend.controls import SPELLING, Carrier, Control, Output, same_word
from label_studio_backend.task_data import look_up

MOST_TAGS = 1000
"""Most tags for images, regions and repetitions of a config; real ones have some dozens."""

LARGEST = 1_000_000
"""Most characters of a config; real ones have some thousands."""

UNDEFINED = "$undefined$"
"""The key under which Label Studio keeps an upload while the project has no config."""

_LONGEST_VALUE = 10_000

_ORDER = (
    "brushlabels",
    "bitmasklabels",
    "polygonlabels",
    "brush",
    "bitmask",
    "polygon",
    "rectanglelabels",
    "rectangle",
)


@dataclass(frozen=True)
class LabellingConfig:
    """A parsed config.

    Args:
        controls: in document order.
        images: name of each Image tag -> its ``value`` (or ``valueList``) attribute.
        flags: what stands for the number of a repetition in names and values, one per Repeater tag.
        background: the label that means "not this" where no mask can carry it, or "".
        others: name of each tag that shows something else (Text, Video, ...) -> the tag as it is written.
    """

    controls: tuple[Control, ...]
    images: Mapping[str, str]
    flags: tuple[str, ...] = ()
    background: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: object, background: str = "") -> Self:
        """Return the config written in ``text`` (XML).

        Raises:
            DataError: if it is not the XML of a labelling config.
        """
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                "the request holds no labelling config (label_config); connect the backend to a project."
            )
        if len(text) > LARGEST:
            raise DataError(f"the labelling config has {len(text)} characters; at most {LARGEST} are read.")
        if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
            raise DataError(
                "the labelling config declares a document type or entities; remove the declaration."
            )
        try:
            root = ElementTree.fromstring(text.lstrip("\ufeff \t\r\n"))
        except (ElementTree.ParseError, ValueError) as error:
            raise DataError(
                f"the labelling config is not valid XML ({error}); correct it in the project."
            ) from None
        controls: list[Control] = []
        images: dict[str, str] = {}
        others: dict[str, str] = {}
        flags: list[str] = []
        labels = _labels_of(root)
        for element in root.iter():
            kind = element.tag.lower()
            name = element.get("name", "")
            if kind == "image" and name:
                images[name] = element.get("value") or element.get("valueList") or ""
            elif kind in SPELLING and name:
                controls.append(Control.of(element, labels.get(element, ())))
            elif kind == "repeater":
                flags.append(element.get("indexFlag") or "{{idx}}")
            elif name and not element.get("toName") and element.get("value", "").startswith("$"):
                others[name] = element.tag
            if len(controls) + len(images) + len(others) + len(flags) > MOST_TAGS:
                raise DataError(f"the labelling config has more than {MOST_TAGS} tags; use fewer.")
        return cls(tuple(controls), images, tuple(flags), background, others)

    @classmethod
    def for_image(cls, text: object, target: str, background: str = "") -> Self:
        """Return the config as the image tag ``target`` sees it.

        Inside a Repeater a tag called ``page_{{idx}}`` becomes ``page_0``, ``page_1`` and so on; all names
        and values get the number of the target.

        Raises:
            DataError: see :meth:`parse`.
        """
        config = cls.parse(text, background)
        if target in config.images:
            return config
        for name in config.images:
            for flag in filter(name.__contains__, config.flags):
                before, _, after = name.partition(flag)
                number = target.removeprefix(before).removesuffix(after)
                if number.isdecimal() and name.replace(flag, number) == target:
                    return cls.parse(str(text).replace(flag, number), background)
        return config

    def target(self, name: str) -> str:
        """Return the Image tag meant by a region's ``to_name``; where that is missing, the only one.

        Raises:
            DataError: if it is missing and there is not exactly one.
        """
        if name or len(self.images) == 1:
            return name or next(iter(self.images))
        raise DataError(
            f"a region does not say of which image it is (to_name), and the labelling config has "
            f"{len(self.images)}; send to_name."
        )

    def carriers(self, target: str, preferred: str = "auto") -> list[Carrier]:
        """Return the tags that can take a mask of the image tag ``target``, the first choice first.

        Args:
            target: name of the Image tag.
            preferred: a shape to take first where several are offered (brush, bitmask, polygon, rectangle),
                or auto.

        Raises:
            DataError: if there is none.
        """
        here = [control for control in self.controls if target in control.targets]
        rows = tuple(c for c in here if c.kind == "labels" and not self._only_negative(c))
        found = [control for control in here if control.kind in _ORDER]
        # A rectangle that asks the backend is a prompt, as long as something else can take the mask.
        others = [c for c in found if not (c.shape == "rectangle" and c.says_smart)]
        found = sorted(others or found, key=lambda c: (c.shape != preferred, _ORDER.index(c.kind)))
        if not found:
            raise DataError(
                f"the labelling config has no tag that can take a mask of image {target!r}; "
                f'add <Brush name="mask" toName="{target}" smart="false"/>, and <Labels> with your labels.'
            )
        return [Carrier(control, rows) for control in found]

    def output(self, target: str, labels: Sequence[str] = (), preferred: str = "auto") -> Output:
        """Return where a mask of the image tag ``target`` goes: the class decides first, the kind second.

        Clicks without a label get a mask without a class, which the annotator sees and may name: the key that
        chooses a label lets go of it, too.

        Args:
            target: name of the Image tag, a prompt's ``to_name``.
            labels: the classes clicked with; none where the config names no classes, or none was chosen.
            preferred: see :meth:`carriers`.

        Raises:
            DataError: if no tag can take the mask, or none can carry all of the classes.
        """
        carriers = self.carriers(target, preferred)
        for listed in (True, False):
            for carrier in carriers:
                if labels and carrier.carries(labels, listed=listed):
                    return carrier.output(labels)
        if all(carrier.nameless for carrier in carriers):
            return carriers[0].output(())
        first = carriers[0]
        if len(first.labels) == 1 and (not labels or self._click_labels(target) == set(labels)):
            return first.output(first.labels)
        if not labels:
            return first.output(())
        asked = f"the click's label is {', '.join(map(repr, labels))}"
        offers = "; ".join(
            f"{carrier.control.shown} can be {', '.join(map(repr, carrier.labels[:20])) or 'of any class'}"
            for carrier in carriers[:5]
        )
        raise DataError(f"{asked}, and no mask can carry that: {offers}; give both the same labels.")

    def has_classes(self, target: str) -> bool:
        """Return whether masks of the image tag ``target`` have classes."""
        return not all(carrier.nameless for carrier in self.carriers(target))

    def is_negative(self, label: str | None, target: str) -> bool:
        """Return whether ``label`` means "not this": it is the background label, and no mask can carry it."""
        return same_word(label, self.background) and not any(
            carrier.offers(str(label)) for carrier in self.carriers(target)
        )

    def _click_labels(self, target: str) -> set[str]:
        """Return the labels that clicks on ``target`` may have."""
        return {
            label
            for control in self.controls
            if control.shape in ("keypoint", "labels") and target in control.targets
            for label in control.labels
        }

    def _only_negative(self, control: Control) -> bool:
        """Return whether a row of labels is the switch for negative clicks, and names nothing."""
        return len(control.labels) == 1 and same_word(control.labels[0], self.background)

    def reference(self, target: str, data: Mapping[str, Any], index: int = 0) -> str:
        """Return the image reference of a task: what its data holds for the Image tag ``target``.

        Args:
            target: name of the Image tag.
            data: the task's ``data``.
            index: which picture, where the tag shows a list of them.

        Raises:
            ImageError: if there is none.
        """
        pattern = self.images.get(target)
        if pattern is None:
            raise ImageError(
                f"the labelling config has no <Image name={target!r}>; its images: {sorted(self.images)}."
            )
        if len(pattern) > _LONGEST_VALUE:
            raise ImageError(f"the value of <Image> {target!r} has {len(pattern)} characters; shorten it.")
        value = look_up(pattern, data)
        if value in (None, "") and len(self.images) == 1 and UNDEFINED in data:
            value = data[UNDEFINED]
        if isinstance(value, list):
            value = value[index] if 0 <= index < len(value) else None
        if not isinstance(value, str) or not value.strip():
            raise ImageError(
                f"the task's data holds no image for {pattern!r}; its keys: {sorted(map(str, data))[:20]}."
            )
        return value.strip()


def _labels_of(root: ElementTree.Element) -> dict[ElementTree.Element, list[str]]:
    """Return the labels of each control: those within it, but not within another control in it."""
    found: dict[ElementTree.Element, list[str]] = {}
    waiting: list[tuple[ElementTree.Element, ElementTree.Element | None]] = [(root, None)]
    while waiting:
        element, owner = waiting.pop()
        kind = element.tag.lower()
        if kind in SPELLING:
            owner = element
        elif kind == "label" and owner is not None:
            found.setdefault(owner, []).append(element.get("alias") or element.get("value") or "")
        waiting.extend((child, owner) for child in reversed(element))
    return found
