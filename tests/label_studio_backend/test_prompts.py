"""What the editor sends becomes clicks, boxes and drawings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.masks import label_studio as code
from label_studio_backend import prompts


def only(items):
    (prompt,) = prompts.from_context(items)
    return prompt


def rectangle(x, y, width, height, rotation=0, **more):
    value = {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "rotation": rotation,
        "rectanglelabels": ["cell"],
    }
    return {"id": "r", "type": "rectanglelabels", "to_name": "image", "value": value, **more}


def test_clicks_keep_their_order_and_polarity(recorded):
    prompt = only(recorded("predict_brush_click3_negative")["body"]["params"]["context"]["result"])
    assert [click.click(640, 480) for click in prompt.clicks] == [
        Click(289, 262),
        Click(339, 292),
        Click(562, 58, False),
    ]
    assert (prompt.label, prompt.target, prompt.newest.size) == ("cell", "image", (640, 480))


@pytest.mark.parametrize("percent", [0, 100, -5, 108, 1e14, 99.99999999999999])
def test_positions_at_and_beside_the_edge_go_to_the_nearest_pixel(click, percent):
    entry = click(0, 0)
    entry["value"].update(x=percent, y=percent)
    found = only([entry]).clicks[0].click(7, 5)
    assert (found.x, found.y) == ((0, 0) if percent <= 0 else (6, 4))


@given(width=st.integers(1, 9000), share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None)
def test_a_pixel_survives_the_way_through_percent(width, share):
    pixel = math.floor(share * width)
    value = {"x": 100 * (pixel + 0.5) / width, "y": 0}
    region = prompts.Region("", "click", "image", (), value, True, None, 0, None)
    assert region.click(width, 3).x == pixel


@pytest.mark.parametrize("value", [None, "5", True, math.nan, math.inf, [1], 10**400])
def test_a_click_without_usable_position_is_refused(click, value):
    entry = click(0, 0)
    entry["value"]["x"] = value
    with pytest.raises(PromptError, match="x ="):
        only([entry]).clicks[0].click(10, 10)


def test_entries_that_say_nothing_are_left_out(click):
    items = [
        None,
        5,
        "x",
        {},
        {"type": "vectorlabels", "to_name": "image"},
        click(1, 1),
    ]
    assert len(only(items).clicks) == 1
    assert prompts.unusable(items) == (
        "3 entries that are no regions, 1 regions of type 'None', 1 regions of type 'vectorlabels'"
    )
    assert prompts.unusable([click(1, 1)]) == ""
    for items in (None, {}, "text", [], [{"type": ["unhashable"]}]):
        assert prompts.from_context(items) == []


def test_left_over_dots_do_not_count_beside_clicks_with_polarity(recorded, click):
    items = recorded("predict_restored_draft_click_without_polarity")["body"]["params"]["context"]["result"]
    (kept,) = only(items).clicks
    assert kept.ident == "83jV8hGD8M"
    without = only([click(1, 1, None), click(2, 2, None)])
    assert [dot.positive for dot in without.clicks] == [True, True]
    assert len(only([click(1, 1, False), click(2, 2, None)]).clicks) == 1


def test_key_point_and_label_entries_of_one_id_are_one_click(click):
    items = []
    for entry in (click(3, 4), click(5, 6, False)):
        del entry["value"]["keypointlabels"]
        items += [{**entry, "type": "keypoint"}, {**entry, "type": "labels", "from_name": "names"}]
    prompt = only(items)
    assert [(dot.click(64, 48).x, dot.positive) for dot in prompt.clicks] == [(3, True), (5, False)]
    assert prompt.label == "cell"
    items[0]["value"] = {"x": 1, "y": 1}
    assert prompts.read_regions(items)[0].labels == ("cell",)


def test_the_background_label_chosen_beside_a_class_makes_a_click_negative(click):
    """Seen in the editor: a dot drawn with a label of each of two rows comes with an entry for each."""
    items = []
    for entry, rows in ((click(3, 4), ["cell"]), (click(5, 6), ["cell", "Background "])):
        del entry["value"]["keypointlabels"]
        items.append({**entry, "type": "keypoint"})
        items += [{**entry, "type": "labels", "value": {**entry["value"], "labels": [row]}} for row in rows]
    (prompt,) = prompts.from_context(items, "background")
    assert [dot.positive for dot in prompt.clicks] == [True, False]
    assert prompt.label == "cell"
    (prompt,) = prompts.from_context(items)
    assert [dot.positive for dot in prompt.clicks] == [True, True]
    assert prompt.labels == ("cell", "Background ")


def test_the_background_label_of_a_key_point_tag_beside_a_class_of_a_row_does_the_same(click):
    drawn = click(5, 6, label="background")
    rows = {**drawn, "type": "labels", "value": {**drawn["value"], "labels": ["cell"]}}
    (prompt,) = prompts.from_context([drawn, rows], "background")
    assert (prompt.labels, [dot.positive for dot in prompt.clicks]) == (("cell",), [False])


def test_all_classes_of_a_click_are_kept(click):
    entry = click(1, 1)
    entry["value"]["keypointlabels"] = ["cell", "round"]
    assert only([entry]).labels == ("cell", "round")


def test_clicks_with_one_id_at_two_places_are_two_clicks(click):
    assert len(only([click(1, 1, ident="x"), click(9, 9, ident="x")]).clicks) == 2
    assert len(only([click(1, 1, ident="x"), click(1, 1, ident="x", type="keypoint")]).clicks) == 1


@pytest.mark.parametrize(("word", "positive"), [("true", True), (" False", False), (0, False), ("1", True)])
def test_polarity_may_be_a_word_or_a_number(click, word, positive):
    assert only([click(1, 1, word)]).clicks[0].positive is positive


@pytest.mark.parametrize("word", ["yes", 2, [], {}, "", 0.5])
def test_any_other_polarity_is_refused(click, word):
    with pytest.raises(PromptError, match="is_positive"):
        prompts.from_context([click(1, 1, word)])


def test_a_region_may_leave_out_its_image(click):
    entry = click(1, 1)
    del entry["to_name"]
    assert only([entry]).target == ""


def test_a_key_point_may_have_no_class(click):
    entry = click(1, 1, type="keypoint")
    del entry["value"]["keypointlabels"], entry["value"]["labels"]
    assert only([entry]).label is None


def test_the_second_copy_of_an_accepted_mask_is_no_click(click):
    bogus = click(1, 1)
    bogus["value"]["rle"] = [0, 0, 0, 4]
    assert only([bogus, click(2, 2)]).clicks[0].click(64, 48) == Click(2, 2)


def test_each_class_is_an_object_of_its_own(click):
    found = prompts.from_context([click(1, 1), click(2, 2, label="other"), click(3, 3)])
    assert [(prompt.label, len(prompt.clicks)) for prompt in found] == [("cell", 2), ("other", 1)]


def test_boxes_reach_from_first_to_last_pixel():
    assert only([rectangle(25, 25, 50, 50)]).rectangle.box(8, 4) == Box(2, 1, 5, 2)
    assert only([rectangle(0, 0, 100, 100)]).rectangle.box(640, 480) == Box(0, 0, 639, 479)
    assert only([rectangle(-20, -20, 300, 300)]).rectangle.box(10, 10) == Box(0, 0, 9, 9)
    assert only([rectangle(50, 50, 0, 0)]).rectangle.box(10, 10) == Box(5, 5, 5, 5)
    # turned by 90 degrees about its top left corner, a box lies to the left of it
    assert only([rectangle(50, 10, 40, 20, 90)]).rectangle.box(100, 100) == Box(30, 10, 49, 49)


def test_an_ellipse_is_a_box_around_it():
    value = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 10, "rotation": 0}
    ellipse = {"id": "e", "type": "ellipselabels", "to_name": "image", "value": value}
    assert only([ellipse]).rectangle.box(100, 100) == Box(30, 40, 69, 59)
    value["rotation"] = 90
    assert only([ellipse]).rectangle.box(100, 100) == Box(40, 30, 59, 69)


def test_the_newest_of_several_boxes_counts():
    found = only([rectangle(0, 0, 10, 10, id="a"), rectangle(50, 50, 10, 10, id="b")])
    assert found.rectangle.ident == "b"


def test_a_brush_or_polygon_becomes_a_mask():
    drawn = np.zeros((6, 8), bool)
    drawn[1:4, 2:5] = True
    brush = {"id": "b", "type": "brushlabels", "to_name": "image", "value": {"rle": code.encode(drawn)}}
    assert (only([brush]).drawing.mask(8, 6) == drawn).all()
    points = [[25, 100 / 6], [62.5, 100 / 6], [62.5, 400 / 6], [25, 400 / 6]]
    polygon = {"id": "p", "type": "polygonlabels", "to_name": "image", "value": {"points": points}}
    assert (only([polygon]).drawing.mask(8, 6) == drawn).all()


@pytest.mark.parametrize(
    "points", [None, [], [[1, 1], [2, 2]], [[1], [2], [3]], [["a", "b"]] * 3, [[math.nan, 0]] * 3]
)
def test_a_polygon_needs_three_corners(points):
    polygon = {"id": "p", "type": "polygon", "to_name": "image", "value": {"points": points}}
    with pytest.raises(PromptError):
        only([polygon]).drawing.mask(8, 6)


def test_stored_annotations_give_one_object_per_box_and_polygon(click):
    polygon = {
        "id": "p",
        "type": "polygon",
        "to_name": "image",
        "value": {"points": [[0, 0], [9, 0], [9, 9]]},
    }
    brush = {"id": "b", "type": "brushlabels", "to_name": "image", "value": {"rle": [0]}}
    items = [
        rectangle(0, 0, 9, 9, id="1"),
        click(1, 1),
        rectangle(9, 9, 9, 9, id="2"),
        polygon,
        brush,
        click(2, 2),
    ]
    found = prompts.from_annotation(items)
    assert [prompt.idents for prompt in found] == [("1",), ("2",), ("p",), ("c1-1-True", "c2-2-True")]
    assert prompts.from_annotation([click(1, 1, False)]) == []


def test_too_many_clicks_are_refused(click):
    items = [click(1, 1, ident=str(number)) for number in range(prompts.MOST_CLICKS + 1)]
    with pytest.raises(PromptError, match="1001 clicks"):
        prompts.from_context(items)
