"""Configs that work, and what keeps others from it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from fcfi_core.errors import SettingsError
from label_studio_backend.labelling_advice import examine
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config


@pytest.mark.parametrize("shape", ["brush", "bitmask", "polygon", "rectangle"])
def test_templates_need_no_correction(shape):
    text = labelling_config(
        ["a & b", 'say "x"'], shape=shape, background="background", boxes=True, data_key="url"
    )
    remarks, corrected = examine(text)
    assert corrected is None, remarks
    config = LabellingConfig.parse(text)
    (carrier,) = config.carriers("image")
    assert carrier.control.shape == shape
    assert ("background" in carrier.labels) == (shape != "polygon")
    (carrier,) = LabellingConfig.parse(text, "background").carriers("image")
    assert carrier.labels == ("a & b", 'say "x"')
    assert config.reference("image", {"url": "/x.png"}) == "/x.png"


@pytest.mark.parametrize("labels", [[], [" "], ["a", "a"], ["background"]])
def test_templates_want_labels(labels):
    with pytest.raises(SettingsError, match="each once"):
        labelling_config(labels, background="background")


IMAGE = '<Image name="image" value="$image"/>'
BRUSH = '<BrushLabels name="m" toName="image"><Label value="cell"/><Label value="other"/></BrushLabels>'
PLAIN = '<Brush name="m" toName="image"/>'
KEY_POINT = '<KeyPoint name="k" toName="image" smart="true"/>'
CLICKS = '<KeyPointLabels name="k" toName="image" smart="true"><Label value="cell"/></KeyPointLabels>'


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        (IMAGE + BRUSH, "no smart <KeyPoint>"),
        (IMAGE + BRUSH + CLICKS.replace('smart="true"', 'smart="false"'), 'has smart="false"'),
        (IMAGE + CLICKS, "no tag that can take a mask"),
        (IMAGE + BRUSH + CLICKS.replace('"cell"', '"new"'), "no mask can carry the label 'new'"),
        (IMAGE + BRUSH + KEY_POINT, "clicks have no label"),
        (IMAGE + PLAIN + KEY_POINT.replace('smart="true"', 'smart="false"'), 'has smart="false"'),
        (IMAGE.replace(' value="$image"', "") + BRUSH + CLICKS, "shows nothing"),
        ((IMAGE + BRUSH + CLICKS).replace('toName="image"', 'toName="imgae"'), "is for 'imgae' (toName)"),
        ((IMAGE + BRUSH + CLICKS).replace('toName="image"', ""), "is for nothing (toName)"),
        (BRUSH, "no <Image>"),
        ("<Image", "not valid XML"),
    ],
)
def test_what_is_missing_is_named_and_mended(inside, says):
    remarks, corrected = examine(f"<View><Header value='kept'/>{inside}</View>")
    assert any(says in remark.text and not remark.good for remark in remarks)
    again, more = examine(corrected)
    assert more is None, again
    if "Image" in inside and "XML" not in says:
        assert ElementTree.fromstring(corrected).find("Header") is not None


def names(text):
    return [element.get("name") for element in ElementTree.fromstring(text).iter() if element.get("name")]


def examined(name, background="background"):
    text = (Path(__file__).parent / "configs" / f"{name}.xml").read_text()
    remarks, corrected = examine(text, background)
    if corrected is not None:
        again, more = examine(corrected, background)
        assert more is None, again
        assert len(set(names(corrected))) == len(names(corrected)), "names clash"
        assert set(names(text.lstrip())) <= set(names(corrected)), "a tag is gone"
    return [remark.text for remark in remarks if not remark.good], corrected


@pytest.mark.parametrize(
    ("name", "background"),
    [
        ("other_background_label", "negative"),
        ("mixed_kinds", "background"),
        ("background_one_label", "background"),
    ],
)
def test_a_config_that_works_is_left_alone(name, background):
    assert examined(name, background) == ([], None)


def test_what_stands_before_the_config_does_not_matter_and_comments_stay():
    _, corrected = examined("leading_newline_and_declaration")
    assert "Airplane" in corrected
    text = "\n<!-- mine -->\n<View><!-- also mine -->" + IMAGE + BRUSH + "</View>"
    _, corrected = examine(text)
    assert corrected.startswith("<!-- mine -->")
    assert "<!-- also mine -->" in corrected


def test_each_of_two_images_gets_tags_with_names_of_their_own():
    _, corrected = examined("two_images")
    config = LabellingConfig.parse(corrected)
    for image in ("left", "right"):
        assert any(c.shape == "keypoint" and image in c.targets for c in config.controls)


def test_labels_that_tasks_bring_are_kept_as_such():
    _, corrected = examined("dynamic_labels")
    assert corrected.count('value="$objects"') == 2
    assert "<Label " not in corrected


def test_a_name_that_is_taken_is_not_given_again():
    _, corrected = examined("name_clash")
    assert '<Choices name="mask"' in corrected


def test_a_mistyped_target_is_named_and_mended():
    bad, corrected = examined("mistyped_toname")
    assert all("'img'" in text for text in bad)
    assert names(corrected) == ["image", "m", "k"]


def test_an_image_without_value_is_named_and_mended():
    bad, corrected = examined("image_without_value")
    assert len(bad) == 1
    assert "shows nothing" in bad[0]
    assert 'value="$image"' in corrected


def test_a_label_that_seems_to_mean_not_this_is_no_class_for_masks():
    bad, corrected = examined("other_background_label", "background")
    assert "FCFI_BACKGROUND_LABEL=negative" in bad[0]
    assert corrected is None


def test_inside_a_repeater_new_tags_are_repeated_too():
    text = (
        '<View><Repeater on="$p"><View><Image name="page_{{idx}}" value="$p[{{idx}}]"/>'
        '<BrushLabels name="m_{{idx}}" toName="page_{{idx}}"><Label value="a"/></BrushLabels>'
        "</View></Repeater></View>"
    )
    _, corrected = examine(text)
    assert 'name="click_{{idx}}"' in corrected
    assert 'name="label_{{idx}}"' in corrected


def test_tags_for_other_things_than_images_are_theirs():
    """Text beside the picture, with labels of its own, is nobody's mistake."""
    text = '<Text name="t" value="$text"/><Labels name="tl" toName="t"><Label value="PER"/></Labels>'
    remarks, corrected = examine(f"<View>{text}{IMAGE}{BRUSH}</View>")
    assert [remark.text for remark in remarks if not remark.good] == [
        "there is no smart <KeyPoint> for clicks: a click is never sent"
    ]
    assert corrected is not None
    config = LabellingConfig.parse(corrected)
    assert [(c.name, c.targets) for c in config.controls if c.name in ("tl", "label")] == [
        ("tl", ("t",)),
        ("label", ("image",)),
    ]
    assert examine(f"<View>{text}{IMAGE}{labelled(KEY_POINT)}</View>")[1] is None


