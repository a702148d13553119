"""What the first page says must be so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from fcfi_core.plugins import KINDS
from fcfi_core.settings import CORE_VARIABLES, SERVING_VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "#", "mailto:")):
            assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_row_falls_out_of_its_table(page):
    """A row with another indentation than its table ends it, and is shown as it was typed."""
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    texts = [one.content for one in parsed if one.type == "inline"]
    assert [text for text in texts if re.search(r"^\s*\|", text, flags=re.MULTILINE)] == []


def shown(default):
    return "auto" if default is None else str(default).removesuffix(".0")


def test_settings_of_the_core_are_listed_with_their_defaults():
    listed = dict(re.findall(r"^\| `(FCFI_\w+)` \| `([^`]*)` \|", README, flags=re.MULTILINE))
    assert listed == {variable.name: shown(variable.default) for variable in CORE_VARIABLES}


def test_settings_of_the_server_are_listed(settings_table):
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"<!-- settings: begin -->\n(.*?)<!-- settings: end -->", page, flags=re.DOTALL)
    assert listed.strip() == settings_table(SERVING_VARIABLES)


def test_every_part_of_a_plugin_is_explained():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == KINDS


def test_verbs_of_the_first_page_exist():
    from fcfi_core.cli import verbs

    named = set(re.findall(r"`fcfi ([a-z-]+)", README))
    assert named == set(verbs())


def test_example_imports_public_names():
    import fcfi_core

    (names,) = re.findall(r"^from fcfi_core import (.+)$", README, flags=re.MULTILINE)
    assert {name.strip() for name in names.split(",")} <= set(fcfi_core.__all__)


def test_pinned_versions_cover_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = sum(project["optional-dependencies"].values(), project["dependencies"])
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w.-]+)==", constraints, flags=re.MULTILINE)

    def plain(name):
        return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()

    assert {plain(name) for name in asked} <= {plain(name) for name in pinned}


def test_make_verbs_of_the_first_page_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for verbs in re.findall(r"(?:^|`)make ([a-z0-9 -]+)", README, flags=re.MULTILINE):
        for verb in verbs.split():
            assert re.search(rf"^{verb}:", makefile, flags=re.MULTILINE), verb
