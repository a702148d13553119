"""What ``fcfi track`` writes for CVAT, to be uploaded into a task of the same video or frames.

``cvat-masks.xml`` ("CVAT for images 1.1") has the mask of every frame, exact to the pixel. CVAT knows no
tracks of masks, so ``cvat-track.xml`` ("CVAT for video 1.1") has one track of polygons: the outline of the
largest part, with its holes joined to it. Either is enough; both would be the object twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from cvat_function import tracking
from fcfi_core import outputs
from fcfi_core.masks import cvat
from fcfi_core.pipelines.tracks import FrameRecord, TrackRecord

MASKS = "cvat-masks.xml"
TRACK = "cvat-track.xml"


def write(record: TrackRecord) -> None:
    """Write both files into the folder of the results."""
    for name, lines in ((MASKS, _images(record)), (TRACK, _track(record))):
        with outputs.replaced(record.folder / name) as file:
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
            file.writelines(f"  {line}\n" for line in lines)
            file.write("</annotations>\n")


def _images(record: TrackRecord) -> Iterator[str]:
    label = quoteattr(record.label)
    for frame in record.shown:
        yield (
            f'<image id="{frame.number}" name={quoteattr(frame.name)} width="{frame.width}" '
            f'height="{frame.height}">'
        )
        *runs, left, top, right, bottom = cvat.encode(frame.mask())
        yield (
            f'  <mask label={label} source="auto" occluded="0" z_order="0" left="{left}" top="{top}" '
            f'width="{right - left + 1}" height="{bottom - top + 1}" rle="{", ".join(map(str, runs))}"/>'
        )
        yield "</image>"


def _track(record: TrackRecord) -> Iterator[str]:
    """Yield one track; where the object is lost it is outside until it is found again.

    Without a single outline there is no track: CVAT fails on an empty one.
    """
    shapes, last = [], ""
    for frame in record.frames:
        if frame.error:
            continue  # nothing is known of it: the shape before stays, between two that are known
        points = _points(frame) if frame.area else None
        if points is not None or last:
            outside = int(points is None)
            shapes.append(
                f'  <polygon frame="{frame.number}" keyframe="1" outside="{outside}" occluded="0" '
                f'z_order="0" points="{points or last}"/>'
            )
        last = points or ""
    if shapes:
        yield f'<track id="0" label={quoteattr(record.label)} source="auto">'
        yield from shapes
        yield "</track>"


def _points(frame: FrameRecord) -> str | None:
    corners = tracking.to_points("polygon", frame.mask())
    if corners is None:
        return None
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(corners[::2], corners[1::2], strict=True))
