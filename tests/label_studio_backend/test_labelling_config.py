"""Reading labelling configs: tags in any order, with any names."""

from __future__ import annotations

import pytest

from fcfi_core.errors import DataError, ImageError
from label_studio_backend.labelling_config import LabellingConfig

BRUSH = (
    '<BrushLabels name="mask" toName="image"><Label value="a &amp; b"/><Label value="Zähler"/></BrushLabels>'
)
POLYGON = '<PolygonLabels name="outline" toName="image"><Label value="road"/></PolygonLabels>'
IMAGE = '<Image name="image" value="$image"/>'


def parse(*parts):
    return LabellingConfig.parse(f"<View>{''.join(parts)}</View>")


def carriers(config, target="image", preferred="auto"):
    return [carrier.control.name for carrier in config.carriers(target, preferred)]


def test_brush_comes_first_unless_another_shape_is_preferred():
    config = parse(POLYGON, IMAGE, BRUSH)
    assert carriers(config) == ["mask", "outline"]
    assert carriers(config, preferred="polygon") == ["outline", "mask"]
    assert carriers(config, preferred="rectangle") == ["mask", "outline"]


def test_only_tags_of_the_prompted_image_count():
    other = BRUSH.replace("image", "left,right").replace("mask", "both")
    config = parse(other, IMAGE, POLYGON)
    assert carriers(config, "right") == ["both"]
    assert carriers(config) == ["outline"]
    with pytest.raises(DataError, match="<Brush name"):
        config.output("elsewhere")


def test_tags_are_known_in_any_spelling_and_depth():
    config = parse(
        f"<View><Style>.x</Style><View>{BRUSH.lower().replace('toname', 'toName')}</View></View>", IMAGE
    )
    assert config.carriers("image")[0].control.kind == "brushlabels"


def test_a_plain_brush_is_named_by_the_labels_tag():
    naming = '<Labels name="names" toName="image"><Label value="object"/></Labels>'
    output = parse(IMAGE, '<Brush name="b" toName="image"/>', naming).output("image", ["object"])
    assert (output.control.name, output.labels) == ("b", ())
    assert [(row.name, labels) for row, labels in output.named] == [("names", ("object",))]
    nameless = parse(IMAGE, '<Brush name="b" toName="image"/>').output("image", ["x"])
    assert (nameless.labels, nameless.named) == ((), ())


def test_the_tag_that_offers_the_class_comes_first_whatever_its_kind():
    more = '<BrushLabels name="more" toName="image"><Label value="road"/></BrushLabels>'
    config = parse(IMAGE, BRUSH, more, POLYGON)
    assert config.output("image", ["road"]).control.name == "more"
    assert config.output("image", ["road"], "polygon").control.name == "outline"
    assert config.output("image", ["a & b"], "polygon").control.name == "mask"
    assert parse(IMAGE, BRUSH, POLYGON).output("image", ["road"]).control.name == "outline"
    names = ['<Labels name="n" toName="image"><Label value="x"/></Labels>']
    names += ['<Labels name="m" toName="image"><Label value="y"/></Labels>']
    output = parse(IMAGE, '<Brush name="b" toName="image"/>', *names).output("image", ["y"])
    assert [row.name for row, _ in output.named] == ["m"]


def test_a_tag_that_lists_the_class_comes_before_one_whose_labels_a_task_brings():
    dynamic = '<BrushLabels name="any" toName="image" value="$names"/>'
    assert parse(IMAGE, dynamic, POLYGON).output("image", ["road"]).control.name == "outline"
    assert parse(IMAGE, dynamic, POLYGON).output("image", ["else"]).control.name == "any"


def test_a_row_may_add_labels_to_the_class_of_a_labelled_tag():
    row = '<Labels name="quality" toName="image"><Label value="blurred"/></Labels>'
    output = parse(IMAGE, BRUSH, row).output("image", ["Zähler", "blurred"])
    assert output.labels == ("Zähler",)
    assert [(tag.name, labels) for tag, labels in output.named] == [("quality", ("blurred",))]
    with pytest.raises(DataError, match="no mask can carry"):
        parse(IMAGE, BRUSH, row).output("image", ["blurred"])


