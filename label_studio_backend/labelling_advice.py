"""What keeps a labelling config from working with clicks, and the config that would."""

from __future__ import annotations

import difflib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcfi_core.errors import DataError
from label_studio_backend.controls import SPELLING, Control, same_word
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config

_PROMPTS = {
    "keypoint": "clicks",
    "rectangle": "boxes",
    "brush": "strokes to refine",
    "bitmask": "strokes to refine",
}
_HAND_TOOLS = ("brushlabels", "bitmasklabels", "polygonlabels", "rectanglelabels", "ellipselabels")
_MEANS_NOT_THIS = ("background", "negative", "bg", "not", "exclude", "remove", "minus", "-")


@dataclass(frozen=True)
class Remark:
    """One line about a config.

    Args:
        text: what was seen, and what to do about it.
        good: False if clicks cannot work like this.
    """

    text: str
    good: bool = True


def examine(text: str, background: str = "background") -> tuple[list[Remark], str | None]:
    """Return remarks on the config ``text``, and a corrected one; None if none is needed, or can be guessed.

    Args:
        text: XML.
        background: the label whose clicks are negative (``FCFI_BACKGROUND_LABEL``).
    """
    try:
        config = LabellingConfig.parse(text, background)
    except DataError as error:
        return [Remark(str(error), good=False)], labelling_config(["object"])
    if not config.images and config.others:
        shown = ", ".join(f"<{tag} name={name!r}>" for name, tag in list(config.others.items())[:5])
        return [Remark(f"this config shows {shown}, and clicks work on an <Image> only", good=False)], None
    if not config.images:
        labels = [label for control in config.controls for label in control.labels]
        labels = [label for label in dict.fromkeys(labels) if not same_word(label, background)]
        what = Remark("there is no <Image> tag with a name; add one.", good=False)
        return [what], labelling_config(labels or ["object"])
    remarks = _remarks(config)
    if all(remark.good for remark in remarks):
        return [*remarks, *_second_rows(text)], None
    corrected = _Correction(text, background).text()
    works = all(remark.good for remark in _remarks(LabellingConfig.parse(corrected, background)))
    return ([*remarks, *_second_rows(corrected)], corrected) if works else (remarks, None)


def _second_rows(text: str) -> Iterator[Remark]:
    """Say which keys take a hand tool: those of rows that are shown beside the one of ``Labels``."""
    root = ElementTree.fromstring(text.lstrip("\ufeff \t\r\n"))
    hidden = {
        element
        for view in root.iter()
        if "display:none" in view.get("style", "").replace(" ", "").lower()
        for element in view.iter()
    }
    shown = [element for element in root.iter() if element.tag.lower() in SPELLING and element not in hidden]
    rows = {label for one in shown if one.tag.lower() == "labels" for label in _labels(one)}
    for one in shown:
        twice = [label for label in _labels(one) if label in rows]
        if one.tag.lower() in _HAND_TOOLS and twice:
            yield Remark(
                f"{', '.join(map(repr, twice))} stand in two rows: press the keys of <Labels>; those of "
                f"<{one.tag}> take the hand tool, whose clicks ask nobody"
            )


def _labels(element: ElementTree.Element) -> list[str]:
    return [one.get("value", "") for one in element.iter() if one.tag.lower() == "label"]


def _remarks(config: LabellingConfig) -> list[Remark]:
    strays = list(_strays(config))
    # With tags that are for no image, all else that seems to be missing is probably there.
    return strays or [remark for image in config.images for remark in _of_image(config, image)]


def _strays(config: LabellingConfig) -> Iterator[Remark]:
    """Say which tags are for an image that is not there."""
    for control in config.controls:
        unknown = [target for target in control.targets if target not in {*config.images, *config.others}]
        if unknown or not control.targets:
            named = ", ".join(map(repr, unknown)) or "nothing"
            known = ", ".join(map(repr, config.images))
            yield Remark(
                f"{control.shown} is for {named} (toName); the images are called {known}", good=False
            )


