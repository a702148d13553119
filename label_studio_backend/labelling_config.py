"""Label Studio's labelling config: which tags there are, and which one takes the mask."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fcfi_core.errors import DataError, ImageError

LARGEST = 1_000_000
"""Most characters of a config; real ones have some thousands."""

_LABELLED = ("brushlabels", "polygonlabels", "rectanglelabels", "keypointlabels", "ellipselabels", "labels")
_PLAIN = ("brush", "polygon", "rectangle", "keypoint", "ellipse")
_SPELLING = {
    "brushlabels": "BrushLabels",
    "polygonlabels": "PolygonLabels",
    "rectanglelabels": "RectangleLabels",
    "keypointlabels": "KeyPointLabels",
    "ellipselabels": "EllipseLabels",
    "labels": "Labels",
    "brush": "Brush",
    "polygon": "Polygon",
    "rectangle": "Rectangle",
    "keypoint": "KeyPoint",
    "ellipse": "Ellipse",
}
_ORDER = ("brushlabels", "polygonlabels", "brush", "polygon", "rectanglelabels", "rectangle")


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
        smart: True for ``smart="true"``: prompts drawn with it reach the backend.
    """

    kind: str
    name: str
    targets: tuple[str, ...]
    labels: tuple[str, ...]
    open_labels: bool
    smart: bool

    @property
    def tag(self) -> str:
        """The tag as people write it."""
        return _SPELLING[self.kind]

    @property
    def shape(self) -> str:
        """brush, polygon, rectangle, keypoint or ellipse (labels for a ``Labels`` tag)."""
        return self.kind.removesuffix("labels") or "labels"

    def offers(self, label: str) -> bool:
        """Return whether a region of this tag may carry ``label``."""
        return self.open_labels or label in self.labels


@dataclass(frozen=True)
class Output:
    """Where answers go: the tag that takes the mask and, beside a plain tag, the one that takes the class."""

    control: Control
    naming: Control | None

    @property
    def labels(self) -> Control:
        """The tag whose labels an answer may carry."""
        return self.naming or self.control

    def label_for(self, clicked: str | None) -> str | None:
        """Return the class for an object clicked as ``clicked``; None where the config names no classes.

        Raises:
            DataError: if the class cannot be carried and there is no single other one.
        """
        offered = self.labels
        if clicked is not None and offered.offers(clicked):
            return clicked
        if len(offered.labels) == 1:
            return offered.labels[0]
        if not offered.labels and not offered.open_labels:
            return None
        names = ", ".join(repr(label) for label in offered.labels[:20])
        asked = "the click has no label" if clicked is None else f"the click's label is {clicked!r}"
        raise DataError(
            f"{asked}, and <{offered.tag} name={offered.name!r}> offers {names}; give both the same labels."
        )


@dataclass(frozen=True)
class LabellingConfig:
    """A parsed config.

    Args:
        controls: in document order.
        images: name of each Image tag -> its ``value`` (or ``valueList``) attribute.
        flags: what stands for the number of a repetition in names and values, one per Repeater tag.
        background: the label that means "not this" where no mask can carry it, or "".
    """

    controls: tuple[Control, ...]
    images: Mapping[str, str]
    flags: tuple[str, ...] = ()
    background: str = ""

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
        flags: list[str] = []
        for element in root.iter():
            kind = element.tag.lower()
            name = element.get("name", "")
            if kind == "image" and name:
                images[name] = element.get("value") or element.get("valueList") or ""
            elif kind in _SPELLING and name:
                controls.append(_control(element, kind, name))
            elif kind == "repeater":
                flags.append(element.get("indexFlag") or "{{idx}}")
        return cls(tuple(controls), images, tuple(flags), background)

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

    def output(self, target: str, preferred: str = "auto", label: str | None = None) -> Output:
        """Return where masks of the image tag ``target`` go.

        Args:
            target: name of the Image tag, a prompt's ``to_name``.
            preferred: a shape to take first where several are offered (brush, polygon, rectangle), or auto.
            label: the class to carry: of several tags of one kind, one that offers it comes first.

        Raises:
            DataError: if the config has no tag that can take a mask.
        """
        namings = [
            c
            for c in self.controls
            if c.kind == "labels" and target in c.targets and not self._only_negative(c)
        ]
        naming = next(
            (c for c in namings if label is not None and c.offers(label)), next(iter(namings), None)
        )
        found = [c for c in self.controls if c.kind in _ORDER and target in c.targets]
        found.sort(
            key=lambda control: (
                control.shape != preferred,
                _ORDER.index(control.kind),
                label is not None and not control.offers(label),
            )
        )
        if not found:
            raise DataError(
                f"the labelling config has no tag that can take a mask of image {target!r}; "
                f'add <BrushLabels name="mask" toName="{target}"> with your labels.'
            )
        return Output(found[0], None if found[0].kind in _LABELLED else naming)

    def is_negative(self, label: str | None, target: str, preferred: str = "auto") -> bool:
        """Return whether ``label`` means "not this": it is the background label, and no mask can carry it."""
        return same_word(label, self.background) and not (
            self.output(target, preferred, label).labels.offers(str(label))
        )

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
        value = _look_up(pattern, data)
        if isinstance(value, list):
            value = value[index] if 0 <= index < len(value) else None
        if not isinstance(value, str) or not value.strip():
            raise ImageError(
                f"the task's data holds no image for {pattern!r}; its keys: {sorted(map(str, data))[:20]}."
            )
        return value.strip()


def _control(element: ElementTree.Element, kind: str, name: str) -> Control:
    labels = [
        label.get("alias") or label.get("value") or ""
        for label in element.iter()
        if label.tag.lower() == "label"
    ]
    return Control(
        kind=kind,
        name=name,
        targets=tuple(target.strip() for target in element.get("toName", "").split(",") if target.strip()),
        labels=tuple(label for label in labels if label),
        open_labels=kind in _LABELLED and element.get("value", "").startswith("$"),
        smart=element.get("smart", "").lower() == "true",
    )


def _look_up(pattern: str, data: Mapping[str, Any]) -> Any:
    """Return what ``pattern`` ("$key", "$outer.inner" or text around keys) means for ``data``."""
    if pattern[:1] == "$" and (pattern[1:] in data or re.fullmatch(r"[^$/\s]+", pattern[1:])):
        return _value(pattern[1:], data)
    return re.sub(r"\$(\w+(?:\.\w+|\[\d+\])*)", lambda match: _filled(match[1], data), pattern)


def _filled(path: str, data: Mapping[str, Any]) -> str:
    """Return the text for ``path``, whose last parts may be no key: "$name.png" is a name and a suffix."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
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
