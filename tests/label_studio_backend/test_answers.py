"""Regions as Label Studio wants them."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from fcfi_core.errors import PromptError
from fcfi_core.masks import Polygon, from_polygons
from fcfi_core.masks import label_studio as code
from label_studio_backend import bitmask
from label_studio_backend.answers import Place, regions
from label_studio_backend.labelling_config import LabellingConfig

PLACE = Place("image", 8, 6, 90, 2)


def output(controls, *labels):
    config = LabellingConfig.parse(f'<View><Image name="image" value="$i"/>{controls}</View>')
    return config.output("image", labels)


def labels(tag):
    return output(f'<{tag} name="out" toName="image"><Label value="cell"/></{tag}>', "cell")


@pytest.fixture
def mask():
    made = np.zeros((6, 8), bool)
    made[1:4, 1:5] = True
    made[2, 2] = False
    made[5, 6:8] = True
    return made


def test_brush(mask):
    (region,) = regions(mask, PLACE, labels("BrushLabels"), 0.5)
    assert region.pop("id")
    value = region.pop("value")
    assert region == {
        "type": "brushlabels",
        "from_name": "out",
        "to_name": "image",
        "original_width": 8,
        "original_height": 6,
        "image_rotation": 90,
        "item_index": 2,
        "score": 0.5,
    }
    assert (value["format"], value["brushlabels"]) == ("rle", ["cell"])
    assert (code.decode(value["rle"], 8, 6) == mask).all()


def test_bitmask(mask):
    (region,) = regions(mask, PLACE, labels("BitmaskLabels"), 0.5)
    value = region["value"]
    assert (region["type"], value["bitmasklabels"]) == ("bitmasklabels", ["cell"])
    assert (bitmask.from_data_url(value["imageDataURL"], 8, 6) == mask).all()
    picture = Image.open(io.BytesIO(base64.b64decode(value["imageDataURL"].partition(",")[2]))).convert(
        "RGBA"
    )
    assert set(map(tuple, np.array(picture).reshape(-1, 4).tolist())) == {(0, 0, 0, 0), (0, 0, 0, 255)}


@pytest.mark.parametrize(
    "url", [None, 5, "data:text/html,x", "data:image/png;base64,!", "data:image/png;base64,"]
)
def test_what_is_no_bitmask_is_refused(url):
    with pytest.raises(PromptError, match="draw it again"):
        bitmask.from_data_url(url, 8, 6)


def test_a_bitmask_of_another_size_is_refused(mask):
    with pytest.raises(PromptError, match="8 x 6 pixels, the picture 9 x 6"):
        bitmask.from_data_url(bitmask.to_data_url(mask), 9, 6)


def test_all_classes_of_a_click_are_kept(mask):
    offers = '<Label value="cell"/><Label value="round"/>'
    one = output(f'<BrushLabels name="b" toName="image">{offers}</BrushLabels>', "round", "cell")
    (region,) = regions(mask, PLACE, one, 0.5)
    assert region["value"]["brushlabels"] == ["round", "cell"]
    rows = '<Labels name="n" toName="image"><Label value="cell"/></Labels>'
    rows += '<Labels name="m" toName="image"><Label value="round"/></Labels>'
    found = regions(mask, PLACE, output(f'<Brush name="b" toName="image"/>{rows}', "round", "cell"), 0.5)
    named = [(one["from_name"], one["value"]["labels"]) for one in found[1:]]
    assert named == [("n", ["cell"]), ("m", ["round"])]
    assert len({one["id"] for one in found}) == 1


def test_polygons_are_parts_largest_first(mask):
    large, small = regions(mask, PLACE, labels("PolygonLabels"), 0.5)
    assert large["id"] != small["id"]
    assert large["value"]["closed"] is True
    points = np.array(large["value"]["points"])
    assert points.min(0).tolist() == [12.5, pytest.approx(100 / 6)]
    assert points.max(0).tolist() == [62.5, pytest.approx(400 / 6)]
    assert large["value"]["points"][0] != large["value"]["points"][-1]
    assert np.array(small["value"]["points"]).max() == 100


def test_rectangle_is_the_box_of_the_mask(mask):
    (region,) = regions(mask, PLACE, labels("RectangleLabels"), 0.5)
    value = region["value"]
    assert (value["x"], value["width"], value["rotation"]) == (12.5, 87.5, 0)
    assert (value["y"], value["height"]) == (pytest.approx(100 / 6), pytest.approx(500 / 6))


def test_plain_tags_are_named_by_a_second_result_of_the_same_id(mask):
    naming = '<Labels name="names" toName="image"><Label value="cell"/></Labels>'
    drawn, named = regions(mask, PLACE, output(f'<Brush name="b" toName="image"/>{naming}', "cell"), 0.5)
    assert (drawn["type"], named["type"], named["from_name"]) == ("brush", "labels", "names")
    assert drawn["id"] == named["id"]
    assert named["value"]["labels"] == ["cell"]
    assert "labels" not in drawn["value"]
    (alone,) = regions(mask, PLACE, output('<Polygon name="b" toName="image"/>'), 0.5)[:1]
    assert alone["type"] == "polygon"


def test_nothing_comes_of_an_empty_mask():
    assert regions(np.zeros((6, 8), bool), PLACE, labels("BrushLabels"), 0.0) == []


@pytest.mark.parametrize("tag", ["BrushLabels", "PolygonLabels", "RectangleLabels", "BitmaskLabels"])
def test_everything_is_plain_json(mask, tag):
    json.dumps(regions(mask, PLACE, labels(tag), 0.5), allow_nan=False)


def test_a_hole_survives_in_the_single_ring():
    mask = np.zeros((60, 80), bool)
    mask[10:50, 10:70] = True
    mask[20:40, 30:50] = False
    place = Place("image", 80, 60, 0, None)
    (region,) = regions(mask, place, labels("PolygonLabels"), 0.5)
    ring = np.array(region["value"]["points"]) * (80 / 100, 60 / 100)
    assert (from_polygons([Polygon(ring)], 80, 60) == mask).all()
