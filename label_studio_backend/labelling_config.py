"""Label Studio's labelling config: which tags there are, and which one takes the mask."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from fcfi_core.errors import DataError, ImageError

MOST_TAGS = 1000
"""Most tags for images, regions and repetitions of a config; real ones have some dozens."""

_DEEPEST_KEY = 32
_LONGEST_VALUE = 10_000

LARGEST = 1_000_000
"""Most characters of a config; real ones have some thousands."""

_SPELLING = {
    "brushlabels": "BrushLabels",
    "bitmasklabels": "BitmaskLabels",
    "polygonlabels": "PolygonLabels",
    "rectanglelabels": "RectangleLabels",
    "keypointlabels": "KeyPointLabels",
    "ellipselabels": "EllipseLabels",
    "labels": "Labels",
    "brush": "Brush",
    "bitmask": "Bitmask",
    "polygon": "Polygon",
    "rectangle": "Rectangle",
    "keypoint": "KeyPoint",
    "ellipse": "Ellipse",
}
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
_NEVER_SMART = ("polygon", "ellipse", "labels")


UNDEFINED = "$undefined$"
"""The key under which Label Studio keeps an upload while the project has no config."""


def same_word(label: str | None, word: str) -> bool:
    """Return whether ``label`` is ``word``, whatever its case and the blanks around it; never for ""."""
    return label is not None and bool(word.strip()) and label.strip().casefold() == word.strip().casefold()


@dataclass(frozen=True)
class Control:
    """One tag that makes regions on an image.

    Args:
        kind: the tag in lower case, which is also the ``type`` of its results.
        name: its ``name``, a result's ``from_name``.
        targets: the image tags it works on (``toName``).
        labels: the classes it offers, in order.
        open_labels: True where the task's data adds classes that the config does not list.
        smart: whether prompts drawn with it reach the backend.
        says_smart: whether the config asks for that, instead of leaving it to Label Studio's default.
    """

    kind: str
    name: str
    targets: tuple[str, ...]
    labels: tuple[str, ...]
    open_labels: bool
    smart: bool
    says_smart: bool

    @property
    def tag(self) -> str:
        """The tag as people write it."""
        return _SPELLING[self.kind]

    @property
    def shape(self) -> str:
        """brush, bitmask, polygon, rectangle, keypoint or ellipse (labels for a ``Labels`` tag)."""
        return self.kind.removesuffix("labels") or "labels"

    @property
    def shown(self) -> str:
        """The tag with its name, for messages."""
        return f"<{self.tag} name={self.name!r}>"

    def offers(self, label: str) -> bool:
        """Return whether a region of this tag may carry ``label``."""
        return self.open_labels or label in self.labels


@dataclass(frozen=True)
class Carrier:
    """A tag that can take a mask, with the rows of ``Labels`` that may name it.

    A tag with labels of its own takes masks that have at least one of them.
    """

    control: Control
    rows: tuple[Control, ...]

    @property
    def named_by(self) -> tuple[Control, ...]:
        """The tags that give the first label of a mask."""
        return (self.control,) if self.control.kind.endswith("labels") else self.rows

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that a mask may have here, as far as the config lists them."""
        return tuple(dict.fromkeys(label for tag in self.named_by for label in tag.labels))

    @property
    def nameless(self) -> bool:
        """Whether masks have no class here."""
        return not any(tag.labels or tag.open_labels for tag in self.named_by)

    def offers(self, label: str) -> bool:
        """Return whether ``label`` may be the class of a mask here."""
        return any(tag.offers(label) for tag in self.named_by)

    def carries(self, labels: Sequence[str], *, listed: bool) -> bool:
        """Return whether a mask may have all of ``labels`` here.

        Args:
            labels: at least one.
            listed: count only what the config lists, not what a task's data may add.
        """
        main = any(label in self.labels if listed else self.offers(label) for label in labels)
        return main and all(
            any(label in tag.labels if listed else tag.offers(label) for tag in (*self.named_by, *self.rows))
            for label in labels
        )

    def output(self, labels: Sequence[str]) -> Output:
        """Return where a mask goes whose ``labels`` are carried here."""
        tags = tuple(dict.fromkeys((*self.named_by, *self.rows)))
        given: dict[Control, list[str]] = {tag: [] for tag in tags}
        for label in labels:
            listed = [tag for tag in tags if label in tag.labels]
            given[(listed or [tag for tag in tags if tag.offers(label)])[0]].append(label)
        own = tuple(given.pop(self.control, ()))
        return Output(self.control, own, tuple((tag, tuple(words)) for tag, words in given.items() if words))


@dataclass(frozen=True)
class Output:
    """Where an answer goes.

    Args:
        control: the tag that takes the mask.
        labels: the classes that its region holds itself.
        named: rows of labels with the classes that each gives in a result of its own.
    """

    control: Control
    labels: tuple[str, ...] = ()
    named: tuple[tuple[Control, tuple[str, ...]], ...] = ()


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
            elif kind in _SPELLING and name:
                controls.append(_control(element, kind, name, labels.get(element, [])))
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
        value = _look_up(pattern, data)
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
        if kind in _SPELLING:
            owner = element
        elif kind == "label" and owner is not None:
            found.setdefault(owner, []).append(element.get("alias") or element.get("value") or "")
        waiting.extend((child, owner) for child in reversed(element))
    return found


def _control(element: ElementTree.Element, kind: str, name: str, labels: Sequence[str]) -> Control:
    return Control(
        kind=kind,
        name=name,
        targets=tuple(target.strip() for target in element.get("toName", "").split(",") if target.strip()),
        labels=tuple(label for label in labels if label),
        open_labels=kind.endswith("labels") and element.get("value", "").startswith("$"),
        smart=_smart(element, kind),
        says_smart="true" in (element.get("smart", "").lower(), element.get("smartOnly", "").lower()),
    )


def _smart(element: ElementTree.Element, kind: str) -> bool:
    """Return whether the tag asks the backend; ``smart`` is true where it is left out."""
    says = element.get("smart", "true").lower() != "false" or element.get("smartOnly", "").lower() == "true"
    return says and kind.removesuffix("labels") not in _NEVER_SMART and kind != "labels"


def _look_up(pattern: str, data: Mapping[str, Any]) -> Any:
    """Return what ``pattern`` ("$key", "$outer.inner" or text around keys) means for ``data``."""
    if pattern[:1] == "$" and (pattern[1:] in data or re.fullmatch(r"[^$/\s]+", pattern[1:])):
        return _value(pattern[1:], data)
    return re.sub(r"\$(\w+(?:\.\w+|\[\d+\])*)", lambda match: _filled(match[1], data), pattern)


def _filled(path: str, data: Mapping[str, Any]) -> str:
    """Return the text for ``path``, whose last parts may be no key: "$name.png" is a name and a suffix."""
    parts = path.split(".")
    for length in range(min(len(parts), _DEEPEST_KEY), 0, -1):
        value = _value(".".join(parts[:length]), data)
        if isinstance(value, str | int | float):
            return ".".join((str(value), *parts[length:]))
    return ""


def _value(path: str, data: Mapping[str, Any]) -> Any:
    if path in data:
        return data[path]
    value: Any = data
    for key in re.findall(r"[^.[\]]+", path):
        if isinstance(value, list) and re.fullmatch(r"\d{1,9}", key):
            value = value[int(key)] if int(key) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:
            return None
    return value
