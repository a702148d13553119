"""What a person should look at after a run: errors, and the objects the model is least sure of."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from fcfi_core import images
from fcfi_core.clicks import Box
from fcfi_core.datasets.coco import decode_segmentation
from fcfi_core.datasets.left_out import LeftOut, listed
from fcfi_core.errors import FcfiError
from fcfi_core.outputs import replaced
from fcfi_core.pictures import drawn
from fcfi_core.pipelines.journal import Journal
from fcfi_core.pipelines.prompts import PromptSource

MOST_PICTURES = 60
_STYLE = ".errors td { text-align: left; white-space: normal; }"


@dataclass(frozen=True)
class Doubt:
    """An object that a person should look at.

    Args:
        index: of its image in the source.
        image, object, label: its names.
        confidence: 0..1.
    """

    index: int
    image: str
    object: str
    label: str
    confidence: float


@dataclass(frozen=True)
class Summary:
    """The outcome of a run in numbers.

    Args:
        images, objects: finished without error.
        errors: (image, object or None, what happened).
        doubts: objects below the wanted confidence, least confident first.
        left_out: parts of annotations that could not be used, ``{kind: how many}``.
    """

    images: int
    objects: int
    errors: tuple[tuple[str, str | None, str], ...]
    doubts: tuple[Doubt, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "images": self.images,
            "objects": self.objects,
            "errors": [{"image": a, "object": b, "error": c} for a, b, c in self.errors],
            "low_confidence": [
                {"image": one.image, "object": one.object, "label": one.label, "confidence": one.confidence}
                for one in self.doubts
            ],
            "left_out": dict(self.left_out),
        }


def summarise(journal: Journal, below: float, left_out: Mapping[str, int] | None = None) -> Summary:
    """Return the outcome.

    Args:
        below: the confidence under which an object counts as doubtful.
        left_out: of the source; what the run left out is added.
    """
    all_left_out = LeftOut(left_out)
    counts: Counter[str] = Counter()
    errors: list[tuple[str, str | None, str]] = []
    doubts: list[Doubt] = []
    for index, entry in journal.entries():
        if "error" in entry:
            errors.append((entry["image"], None, entry["error"]))
            continue
        counts["images"] += 1
        for kind, count in entry.get("left_out", {}).items():
            all_left_out.add(kind, entry["image"], count)
        for one in entry["objects"]:
            if "error" in one:
                errors.append((entry["image"], one["object"], one["error"]))
                continue
            counts["objects"] += 1
            if one["confidence"] < below:
                doubts.append(Doubt(index, entry["image"], one["object"], one["label"], one["confidence"]))
    doubts.sort(key=lambda doubt: (doubt.confidence, doubt.index, doubt.object))
    return Summary(counts["images"], counts["objects"], tuple(errors), tuple(doubts), all_left_out)


def write_review(journal: Journal, source: PromptSource, summary: Summary, path: Path) -> None:
    """Write a page with the least confident objects and all errors, complete in itself."""
    style = files("fcfi_core.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    title = f"Review of {escape(source.name)}"
    with replaced(path) as file:
        file.write(
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{style}{_STYLE}</style></head><body><main><h1>{title}</h1>"
            f'<p class="lead">{summary.objects} objects in {summary.images} images; {len(summary.doubts)} '
            f"to look at, {len(summary.errors)} errors.</p>"
        )
        if summary.doubts:
            more = len(summary.doubts) - MOST_PICTURES
            rest = f" {more} more are in report.json." if more > 0 else ""
            file.write(f'<h2>Least confident</h2><p class="note">Worst first.{rest}</p><div class="gallery">')
            for doubt in summary.doubts[:MOST_PICTURES]:
                file.write(_figure(journal, source, doubt))
            file.write("</div>")
        if summary.left_out:
            file.write(f"<h2>Left out</h2><p>{escape(listed(summary.left_out))}</p>")
        if summary.errors:
            rows = "".join(
                f"<tr><td>{escape(image)}</td><td>{escape(name or '')}</td><td>{escape(what)}</td></tr>"
                for image, name, what in summary.errors
            )
            file.write(f'<h2>Errors</h2><table class="errors"><tbody>{rows}</tbody></table>')
        file.write("</main></body></html>\n")


def _figure(journal: Journal, source: PromptSource, doubt: Doubt) -> str:
    entry = journal.get(doubt.index)
    one = next(one for one in entry["objects"] if one["object"] == doubt.object)
    caption = escape(f"{doubt.image} · {doubt.label} {doubt.object} · confidence {doubt.confidence:.2f}")
    jpeg = _picture(source, doubt.index, entry, one)
    if jpeg is None:
        return f"<figure><p>(the image is gone)</p><figcaption>{caption}</figcaption></figure>"
    data = base64.b64encode(jpeg).decode("ascii")
    return (
        f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _picture(
    source: PromptSource, index: int, entry: Mapping[str, Any], one: Mapping[str, Any]
) -> bytes | None:
    """Return a JPEG of one object; None if the image is no longer to be had."""
    try:
        loaded = images.load(source.images[index].read().picture)
    except (FcfiError, OSError):
        return None
    mask = decode_segmentation(one["segmentation"], entry["height"], entry["width"])
    x, y, width, height = one["bbox"]
    shown = drawn(loaded, mask, Box(x, y, x + width - 1, y + height - 1), 320)
    buffer = io.BytesIO()
    Image.fromarray(shown).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
