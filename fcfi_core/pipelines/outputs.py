"""What a finished run leaves: COCO JSON and id masks.

Both are written from the journal, image by image, under another name first and then renamed: a file
that is there is whole.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcfi_core.datasets.coco import decode_segmentation
from fcfi_core.masks import box_of
from fcfi_core.masks.partition import Overlaid
from fcfi_core.outputs import replaced, write
from fcfi_core.pipelines.journal import Journal
from fcfi_core.pipelines.prompts import PromptSource

WRITTEN = ("annotations.json", "report.json", "review.html", "masks", "panoptic", "panoptic.json")
"""Everything that appears in the folder of a finished run, beside its journal."""


def write_coco(journal: Journal, source: PromptSource, path: Path) -> None:
    """Write all masks as one COCO instance file, with the source's numbers where it has them all."""
    known = _categories(journal, source)
    number_of = {label: number for number, label in reversed(known.items())}
    image_ids = _numbers([image.id for image in source.images])
    annotation_ids = iter(_numbers([one.get("id") for _, one in _objects(journal)]))
    image_lines = (
        {
            "id": image_ids[index],
            "file_name": entry["image"],
            "width": entry["width"],
            "height": entry["height"],
        }
        for index, entry in journal.entries()
        if "error" not in entry
    )
    annotation_lines = (
        {
            "id": next(annotation_ids),
            "image_id": image_ids[index],
            "category_id": one["category"] if "category" in one else number_of[one["label"]],
            **{key: one[key] for key in ("segmentation", "bbox", "area")},
            "iscrowd": 0,
            "confidence": one["confidence"],
        }
        for index, one in _objects(journal)
    )
    categories = ({"id": number, "name": name} for number, name in known.items())
    with replaced(path) as file:
        file.write('{"info":{"description":"made by fcfi annotate"}')
        for key, lines in (
            ("categories", categories),
            ("images", image_lines),
            ("annotations", annotation_lines),
        ):
            file.write(f',\n"{key}":[')
            for number, line in enumerate(lines):
                file.write((",\n" if number else "\n") + json.dumps(line, separators=(",", ":")))
            file.write("]")
        file.write("}\n")


def write_id_masks(journal: Journal, folder: Path) -> None:
    """Write one PNG of object numbers per image: 0 background, 1..n in the order of the source.

    Where objects overlap the smaller one is on top. 8 bits, or 16 if there are more than 254 objects.
    With the photos in ``images/`` beside it the folder ``masks/`` makes a data set.
    """
    names = mask_names([entry["image"] for _, entry in journal.entries()])
    for (_, entry), name in zip(journal.entries(), names, strict=True):
        if "error" in entry:
            continue
        depth = np.uint8 if len(entry["objects"]) < 255 else np.uint16
        ids = _ids(entry, depth)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(ids).save(buffer, "PNG")
        write(path, buffer.getvalue())


def write_panoptic(journal: Journal, source: PromptSource, folder: Path) -> None:
    """Write COCO's panoptic form: ``panoptic.json``, and ``panoptic/NAME.png`` with a segment's id per pixel.

    The id is R + 256 G + 65536 B, 0 where there is no object; every object is a segment, and every label
    counts as one of things. A segment of which nothing is seen is left out.
    """
    known = _categories(journal, source)
    number_of = {label: number for number, label in reversed(known.items())}
    image_ids = _numbers([image.id for image in source.images])
    names = mask_names([entry["image"] for _, entry in journal.entries()])
    images, annotations = [], []
    for (index, entry), name in zip(journal.entries(), names, strict=True):
        if "error" in entry:
            continue
        ids = _ids(entry, np.uint32)
        path = folder / "panoptic" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        colours = np.dstack([ids >> shift & 255 for shift in (0, 8, 16)]).astype(np.uint8)
        Image.fromarray(colours).save(buffer, "PNG")
        write(path, buffer.getvalue())
        common = {"id": image_ids[index], "file_name": entry["image"]}
        images.append({**common, "width": entry["width"], "height": entry["height"]})
        segments = []
        for number, one in enumerate(entry["objects"], 1):
            box = box_of(ids == number)
            if box is None:
                continue
            segments.append(
                {
                    "id": number,
                    "category_id": one["category"] if "category" in one else number_of[one["label"]],
                    "area": int(np.count_nonzero(ids == number)),
                    "bbox": [box.x1, box.y1, box.width, box.height],
                    "iscrowd": 0,
                }
            )
        annotations.append({"image_id": image_ids[index], "file_name": name, "segments_info": segments})
    categories = [{"id": number, "name": label, "isthing": 1} for number, label in known.items()]
    with replaced(folder / "panoptic.json") as file:
        json.dump({"images": images, "annotations": annotations, "categories": categories}, file)


def _ids(entry: dict[str, Any], depth: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    """Return (H, W) object numbers, 1..n in the order of the source; the smaller object lies in front."""
    size = entry["height"], entry["width"]
    overlaid = Overlaid(size)
    for one in entry["objects"]:
        overlaid.add(None if "error" in one else decode_segmentation(one["segmentation"], *size))
    return overlaid.numbers.astype(depth)


def mask_names(image_names: Sequence[str]) -> list[str]:
    """Return a different relative PNG path for each image; folders stay, and nothing leads outside.

    >>> mask_names(["a.jpg", "a.png", "../b/c.jpg", "b/c.jpg"])
    ['a.jpg.png', 'a.png.png', 'b/c.jpg.png', 'b/c.jpg-2.png']
    """
    parts = [
        [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..")]
        or ["image"]
        for name in image_names
    ]
    stems = ["/".join([*folders, PurePosixPath(last).stem]) for *folders, last in parts]
    occurrences = Counter(stems)
    names: dict[str, None] = {}
    for stem, whole in zip(stems, parts, strict=True):
        base = name = stem if occurrences[stem] == 1 else "/".join(whole)
        number = 1
        while f"{name}.png" in names:
            number += 1
            name = f"{base}-{number}"
        names[f"{name}.png"] = None
    return list(names)


def _categories(journal: Journal, source: PromptSource) -> dict[int, str]:
    """Return {number: label} of the source, and of labels and numbers that it did not announce."""
    known = dict(source.categories)
    for _, one in _objects(journal):
        number, label = one.get("category"), one["label"]
        if number is not None:
            known.setdefault(number, label)
        elif label not in known.values():
            known[max(known, default=0) + 1] = label
    return known


def _objects(journal: Journal) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(index of the image, object)`` of all objects that have a mask, in order."""
    for index, entry in journal.entries():
        for one in entry.get("objects", ()):
            if "error" not in one:
                yield index, one


def _numbers(own: Sequence[int | None]) -> list[int]:
    """Return the given numbers if all are there and different, else 1, 2, 3 ..."""
    given = [number for number in own if number is not None]
    return given if len(set(given)) == len(own) else list(range(1, len(own) + 1))