def _of_image(config: LabellingConfig, image: str) -> Iterator[Remark]:
    if not config.images[image]:
        yield Remark(
            f'image {image!r} shows nothing; give it value="$image", or your data\'s key', good=False
        )
    else:
        yield Remark(f"image {image!r} shows {config.images[image]}")
    try:
        carriers = config.carriers(image)
    except DataError as error:
        yield Remark(str(error), good=False)
        carriers = []
    for carrier in carriers:
        if carrier.nameless and any(not other.nameless for other in carriers):
            continue
        offered = [*carrier.labels, *(f"those of {tag.shown}" for tag in carrier.named_by if tag.open_labels)]
        yield Remark(f"masks go to {carrier.control.shown} ({', '.join(offered) or 'no labels'})")
    here = [control for control in config.controls if image in control.targets]
    outputs = [carrier.control for carrier in carriers]
    for control in here:
        asks = control.smart and control.shape in _PROMPTS
        if asks and (control.shape == "keypoint" or control.says_smart):
            yield Remark(f"{control.shown} sends {_PROMPTS[control.shape]}")
        elif asks and control in outputs:
            yield Remark(
                f"{control.shown} brings a smart tool of its own, before the one for clicks; unless you want "
                'to draw for the backend, write smart="false"'
            )
    clicks = [control for control in here if control.shape == "keypoint"]
    if not any(control.smart for control in clicks):
        what = f'{clicks[0].shown} has smart="false"' if clicks else "there is no smart <KeyPoint> for clicks"
        yield Remark(f"{what}: a click is never sent", good=False)
    elif carriers:
        yield from _of_classes(config, image, clicks)


def _of_classes(config: LabellingConfig, image: str, clicks: Sequence[Control]) -> Iterator[Remark]:
    """Say which labels of clicks no mask can carry."""
    carriers = config.carriers(image)
    rows = [c for c in config.controls if c.kind == "labels" and image in c.targets]
    labelled = [control for control in clicks if control.smart and control.kind.endswith("labels")]
    labels = list(dict.fromkeys(label for control in (*labelled, *rows) for label in control.labels))
    negative = [label for label in labels if config.is_negative(label, image)]
    if negative:
        yield Remark(f"clicks with the label {', '.join(map(repr, negative))} are negative")
    dynamic = any(control.open_labels for control in (*labelled, *rows))
    clear = any(carrier.nameless or len(carrier.labels) == 1 for carrier in carriers)
    if not (labels or dynamic or clear):
        yield Remark("clicks have no label, but masks need one: add <Labels> with your labels", good=False)
    lost = []
    for label in labels:
        try:
            config.output(image, [label])
        except DataError:
            if label not in negative:
                lost.append(label)
    if lost:
        yield Remark(
            f"no mask can carry the label {', '.join(map(repr, lost))}, clicks with it are refused: give "
            f"masks the same labels, or set FCFI_BACKGROUND_LABEL={lost[0]} if that means 'not this'",
            good=False,
        )
    if labelled and any(carrier.control.kind.endswith("labels") for carrier in carriers) and not rows:
        yield Remark(
            "masks and clicks have a row of labels each: the first row's keys may take the hand tool, whose "
            "clicks ask nobody; the config of `fcfi label-studio setup` has one row for both"
        )


