"""Tags that make regions on an image, and which of them can take a mask of a class."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

SPELLING = {
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
"""Each tag in lower case -> as people write it."""

_NEVER_SMART = ("polygon", "ellipse", "labels")


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

    @classmethod
    def of(cls, element: ElementTree.Element, labels: Sequence[str]) -> Self:
        """Return the tag written as ``element``, whose kind is in :data:`SPELLING`, with the labels in it."""
        kind = element.tag.lower()
        return cls(
            kind=kind,
            name=element.get("name", ""),
            targets=tuple(
                target.strip() for target in element.get("toName", "").split(",") if target.strip()
            ),
            labels=tuple(label for label in labels if label),
            open_labels=kind.endswith("labels") and element.get("value", "").startswith("$"),
            smart=_smart(element, kind),
            says_smart="true" in (element.get("smart", "").lower(), element.get("smartOnly", "").lower()),
        )

    @property
    def tag(self) -> str:
        """The tag as people write it."""
        return SPELLING[self.kind]

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


def _smart(element: ElementTree.Element, kind: str) -> bool:
    """Return whether the tag asks the backend; ``smart`` is true where it is left out."""
    says = element.get("smart", "true").lower() != "false" or element.get("smartOnly", "").lower() == "true"
    return says and kind.removesuffix("labels") not in _NEVER_SMART and kind != "labels"