def labelled(clicks):
    row = '<Labels name="l" toName="image"><Label value="cell"/></Labels>'
    return row + PLAIN.replace("/>", ' smart="false"/>') + clicks


def test_a_config_without_images_is_not_replaced_by_another():
    video = '<View><Labels name="l" toName="v"><Label value="a"/></Labels><Video name="v" value="$v"/></View>'
    (remark,), corrected = examine(video)
    assert "<Video name='v'>" in remark.text
    assert "clicks work on an <Image> only" in remark.text
    assert corrected is None


def test_keys_of_a_second_row_are_told():
    """A corrected config keeps the row of its masks: whoever presses its keys draws by hand."""
    text = '<View><Image name="image" value="$image"/>{}</View>'
    masks = '<BrushLabels name="mask" toName="image"><Label value="cell"/><Label value="dirt"/></BrushLabels>'
    remarks, corrected = examine(text.format(masks))
    told = [remark.text for remark in remarks if "two rows" in remark.text]
    assert told == [
        "'cell', 'dirt' stand in two rows: press the keys of <Labels>; those of <BrushLabels> take the hand "
        "tool, whose clicks ask nobody"
    ]
    again, none = examine(corrected)
    assert [remark.text for remark in again if "two rows" in remark.text] == told
    assert none is None
    hidden = corrected.replace("<BrushLabels", '<View style="display: none"><BrushLabels').replace(
        "</BrushLabels>", "</BrushLabels></View>"
    )
    assert not [remark for remark in examine(hidden)[0] if "two rows" in remark.text]