class _Correction:
    """A config with the missing tags, labels and attributes, and all else kept.

    Args:
        text: the config; it can be parsed.
        background: the label whose clicks are negative.
    """

    def __init__(self, text: str, background: str) -> None:
        self._background = background
        text = text.lstrip("\ufeff \t\r\n")
        before = re.match(r"(<\?xml.*?\?>)?((?:\s|<!--.*?-->)*)", text, re.DOTALL)
        self._comments = before[2].strip() if before else ""
        builder = ElementTree.TreeBuilder(insert_comments=True)
        self._root = ElementTree.fromstring(text, ElementTree.XMLParser(target=builder))

    def text(self) -> str:
        """Return the corrected config."""
        self._mend_targets()
        for image in [element for element in self._elements() if element.tag.lower() == "image"]:
            if image.get("name"):
                if not image.get("value") and not image.get("valueList"):
                    image.set("value", "$image")
                self._complete(image)
        ElementTree.indent(self._root)
        text = ElementTree.tostring(self._root, encoding="unicode")
        return f"{self._comments}\n{text}" if self._comments else text

    def _elements(self) -> list[ElementTree.Element]:
        return [element for element in self._root.iter() if isinstance(element.tag, str)]

    def _config(self) -> LabellingConfig:
        return LabellingConfig.parse(ElementTree.tostring(self._root, encoding="unicode"), self._background)

    def _find(self, control: Control) -> ElementTree.Element:
        return next(
            element
            for element in self._elements()
            if element.tag.lower() == control.kind and element.get("name") == control.name
        )

    def _mend_targets(self) -> None:
        """Let tags for an image that is not there be for the one that was probably meant."""
        config = self._config()
        for control in config.controls:
            known = list(config.images)
            targets = [
                target
                if target in {*config.images, *config.others}
                else next(
                    iter(difflib.get_close_matches(target, known, 1, 0.0 if len(known) == 1 else 0.6)), target
                )
                for target in control.targets or known[:1]
            ]
            if targets != list(control.targets):
                self._find(control).set("toName", ",".join(dict.fromkeys(targets)))

    def _complete(self, image: ElementTree.Element) -> None:
        """Add to one image what is missing: a tag for masks, a smart key point, and labels for both."""
        name = image.get("name", "")
        config = self._config()
        here = [control for control in config.controls if name in control.targets]
        clicks = [control for control in here if control.shape == "keypoint"]
        try:
            for carrier in config.carriers(name):
                if carrier.control.smart and not carrier.control.says_smart:
                    self._find(carrier.control).set("smart", "false")
        except DataError:
            labelled = next((control for control in clicks if control.labels or control.open_labels), None)
            self._insert(image, "BrushLabels" if labelled else "Brush", "mask", {"smart": "false"}, labelled)
        if clicks and not any(control.smart for control in clicks):
            self._find(clicks[0]).set("smart", "true")
        if not clicks:
            self._insert(image, "KeyPoint", "click", {"smart": "true", "smartOnly": "true"})
        if not any(control.kind.endswith("labels") for control in clicks):
            self._give_labels(image, here)
        self._give_masks_the_labels_of_clicks(name)

    def _give_labels(self, image: ElementTree.Element, here: Sequence[Control]) -> None:
        """Put one row of labels above the image, unless there is one."""
        if any(c.kind == "labels" and not _only(c, self._background) for c in here):
            return
        like = next((control for control in here if control.labels or control.open_labels), None)
        row = self._insert(image, "Labels", "label", {"showInline": "true"}, like, before=True)
        if like is None:
            ElementTree.SubElement(row, "Label", value="object")

    def _give_masks_the_labels_of_clicks(self, image: str) -> None:
        config = self._config()
        carriers = config.carriers(image)
        for label in [
            label
            for control in config.controls
            if image in control.targets and control.kind == "keypointlabels"
            for label in control.labels
        ]:
            wanted = not config.is_negative(label, image) and label.strip().casefold() not in _MEANS_NOT_THIS
            if wanted and not any(carrier.offers(label) for carrier in carriers):
                tags = carriers[0].named_by
                ElementTree.SubElement(self._find(tags[0]), "Label", value=label)

    def _insert(
        self,
        image: ElementTree.Element,
        tag: str,
        name: str,
        attributes: dict[str, str],
        like: Control | None = None,
        *,
        before: bool = False,
    ) -> ElementTree.Element:
        """Return a new tag put beside ``image``, with a name of its own and the labels of ``like``."""
        flag = next(iter(re.findall(r"\{\{\w+\}\}", image.get("name", ""))), "")
        taken = {element.get("name") for element in self._elements()}
        names = (f"{name}{number or ''}{'_' + flag if flag else ''}" for number in (0, *range(2, 10_000)))
        own = {"name": next(one for one in names if one not in taken), "toName": image.get("name", "")}
        element = ElementTree.Element(tag, {**own, **attributes})
        if like is not None:
            original = self._find(like)
            if like.open_labels:
                element.set("value", original.get("value", ""))
            for label in original.iter():
                if isinstance(label.tag, str) and label.tag.lower() == "label":
                    ElementTree.SubElement(element, "Label", dict(label.attrib))
        parent = next(parent for parent in self._elements() if image in list(parent))
        places = [place for place, child in enumerate(parent) if child is image]
        last = max(
            (place for place, child in enumerate(parent) if child.get("toName") == image.get("name")),
            default=places[0],
        )
        parent.insert(places[0] if before else max(last, places[0]) + 1, element)
        return element


def _only(control: Control, background: str) -> bool:
    return len(control.labels) == 1 and same_word(control.labels[0], background)
