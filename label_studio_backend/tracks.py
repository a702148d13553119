"""What ``fcfi track`` writes for Label Studio: a task a frame with the mask as a prediction.

``label-studio.json`` is imported into a project whose labelling config is that of ``label-studio.xml`` (what
``fcfi label-studio setup`` makes for the same label). The pictures are looked for in a folder of Label
Studio's local files that is called as the frames' own.
"""

from __future__ import annotations

import json
import os
from urllib.parse import quote

from fcfi_core import outputs
from fcfi_core.pipelines.tracks import FrameRecord, TrackRecord
from label_studio_backend.answers import Place, regions
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config

TASKS = "label-studio.json"
CONFIG = "label-studio.xml"
_USUAL = "/data/local-files/?d={folder}/"


def write(record: TrackRecord) -> None:
    """Write the tasks, and the labelling config they fit, into the folder of the results."""
    text = labelling_config([record.label])
    outputs.write(record.folder / CONFIG, text + "\n")
    output = LabellingConfig.parse(text).output("image", [record.label])
    with outputs.replaced(record.folder / TASKS) as file:
        for number, frame in enumerate(frame for frame in record.frames if not frame.error):
            predictions = []
            if frame.area:
                place = Place("image", frame.width, frame.height)
                score = round(frame.confidence, 4)
                shapes = regions(frame.mask(), place, output, score)
                predictions = [{"model_version": record.model, "score": score, "result": shapes}]
            task = {
                "data": {
                    "image": _address(record, frame),
                    "frame": frame.number,
                    "review": frame.doubt,
                },
                "predictions": predictions,
            }
            file.write(("[\n" if not number else ",\n") + json.dumps(task, separators=(",", ":")))
        file.write("\n]\n")


def _address(record: TrackRecord, frame: FrameRecord) -> str:
    folder = os.path.basename(os.path.dirname(os.path.realpath(frame.file)))
    name = quote(frame.file.name, errors="surrogateescape")
    return (record.frames_at or _USUAL.format(folder=quote(folder, errors="surrogateescape"))) + name
