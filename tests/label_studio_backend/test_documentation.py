"""docs/label-studio.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fcfi_core.cli import build_parser
from label_studio_backend.labelling_advice import examine
from label_studio_backend.labelling_templates import labelling_config
from label_studio_backend.settings import VARIABLES

PAGE = (Path(__file__).parents[2] / "docs" / "label-studio.md").read_text(encoding="utf-8")


def test_settings_are_listed(settings_table):
    (listed,) = re.findall(r"<!-- settings: begin -->\n(.*?)<!-- settings: end -->", PAGE, flags=re.DOTALL)
    assert listed.strip() == settings_table(VARIABLES)


def test_the_configs_to_paste_work_and_are_those_of_setup():
    config, row = re.findall(r"```xml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert config.strip() == labelling_config(["object"])
    assert row in labelling_config(["object"], background="background")
    for text in (config, config.replace("  <Image", f"{row}  <Image")):
        remarks, corrected = examine(text)
        assert all(remark.good for remark in remarks)
        assert corrected is None


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"^\s*(?:\w+=\S+ )*fcfi ([a-z].*)$", PAGE, flags=re.MULTILINE)))
)
def test_commands_parse(line):
    words = line.split("#")[0].split()
    assert build_parser().parse_args(words).run
