"""The answer to a request: the right tag, the right class, and nothing left out without a word."""

from __future__ import annotations

import base64
import logging

import pytest
from PIL import Image

from fcfi_core.masks import label_studio as code
from label_studio_backend import bitmask

IMAGE = '<Image name="image" value="$image"/>'
TWO = '<Label value="cell"/><Label value="nucleus"/>'
CLICKS = f'<KeyPointLabels name="click" toName="image" smart="true">{TWO}</KeyPointLabels>'
BRUSH = f'<BrushLabels name="mask" toName="image" smart="false">{TWO}</BrushLabels>'


@pytest.fixture
def ask(client, body):
    """Return a function that posts to ``/predict`` and returns (regions, notes) or the refusal."""

    def ask(items, *inside, **more):
        answer = client.post("/predict", json=body(items, config=f"<View>{''.join(inside)}</View>", **more))
        content = answer.json()
        if answer.status_code != 200:
            assert answer.status_code == 400
            return content["error"]
        return content["results"][0]["result"], content.get("notes", [])

    return ask


def test_the_tag_that_offers_the_class_takes_the_mask(ask, click):
    mixed = (
        '<BrushLabels name="stuff" toName="image" smart="false"><Label value="grass"/></BrushLabels>',
        f'<PolygonLabels name="things" toName="image">{TWO}</PolygonLabels>',
        CLICKS,
    )
    (region,), _ = ask([click(29, 26)], IMAGE, *mixed)
    assert (region["from_name"], region["value"]["polygonlabels"]) == ("things", ["cell"])


def test_all_classes_of_a_click_are_kept(ask, click):
    entry = click(29, 26)
    entry["value"]["keypointlabels"] = ["cell", "nucleus"]
    (region,), _ = ask([entry], IMAGE, BRUSH, CLICKS)
    assert region["value"]["brushlabels"] == ["cell", "nucleus"]


@pytest.mark.parametrize("word", ["background", "Background", " BACKGROUND "])
def test_the_background_label_is_negative_however_it_is_written(ask, click, word):
    one = BRUSH.replace('<Label value="nucleus"/>', "")
    clicks = CLICKS.replace("nucleus", word)
    (before,), _ = ask([click(29, 26, ident="a")], IMAGE, one, clicks)
    (after,), _ = ask([click(31, 26, ident="b", label=word)], IMAGE, one, clicks)
    inside = [code.decode(region["value"]["rle"], 64, 48)[26, 31] for region in (before, after)]
    assert inside == [True, False]
    assert after["value"]["brushlabels"] == ["cell"]


def test_a_label_that_no_mask_can_carry_is_refused(ask, click):
    one = BRUSH.replace('<Label value="nucleus"/>', "")
    assert "'nucleus', and no mask can carry" in ask([click(29, 26, label="nucleus")], IMAGE, one, CLICKS)


def editor_click(click, x, y, *rows, ident):
    """Return the entries that the editor sends for a plain KeyPoint which rows of labels name."""
    dot = click(x, y, ident=ident)
    dot["value"].pop("keypointlabels")
    dot["value"]["labels"] = list(rows[0][1]) if rows else []
    names = [{**dot, "type": "labels", "from_name": name} for name, _ in rows]
    for entry, (_, labels) in zip(names, rows, strict=True):
        entry["value"] = {**dot["value"], "labels": list(labels)}
    return [{**dot, "type": "keypoint"}, *names]


ROW = f'<Labels name="label" toName="image">{TWO}</Labels>'
SWITCH = '<Labels name="negative" toName="image"><Label value="background"/></Labels>'
PLAIN = (
    '<Brush name="mask" toName="image" smart="false"/><KeyPoint name="click" toName="image" smart="true"/>'
)


def test_a_click_whose_label_was_let_go_gives_a_mask_without_a_class(ask, click, caplog):
    with caplog.at_level(logging.INFO):
        (region,), notes = ask(editor_click(click, 29, 26, ident="a"), ROW, IMAGE, PLAIN)
    assert (region["type"], set(region["value"])) == ("brush", {"format", "rle"})
    assert code.decode(region["value"]["rle"], 64, 48)[26, 29]
    assert "no label" in notes[0]
    assert notes[0] in caplog.text
    named, notes = ask(editor_click(click, 29, 26, ("label", ["cell"]), ident="b"), ROW, IMAGE, PLAIN)
    assert [one["type"] for one in named] == ["brush", "labels"]
    assert notes == []


