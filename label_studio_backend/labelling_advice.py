"""What keeps a labelling config from working with clicks, and the config that would."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from fcfi_core.errors import DataError
from label_studio_backend.labelling_config import Control, LabellingConfig
from label_studio_backend.labelling_templates import labelling_config

_PROMPTS = {
    "keypoint": "clicks",
    "rectangle": "boxes",
    "polygon": "polygons to refine",
    "brush": "strokes to refine",
}


@dataclass(frozen=True)
class Remark:
    """One line about a config.

    Args:
        text: what was seen, and what to do about it.
        good: False if clicks cannot work like this.
    """

    text: str
    good: bool = True


def examine(text: str) -> tuple[list[Remark], str | None]:
    """Return remarks on the config ``text``, and a corrected one (None if nothing is wrong)."""
    try:
        config = LabellingConfig.parse(text)
    except DataError as error:
        return [Remark(str(error), good=False)], labelling_config(["object"])
    if not config.images:
        return [Remark("there is no <Image> tag with a name; add one.", good=False)], labelling_config(
            ["object"]
        )
    remarks = [remark for image in config.images for remark in _of_image(config, image)]
    if all(remark.good for remark in remarks):
        return remarks, None
    return remarks, _corrected(text, config)


def _of_image(config: LabellingConfig, image: str) -> Iterator[Remark]:
    yield Remark(f"image {image!r} shows {config.images[image]}")
    here = [control for control in config.controls if image in control.targets]
    try:
        output = config.output(image)
    except DataError as error:
        yield Remark(str(error), good=False)
        return
    labels = ", ".join(output.labels.labels) or "no labels"
    yield Remark(f"masks go to {_named(output.control)} ({labels})")
    prompts = [control for control in here if control.smart and control.shape in _PROMPTS]
    for prompt in prompts:
        yield Remark(f"{_named(prompt)} sends {_PROMPTS[prompt.shape]}")
        lost = [label for label in prompt.labels if not output.labels.offers(label)]
        if lost and prompt.shape == "keypoint" and len(output.labels.labels) != 1:
            named = ", ".join(map(repr, lost))
            yield Remark(
                f"{_named(prompt)} has labels that no mask can carry: {named}; give both tags the same "
                "(only the label named by FCFI_BACKGROUND_LABEL may be there alone: its clicks are negative)",
                good=set(lost) == {"background"},
            )
    if not any(prompt.shape == "keypoint" for prompt in prompts):
        plain = [control for control in here if control.shape == "keypoint"]
        what = (
            f'{_named(plain[0])} lacks smart="true"' if plain else "there is no <KeyPointLabels> for clicks"
        )
        yield Remark(f"{what}: a click is never sent", good=False)


def _named(control: Control) -> str:
    return f"<{control.tag} name={control.name!r}>"


def _corrected(text: str, config: LabellingConfig) -> str:
    """Return the config with the missing tags, labels and ``smart`` attributes, and all else kept."""
    root = ElementTree.fromstring(text)
    for image in config.images:
        here = [control for control in config.controls if image in control.targets]
        labels = [label for control in here if control.labels for label in control.labels]
        labels = list(dict.fromkeys(labels)) or ["object"]
        try:
            output = config.output(image)
        except DataError:
            root.append(_tag("BrushLabels", "mask", image, labels))
        else:
            _add_labels(root, output.labels, labels)
        clicks = next((control for control in here if control.shape == "keypoint"), None)
        if clicks is None:
            prompt = _tag("KeyPointLabels", "click", image, labels)
            prompt.set("smart", "true")
            prompt.set("smartOnly", "true")
            root.append(prompt)
        else:
            element = _find(root, clicks)
            element.set("smart", "true")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _find(root: ElementTree.Element, control: Control) -> ElementTree.Element:
    return next(e for e in root.iter() if e.tag.lower() == control.kind and e.get("name") == control.name)


def _add_labels(root: ElementTree.Element, control: Control, labels: list[str]) -> None:
    if control.open_labels or not control.labels:
        return
    element = _find(root, control)
    for label in labels:
        if not control.offers(label):
            ElementTree.SubElement(element, "Label", value=label)


def _tag(tag: str, name: str, image: str, labels: list[str]) -> ElementTree.Element:
    element = ElementTree.Element(tag, name=name, toName=image)
    for label in labels:
        ElementTree.SubElement(element, "Label", value=label)
    return element
