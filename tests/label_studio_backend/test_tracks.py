"""What ``fcfi track`` writes for Label Studio: tasks with predictions that fit the config beside them."""

from __future__ import annotations

import json

import cv2
import numpy as np

from fcfi_core.masks import label_studio
from fcfi_core.pipelines.tracks import FrameRecord, TrackRecord
from label_studio_backend import tracks
from label_studio_backend.labelling_config import LabellingConfig


def test_tasks_fit_the_config_beside_them(tmp_path):
    mask = np.zeros((40, 60), bool)
    mask[10:22, 3:15] = True
    cv2.imwrite(str(tmp_path / "mask.png"), mask * np.uint8(255))
    cv2.imwrite(str(tmp_path / "none.png"), np.zeros((40, 60), np.uint8))
    frames = []
    for number, (name, area, error) in enumerate(
        (("mask", 144, ""), ("none", 0, ""), ("mask", 0, "damaged"))
    ):
        file = tmp_path / "my frames" / f"{number} a.jpg"
        doubt = "" if area or error else "the object is lost"
        path = tmp_path / f"{name}.png"
        frames.append(
            FrameRecord(number, file.name, file, path, 60, 40, 0.87654321, 1.0, False, doubt, error, area)
        )
    tracks.write(TrackRecord("cat", "default 1", frames, False, tmp_path))
    tasks = json.loads((tmp_path / tracks.TASKS).read_text())
    assert [task["data"] for task in tasks] == [
        {"image": "/data/local-files/?d=my%20frames/0%20a.jpg", "frame": 0, "review": ""},
        {"image": "/data/local-files/?d=my%20frames/1%20a.jpg", "frame": 1, "review": "the object is lost"},
    ]
    (prediction,) = tasks[0]["predictions"]
    assert prediction["score"] == 0.8765
    assert tasks[1]["predictions"] == []
    brush, labels = prediction["result"]
    assert np.array_equal(label_studio.decode(brush["value"]["rle"], 60, 40), mask)
    assert labels["value"]["labels"] == ["cat"]
    config = LabellingConfig.parse((tmp_path / tracks.CONFIG).read_text())
    output = config.output("image", ["cat"])
    assert (brush["from_name"], brush["type"]) == (output.control.name, output.control.kind)


def test_pictures_may_be_elsewhere(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((4, 6), np.uint8))
    frame = FrameRecord(
        0, "a.jpg", tmp_path / "a.jpg", tmp_path / "mask.png", 6, 4, 0.0, 0.0, False, "lost", "", 0
    )
    tracks.write(TrackRecord("cat", "m", [frame], False, tmp_path, "s3://bucket/clip/"))
    (task,) = json.loads((tmp_path / tracks.TASKS).read_text())
    assert task["data"]["image"] == "s3://bucket/clip/a.jpg"