def test_a_row_of_the_background_label_alone_names_nothing():
    rows = ['<Labels name="no" toName="image"><Label value=" Background"/></Labels>']
    rows += ['<Labels name="n" toName="image"><Label value="x"/></Labels>']
    text = f"<View>{IMAGE}{rows[0]}{rows[1]}<Brush name='b' toName='image'/></View>"
    config = LabellingConfig.parse(text, "background")
    assert config.carriers("image")[0].labels == ("x",)
    assert config.is_negative("background", "image")
    assert not config.is_negative("x", "image")
    assert not LabellingConfig.parse(text).is_negative("background", "image")


def test_a_background_label_that_masks_can_carry_is_a_class():
    inside = '<Label value="background"/><Label value="x"/>'
    text = f'<View>{IMAGE}<BrushLabels name="m" toName="image">{inside}</BrushLabels></View>'
    assert not LabellingConfig.parse(text, "background").is_negative("background", "image")


def test_a_plain_rectangle_is_the_last_resort_and_a_smart_one_is_a_prompt():
    plain = '<Rectangle name="r" toName="image"/>'
    assert carriers(parse(IMAGE, plain)) == ["r"]
    smart = plain.replace("/>", ' smart="true"/>')
    assert carriers(parse(IMAGE, smart)) == ["r"]
    assert carriers(parse(IMAGE, smart, BRUSH)) == ["mask"]
    assert carriers(parse(IMAGE, plain, BRUSH)) == ["mask", "r"]


def test_the_clicked_class_is_kept_and_never_guessed():
    config = parse(IMAGE, BRUSH)
    assert config.output("image", ["Zähler"]).labels == ("Zähler",)
    assert config.output("image", ["a & b"]).labels == ("a & b",)
    for labels in (["other"], ["a & b", "other"]):
        with pytest.raises(DataError, match="can be 'a & b', 'Zähler'"):
            config.output("image", labels)


def test_without_a_label_the_mask_has_no_class_where_there_are_several():
    row = '<Labels name="l" toName="image"><Label value="a"/><Label value="b"/></Labels>'
    for tags in ((BRUSH,), (row, '<Brush name="mask" toName="image"/>')):
        config = parse(IMAGE, *tags)
        output = config.output("image")
        assert (output.control.name, output.labels, output.named) == ("mask", (), ())
        assert config.has_classes("image")
    assert not parse(IMAGE, '<Brush name="mask" toName="image"/>').has_classes("image")


def test_the_only_class_of_masks_stands_for_no_label_and_for_the_only_label_of_clicks():
    click = '<KeyPointLabels name="k" toName="image" smart="true"><Label value="here"/></KeyPointLabels>'
    assert parse(IMAGE, POLYGON, click).output("image").labels == ("road",)
    assert parse(IMAGE, POLYGON, click).output("image", ["here"]).labels == ("road",)
    two = click.replace("</K", '<Label value="not here"/></K')
    with pytest.raises(DataError, match="'not here', and no mask can carry"):
        parse(IMAGE, POLYGON, two).output("image", ["not here"])


def test_aliases_and_labels_from_the_task_are_accepted():
    alias = '<BrushLabels name="m" toName="image"><Label value="Long" alias="l"/></BrushLabels>'
    assert parse(IMAGE, alias).carriers("image")[0].labels == ("l",)
    dynamic = '<BrushLabels name="m" toName="image" value="$names"/>'
    assert parse(IMAGE, dynamic).output("image", ["whatever"]).labels == ("whatever",)


def test_a_missing_target_is_the_only_image():
    assert parse(IMAGE).target("") == "image"
    assert parse(IMAGE).target("other") == "other"
    with pytest.raises(DataError, match="to_name"):
        parse(IMAGE, '<Image name="b" value="$b"/>').target("")


def test_an_upload_of_a_project_without_config_is_the_only_image():
    data = {"$undefined$": "/data/upload/1/a.png"}
    assert parse(IMAGE).reference("image", data) == "/data/upload/1/a.png"
    with pytest.raises(ImageError):
        parse(IMAGE, '<Image name="b" value="$b"/>').reference("image", data)


