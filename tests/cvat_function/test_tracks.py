"""What ``fcfi track`` writes for CVAT comes back from its reader, and says where the object is lost."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from cvat_function import tracks
from cvat_function.exports import Shape
from fcfi_core.datasets.left_out import LeftOut
from fcfi_core.pipelines.tracks import FrameRecord, TrackRecord

SIZE = HEIGHT, WIDTH = 40, 60


def square(left):
    mask = np.zeros(SIZE, bool)
    mask[10:22, left : left + 12] = True
    mask[14:18, left + 4 : left + 8] = False
    return mask


@pytest.fixture
def record(tmp_path):
    """Four frames: seen, lost, unreadable, found again."""
    frames = []
    for number, (mask, error) in enumerate(
        [(square(3), ""), (np.zeros(SIZE, bool), ""), (None, "damaged"), (square(20), "")]
    ):
        path = tmp_path / f"{number}.png"
        if mask is not None:
            cv2.imwrite(str(path), mask * np.uint8(255))
        area = 0 if mask is None else int(mask.sum())
        doubt = "the object is lost" if not area and not error else ""
        name = f"frame_{number:06d}"
        frames.append(
            FrameRecord(number, name, path, path, WIDTH, HEIGHT, 0.9, 1.0, not number, doubt, error, area)
        )
    return TrackRecord('a "disc" & <more>', "default 1", frames, True, tmp_path)


def test_masks_come_back_exactly(record, tmp_path):
    tracks.write(record)
    root = ElementTree.parse(tmp_path / tracks.MASKS).getroot()
    images = root.findall("image")
    assert [(image.get("id"), image.get("name")) for image in images] == [
        ("0", "frame_000000"),
        ("3", "frame_000003"),
    ]
    for image, left in zip(images, (3, 20), strict=True):
        (shape,) = image
        assert shape.get("label") == record.label
        mask = Shape("mask", dict(shape.attrib)).prompt(WIDTH, HEIGHT, LeftOut().add).mask
        assert np.array_equal(mask, square(left))


def test_a_track_is_outside_where_the_object_is_lost(record, tmp_path):
    tracks.write(record)
    polygons = ElementTree.parse(tmp_path / tracks.TRACK).getroot().findall("track/polygon")
    assert [(one.get("frame"), one.get("outside")) for one in polygons] == [
        ("0", "0"),
        ("1", "1"),
        ("3", "0"),
    ]
    assert all(one.get("keyframe") == "1" for one in polygons)
    assert polygons[0].get("points") == polygons[1].get("points")


def test_there_is_no_track_without_an_outline(record, tmp_path):
    tracks.write(replace(record, frames=record.frames[1:3]))
    assert list(ElementTree.parse(tmp_path / tracks.TRACK).getroot().iter("track")) == []
