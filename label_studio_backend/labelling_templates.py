"""Labelling configs to start from: the ones we recommend, for any labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from xml.sax.saxutils import quoteattr

from fcfi_core.errors import SettingsError

Shape = Literal["brush", "bitmask", "polygon", "rectangle"]

_TAGS = {"brush": "Brush", "bitmask": "Bitmask", "rectangle": "Rectangle"}
_COLOURS = ("#e03131", "#1971c2", "#2f9e44", "#f08c00", "#9c36b5", "#0c8599", "#e8590c", "#5f3dc4")
_BACKGROUND_COLOUR = "#868e96"


def labelling_config(
    labels: Sequence[str],
    *,
    shape: Shape = "brush",
    image: str = "image",
    data_key: str = "image",
    background: str = "",
    boxes: bool = False,
) -> str:
    """Return a labelling config in which clicks become masks.

    The classes stand once, above the image, and name whatever is drawn: a key chooses a class and leaves
    the tool as it is, and the class stays chosen from click to click. A tag with labels of its own for
    the mask and another for the clicks would show every class twice; the first row's keys take the hand
    tool, whose clicks ask nobody.

    Polygons get their class from a hidden row of ``PolygonLabels``: Label Studio's converter knows no other
    polygons, and a row that is shown would be the second one.

    Args:
        labels: the classes, at least one.
        shape: what masks become.
        image: name of the Image tag.
        data_key: where tasks hold the image.
        background: a further label that means "not this", or "". It stands in a row of its own, so that it
            may be chosen beside a class: clicks made meanwhile take away from the object of that class.
        boxes: offer a smart rectangle too; it shares one button with the smart key point.

    >>> print(labelling_config(["cell"]))
    <View>
      <Labels name="label" toName="image" showInline="true">
        <Label value="cell" background="#e03131"/>
      </Labels>
      <Image name="image" value="$image" zoom="true" zoomControl="true"/>
      <Brush name="mask" toName="image" smart="false"/>
      <KeyPoint name="click" toName="image" smart="true" smartOnly="true"/>
    </View>
    """
    names = [label.strip() for label in labels if label.strip()]
    if not names or len(set(names)) < len(names) or background in names:
        raise SettingsError(f"labels are {list(labels)!r}; give at least one, each once.")
    to = quoteattr(image)
    colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(names))]
    classes = list(zip(names, colours, strict=True))
    parts = _row("Labels", "label", to, 'showInline="true"', classes)
    if background:
        parts += _row("Labels", "negative", to, 'showInline="true"', [(background, _BACKGROUND_COLOUR)])
    parts.append(f'  <Image name={to} value={quoteattr("$" + data_key)} zoom="true" zoomControl="true"/>')
    # Every tag brings a smart variant of itself, which would stand before the one for clicks.
    if shape == "polygon":
        row = _row("PolygonLabels", "mask", to, 'smart="false"', classes)
        parts += ['  <View style="display:none">', *(f"  {line}" for line in row), "  </View>"]
    else:
        parts.append(f'  <{_TAGS[shape]} name="mask" toName={to} smart="false"/>')
    parts.append(f'  <KeyPoint name="click" toName={to} smart="true" smartOnly="true"/>')
    if boxes and shape != "rectangle":
        parts.append(f'  <Rectangle name="box" toName={to} smart="true" smartOnly="true"/>')
    return "\n".join(["<View>", *parts, "</View>"])


def _row(tag: str, name: str, image: str, attributes: str, labels: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f'    <Label value={quoteattr(label)} background="{colour}"/>' for label, colour in labels]
    return [f'  <{tag} name="{name}" toName={image} {attributes}>', *lines, f"  </{tag}>"]