@pytest.mark.parametrize(
    ("value", "data", "expected"),
    [
        ("$image", {"image": "/a.png"}, "/a.png"),
        ("$img-url", {"img-url": " http://x/y.png "}, "http://x/y.png"),
        ("$photo.url", {"photo": {"url": "/b.png"}}, "/b.png"),
        ("$photo.url", {"photo.url": "/c.png"}, "/c.png"),
        ("https://host/$name.png", {"name": "d"}, "https://host/d.png"),
        ("$my image", {"my image": "/s.png"}, "/s.png"),
        ("$a/b", {"a/b": "/t.png"}, "/t.png"),
        ("$pages[1].url", {"pages": [{}, {"url": "/u.png"}]}, "/u.png"),
        ("$a.b[0]", {"a": {"b": ["/v.png"]}}, "/v.png"),
        ("http://x/$names[1].png", {"names": ["m", "n"]}, "http://x/n.png"),
        ("$pages", {"pages": ["/0.png", "/1.png"]}, "/1.png"),
    ],
)
def test_the_reference_is_what_the_task_holds(value, data, expected):
    config = parse(f'<Image name="p" value="{value}"/>')
    assert config.reference("p", data, 1) == expected


@pytest.mark.parametrize("data", [{}, {"image": ""}, {"image": 5}, {"image": None}, {"image": []}])
def test_a_missing_image_is_said(data):
    with pytest.raises(ImageError, match=r"\$image"):
        parse(IMAGE).reference("image", data)
    with pytest.raises(ImageError, match="no <Image"):
        parse(IMAGE).reference("other", data)


def test_inside_a_repeater_names_and_values_get_the_number_of_the_image():
    text = (
        '<View><Repeater on="$pages" indexFlag="{{i}}"><Image name="p_{{i}}.x" value="$pages[{{i}}].url"/>'
        '<BrushLabels name="m{{i}}" toName="p_{{i}}.x"><Label value="cell"/></BrushLabels></Repeater></View>'
    )
    config = LabellingConfig.for_image(text, "p_12.x")
    assert carriers(config, "p_12.x") == ["m12"]
    assert config.images == {"p_12.x": "$pages[12].url"}
    for other in ("p_.x", "p_1", "p_-1.x", "p_a.x", "p_²..x", "image"):
        with pytest.raises(DataError, match="no tag"):
            LabellingConfig.for_image(text, other).output(other)


@pytest.mark.parametrize("path", ["$pages[5]", "$pages[0].url", "$pages[x]", "$image[0]", "$["])
def test_a_path_that_leads_nowhere_is_said(path):
    config = parse(f'<Image name="p" value="{path}"/>')
    with pytest.raises(ImageError, match="holds no image"):
        config.reference("p", {"pages": ["/0.png"], "image": "/a.png"})


def test_what_editors_put_before_the_config_is_passed_over():
    text = f'\ufeff \n<?xml version="1.0" encoding="utf-8"?><!-- mine --><View>{IMAGE}</View>'
    assert LabellingConfig.parse(text).images == {"image": "$image"}


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "<View>",
        "text",
        "<View>\ud800</View>",
        "<View>\0</View>",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><View>&a;</View>',
        "<View>" + "x" * 1_000_001 + "</View>",
    ],
)
def test_anything_else_is_refused_in_one_sentence(text):
    with pytest.raises(DataError):
        LabellingConfig.parse(text)


@pytest.mark.parametrize(
    "image",
    [
        '<Image name="image" value="x$a' + ".a" * 25_000 + '"/>',
        '<Image name="image" value="' + "$a.a.a" * 9_000 + '"/>',
        "".join(f'<Labels name="l{number}" toName="image">' for number in range(5000))
        + '<Image name="image" value="$image"/>'
        + "<Label value='x'/>" * 5000
        + "</Labels>" * 5000,
        "".join(f'<Repeater indexFlag="f{n}"/><Image name="f{n}f" value="$y"/>' for n in range(5000)),
        '<Image name="image" value="$image"/>' + '<Brush name="a" toName="image"/>' * 10_000,
    ],
    ids=["one long path", "many paths", "nested", "repeated", "flat"],
)
def test_configs_made_to_take_long_are_refused(image):
    with pytest.raises((DataError, ImageError)):
        LabellingConfig.for_image(f"<View>{image}</View>", "none").reference("image", {"a": 1})


def test_labels_belong_to_the_control_they_stand_in():
    config = LabellingConfig.parse(
        '<View><Image name="i" value="$i"/><Labels name="l" toName="i"><Label value="a"/>'
        '<BrushLabels name="b" toName="i"><View><Label value="c"/></View>'
        '<Label alias="d" value="e"/></BrushLabels>'
        '<Label value="f"/></Labels></View>'
    )
    assert {control.name: control.labels for control in config.controls} == {"l": ("a", "f"), "b": ("c", "d")}