def test_the_switch_for_negative_clicks_may_stand_before_the_classes(ask, click):
    """The editor then sends its clicks without those of the object: they are completed."""
    wanted = editor_click(click, 29, 26, ("label", ["cell"]), ident="a")
    (before, _), _ = ask(wanted, SWITCH, ROW, IMAGE, PLAIN)
    away = editor_click(click, 31, 26, ("negative", ["background"]), ("label", ["cell"]), ident="b")
    (after, named), notes = ask(away, SWITCH, ROW, IMAGE, PLAIN)
    inside = [code.decode(region["value"]["rle"], 64, 48)[26, 31] for region in (before, after)]
    assert inside == [True, False]
    assert (named["from_name"], named["value"]["labels"]) == ("label", ["cell"])
    assert notes == []


def test_an_ellipse_asks_for_the_object_in_it(ask):
    value = {"x": 45, "y": 55, "radiusX": 24, "radiusY": 32, "rotation": 0, "ellipselabels": ["cell"]}
    ellipse = {"id": "e", "type": "ellipselabels", "to_name": "image", "value": value}
    (region,), notes = ask([ellipse], IMAGE, BRUSH, CLICKS)
    assert code.decode(region["value"]["rle"], 64, 48)[26, 29]
    assert notes == []


def test_bitmasks_are_given_and_taken(ask, click):
    tag = BRUSH.replace("Brush", "Bitmask")
    (region,), _ = ask([click(29, 26)], IMAGE, tag, CLICKS)
    drawn = bitmask.from_data_url(region["value"]["imageDataURL"], 64, 48)
    assert drawn[26, 29]
    (again,), _ = ask([region], IMAGE, tag, CLICKS)
    assert (bitmask.from_data_url(again["value"]["imageDataURL"], 64, 48) & drawn).sum() > 0.8 * drawn.sum()


def test_a_box_without_to_name_is_for_the_only_image(ask):
    value = {"x": 20, "y": 20, "width": 50, "height": 65, "rectanglelabels": ["cell"]}
    box = {"original_width": 64, "original_height": 48, "type": "rectanglelabels", "value": value}
    (region,), _ = ask([box], IMAGE, BRUSH, CLICKS)
    assert region["to_name"] == "image"
    assert "to_name" in ask([box], IMAGE, IMAGE.replace("image", "other"), BRUSH, CLICKS)


def test_two_clicks_with_one_id_are_used(ask, click, caplog):
    with caplog.at_level(logging.INFO):
        ask([click(20, 26, ident="x"), click(36, 26, ident="x")], IMAGE, BRUSH, CLICKS)
    assert "2 click(s)" in caplog.text


def test_a_size_that_cannot_be_that_of_the_picture_is_refused(ask, click, picture):
    turned = Image.Exif()
    turned[0x0112] = 6
    photo = "data:image/jpeg;base64," + base64.b64encode(picture(64, 48, "JPEG", exif=turned)[0]).decode()
    refused = ask([click(29, 26, size=(64, 48))], IMAGE, BRUSH, CLICKS, data={"image": photo})
    assert "64 x 48" in refused
    assert "48 x 64 once it is turned upright" in refused
    assert "32 x 48" in ask([click(1, 1, size=(32, 48))], IMAGE, BRUSH, CLICKS)


@pytest.mark.parametrize("size", [(640, 480), (32, 24), (63, 48), (6, 5)])
def test_the_size_of_a_larger_or_smaller_copy_is_used(ask, click, size):
    (region,), _ = ask([click(size[0] * 29 // 64, size[1] * 26 // 48, size=size)], IMAGE, BRUSH, CLICKS)
    assert code.decode(region["value"]["rle"], *size).any()


def test_what_cannot_be_worked_from_is_said_and_the_rest_used(ask, click, caplog):
    vector = {"id": "v", "type": "vectorlabels", "to_name": "image", "value": {}}
    with caplog.at_level(logging.INFO):
        (_,), notes = ask([vector, click(29, 26)], IMAGE, BRUSH, CLICKS)
    assert notes == ["1 regions of type 'vectorlabels' cannot be worked from"]
    assert notes[0] in caplog.text
    assert "'vectorlabels'" in ask([vector], IMAGE, BRUSH, CLICKS)
    assert ask([], IMAGE, BRUSH, CLICKS) == ([], [])


def test_negative_clicks_alone_are_said(ask, click):
    regions, notes = ask([click(29, 26, False)], IMAGE, BRUSH, CLICKS)
    assert regions == []
    assert "only negative clicks" in notes[0]


def test_an_upload_of_a_project_without_config_is_found(ask, click, data_uri):
    (_,), _ = ask([click(29, 26)], IMAGE, BRUSH, CLICKS, data={"$undefined$": data_uri()})
