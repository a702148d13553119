"""Configs that work, and what keeps others from it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from fcfi_core.errors import SettingsError
from label_studio_backend.labelling_advice import examine
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config


@pytest.mark.parametrize("shape", ["brush", "polygon", "rectangle"])
def test_templates_need_no_correction(shape):
    text = labelling_config(
        ["a & b", 'say "x"'], shape=shape, background="background", boxes=True, data_key="url"
    )
    remarks, corrected = examine(text)
    assert corrected is None, remarks
    config = LabellingConfig.parse(text)
    assert config.output("image").control.shape == shape
    assert config.output("image").labels.labels == ("a & b", 'say "x"')
    assert config.reference("image", {"url": "/x.png"}) == "/x.png"


@pytest.mark.parametrize("labels", [[], [" "], ["a", "a"], ["background"]])
def test_templates_want_labels(labels):
    with pytest.raises(SettingsError, match="each once"):
        labelling_config(labels, background="background")


IMAGE = '<Image name="image" value="$image"/>'
BRUSH = '<BrushLabels name="m" toName="image"><Label value="cell"/><Label value="other"/></BrushLabels>'
CLICKS = '<KeyPointLabels name="k" toName="image" smart="true"><Label value="cell"/></KeyPointLabels>'


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        (IMAGE + BRUSH, "no <KeyPointLabels>"),
        (IMAGE + BRUSH + CLICKS.replace(' smart="true"', ""), 'lacks smart="true"'),
        (IMAGE + CLICKS, "no tag that can take a mask"),
        (IMAGE + BRUSH + CLICKS.replace('"cell"', '"new"'), "no mask can carry: 'new'"),
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
