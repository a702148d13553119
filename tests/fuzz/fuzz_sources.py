"""A small, sound source of every format that is read, for the fuzzers to damage.

``SOURCES`` are ``{format: {path: content}}``. The photo ``p0.png`` (80 x 60 pixels) lies beside each; the
first file of a source is the one to open, unless it is ``FOLDER``.
"""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image

from fcfi_core.masks import coco, label_studio

WIDTH, HEIGHT = 80, 60
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[10:30, 20:60] = True
RING = [[20, 10], [60, 10], [60, 30], [20, 30]]
FLAT = [value for point in RING for value in point]
PERCENT = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in RING]


def picture(pixels: np.ndarray) -> bytes:
    """Return ``pixels`` as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


PHOTO = picture(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
_CODE = coco.encode(MASK)
_RUNS = {"size": [HEIGHT, WIDTH], "counts": [10, 20, HEIGHT * WIDTH - 30]}

COCO = {
    "images": [{"id": 1, "file_name": "p0.png", "width": WIDTH, "height": HEIGHT}],
    "categories": [{"id": 1, "name": "disc"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [20, 10, 40, 20], "area": 800,
         "segmentation": [FLAT]},
        {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": _CODE},
        {"id": 3, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": _RUNS},
        {"id": 4, "image_id": 1, "category_id": 1, "clicks": [[30, 20, True]], "keypoints": [30, 20, 2]},
    ],
}  # fmt: skip
LABELME = {
    "version": "5.0", "flags": {}, "imagePath": "p0.png", "imageData": None,
    "imageHeight": HEIGHT, "imageWidth": WIDTH,
    "shapes": [
        {"label": "disc", "shape_type": "polygon", "points": RING, "group_id": 1},
        {"label": "disc", "shape_type": "circle", "points": [[30, 30], [40, 30]]},
        {"label": "bar", "shape_type": "rectangle", "points": [[3, 4], [30, 40]]},
        {"label": "dot", "shape_type": "point", "points": [[30, 40]]},
    ],
}  # fmt: skip
DATUMARO = {
    "info": {}, "categories": {"label": {"labels": [{"name": "disc"}, {"name": "bar"}]}},
    "items": [{
        "id": "p0", "image": {"path": "p0.png", "size": [HEIGHT, WIDTH]},
        "annotations": [
            {"id": 1, "type": "polygon", "label_id": 0, "points": FLAT, "group": 1},
            {"id": 2, "type": "mask", "label_id": 1, "rle": _CODE},
            {"id": 3, "type": "bbox", "label_id": 0, "bbox": [3, 4, 20, 20]},
            {"id": 4, "type": "points", "label_id": 0, "points": [30, 20], "visibility": [2]},
        ],
    }],
}  # fmt: skip
_PLACE = {
    "from_name": "b", "to_name": "i", "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0
}  # fmt: skip
LABEL_STUDIO = [{
    "id": 1, "data": {"image": "/data/upload/1/p0.png"},
    "annotations": [{"id": 1, "was_cancelled": False, "result": [
        {**_PLACE, "id": "a", "type": "brushlabels",
         "value": {"format": "rle", "rle": list(label_studio.encode(MASK)), "brushlabels": ["disc"]}},
        {**_PLACE, "id": "b", "type": "polygonlabels", "value": {"points": PERCENT, "polygonlabels": ["x"]}},
        {**_PLACE, "id": "c", "type": "rectanglelabels",
         "value": {"x": 3, "y": 4, "width": 30, "height": 30, "rotation": 0, "rectanglelabels": ["bar"]}},
        {**_PLACE, "id": "d", "type": "keypointlabels", "value": {"x": 3, "y": 4, "keypointlabels": ["k"]}},
    ]}],
}]  # fmt: skip
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>disc</name></label></labels></task></meta>
<image id="0" name="p0.png" width="80" height="60">
<polygon label="disc" source="manual" occluded="0" z_order="0" points="20,10;60,10;60,30;20,30"/>
<mask label="disc" source="manual" occluded="0" rle="0, 4, 2, 2" left="10" top="10" width="4" height="2"/>
<box label="bar" xtl="3" ytl="4" xbr="30" ybr="40" rotation="10"/>
<ellipse label="bar" cx="30" cy="30" rx="10" ry="5"/><points label="k" points="3,4"/>
</image></annotations>"""
VOC = """<annotation><filename>p0.png</filename>
<size><width>80</width><height>60</height><depth>3</depth></size>
<object><name>disc</name><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>30</ymax></bndbox></object>
<object><name>bar</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""
LINES = [
    {"image": "p0.png", "object": "1", "label": "disc", "clicks": [[30, 20], [3, 4, 0]]},
    {"image": "p0.png", "object": "2", "box": [3, 4, 30, 40], "mask": "m.png"},
]

FOLDER = "folder"
SOURCES: dict[str, dict[str, bytes]] = {
    "COCO": {"a.json": json.dumps(COCO).encode()},
    "LabelMe": {"a.json": json.dumps(LABELME).encode()},
    "Datumaro": {"a.json": json.dumps(DATUMARO).encode()},
    "Label Studio export": {"a.json": json.dumps(LABEL_STUDIO).encode()},
    "CVAT for images": {"a.xml": CVAT.encode()},
    "VOC": {"a.xml": VOC.encode()},
    "CSV": {"a.csv": b"image,object,label,x,y,positive,x1,y1,x2,y2\np0.png,1,disc,30,20,1,3,4,50,40\n"
                     b"p0.png,1,disc,3,2,0,,,,\n\"p0.png\",2,bar,9,9,yes,,,,\n"},
    "JSON lines": {"a.jsonl": "\n".join(map(json.dumps, LINES)).encode(),
                   "m.png": picture(MASK.astype(np.uint8) * 255)},
    "YOLO": {"data.yaml": b"path: .\ntrain: images\nnames:\n  0: disc\n  1: bar\n",
             "labels/p0.txt": b"0 0.25 0.2 0.75 0.2 0.75 0.5 0.25 0.5\n1 0.5 0.5 0.2 0.3\n"},
}  # fmt: skip
SOURCES[FOLDER] = {"masks/p0.png": picture(MASK.astype(np.uint8) * 3)}
