"""What Label Studio's own exports hold of our regions."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from label_studio_backend.answers import Place, regions
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config
from tests.e2e.label_studio.running import HEIGHT, WIDTH

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def objects_in(kind, content):
    """Return how many objects an export holds; None if it is no archive."""
    if content[:4] != b"PK\x03\x04":
        return 1 if content[:4] == b"\x89PNG" else None
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.startswith("images/")}
    if "COCO" in kind:
        (text,) = (text for name, text in files.items() if name.endswith(".json"))
        return len(json.loads(text)["annotations"])
    if kind == "YOLO":
        return sum(len(text.splitlines()) for name, text in files.items() if name.startswith("labels/"))
    if kind == "VOC":
        return sum(text.count(b"<object>") for text in files.values())
    return len(files)


def exports_table():
    """Return {config: {column: cell}} of the documentation's table of exports."""
    page = (Path(__file__).parents[3] / "docs" / "label-studio.md").read_text(encoding="utf-8")
    lines = [
        line for line in page.split("## Exports")[1].split("## ")[0].splitlines() if line.startswith("|")
    ]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].replace("`", ""): dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def config_called(name):
    classes = [f'<Label value="{label}"/>' for label in ("disk", "square")]

    def tag(kind, name, more=""):
        return f'<{kind} name="{name}" toName="image" {more}>{"".join(classes)}</{kind}>'

    image = '<Image name="image" value="$image"/>'
    clicks = tag("KeyPointLabels", "click", 'smart="true"')
    if name.startswith("setup"):
        return labelling_config(["disk", "square"], shape=name.split()[-1])
    if name == "Labels, hidden BrushLabels":
        point = '<KeyPoint name="click" toName="image" smart="true"/>'
        hidden = f'<View style="display:none">{tag("BrushLabels", "mask")}</View>'
        return f"<View>{tag('Labels', 'label')}{image}{hidden}{point}</View>"
    return f"<View>{image}{tag(name.split(',')[0], 'mask')}{clicks}</View>"


@pytest.mark.parametrize("name", sorted(exports_table()))
def test_what_label_studio_exports_is_what_the_documentation_says(label_studio, photo, name):
    config = config_called(name)
    number = label_studio.post("/api/projects", {"title": name[:50], "label_config": config})["id"]
    label_studio.upload(number, [("disk.png", photo)])
    task = label_studio.get(f"/api/tasks?project={number}")["tasks"][0]["id"]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    results = []
    for label, x in (("disk", 80), ("square", 240)):
        output = LabellingConfig.parse(config).output("image", [label])
        drawn = regions(
            (columns - x) ** 2 + (rows - 120) ** 2 <= 50**2, Place("image", WIDTH, HEIGHT), output, 0.9
        )
        if "<Labels" in config and not output.named:
            # as the editor does when a suggestion is accepted: the chosen label of each row is put on it
            shape = {key: value for key, value in drawn[0]["value"].items() if not key.endswith("labels")}
            value = {**shape, "labels": [label]}
            drawn += [{**drawn[0], "type": "labels", "from_name": "label", "value": value}]
        results += drawn
    label_studio.post(f"/api/tasks/{task}/annotations", {"result": results})
    offered = label_studio.get(f"/api/projects/{number}/export/formats")
    offered = {one["name"] for one in offered if not one.get("disabled")}
    kinds = {
        "COCO": "COCO",
        "YOLO": "YOLO",
        "Pascal VOC": "VOC",
        "PNG": "BRUSH_TO_PNG",
        "NumPy": "BRUSH_TO_NUMPY",
        "Brush to COCO": "BRUSH_TO_COCO",
    }
    found = {}
    for column, kind in kinds.items():
        found[column] = "no"
        if kind in offered:
            route = f"/api/projects/{number}/export?exportType={kind}&download_all_tasks=false"
            count = objects_in(kind, label_studio.ask("GET", route).body)
            found[column] = {0: "empty", 2: "yes", 4: "twice"}[count]
    assert found == exports_table()[name]
