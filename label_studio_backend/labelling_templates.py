"""Labelling configs to start from: the ones we recommend, for any labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from xml.sax.saxutils import quoteattr

from fcfi_core.errors import SettingsError

Shape = Literal["brush", "polygon", "rectangle"]

_TAGS = {"brush": "BrushLabels", "polygon": "PolygonLabels", "rectangle": "RectangleLabels"}
_COLOURS = ("#e03131", "#1971c2", "#2f9e44", "#f08c00", "#9c36b5", "#0c8599", "#e8590c", "#5f3dc4")
_ZOOM = 'zoom="true" zoomControl="true"'
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

    Args:
        labels: the classes, at least one.
        shape: what masks become.
        image: name of the Image tag.
        data_key: where tasks hold the image.
        background: a further click label that means "not this", or "".
        boxes: offer a smart rectangle too; it shares one button with the smart key point.

    >>> print(labelling_config(["cell"]))
    <View>
      <Image name="image" value="$image" zoom="true" zoomControl="true"/>
      <BrushLabels name="mask" toName="image" smart="false">
        <Label value="cell" background="#e03131"/>
      </BrushLabels>
      <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true">
        <Label value="cell" background="#e03131" showInline="true"/>
      </KeyPointLabels>
    </View>
    """
    names = [label.strip() for label in labels if label.strip()]
    if not names or len(set(names)) < len(names) or background in names:
        raise SettingsError(f"labels are {list(labels)!r}; give at least one, each once.")
    colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(names))]
    classes = list(zip(names, colours, strict=True))
    clicks = [*classes, (background, _BACKGROUND_COLOUR)] if background else classes
    parts = [
        f"  <Image name={quoteattr(image)} value={quoteattr('$' + data_key)} {_ZOOM}/>",
        # Brushes bring a smart variant of themselves, which would stand before the one for clicks.
        *_control(_TAGS[shape], "mask", image, ' smart="false"', classes, ""),
        *_control(
            "KeyPointLabels", "click", image, ' smart="true" smartOnly="true"', clicks, ' showInline="true"'
        ),
    ]
    if boxes and shape != "rectangle":
        parts += _control("RectangleLabels", "box", image, ' smart="true" smartOnly="true"', classes, "")
    return "\n".join(["<View>", *parts, "</View>"])


def _control(
    tag: str, name: str, image: str, attributes: str, labels: Sequence[tuple[str, str]], more: str
) -> list[str]:
    lines = [f'    <Label value={quoteattr(label)} background="{colour}"{more}/>' for label, colour in labels]
    return [f'  <{tag} name="{name}" toName={quoteattr(image)}{attributes}>', *lines, f"  </{tag}>"]
