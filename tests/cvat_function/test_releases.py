"""Releases, and every place that names one of them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from cvat_function import releases
from cvat_function.releases import NUCLIO, Release
from cvat_function.settings import FORMS, VARIABLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cvat.md").read_text()
ALL = [value for value in vars(releases).values() if isinstance(value, Release)] + list(NUCLIO.values())


def table(heading):
    """Rows of the table of the CVAT page whose first heading is ``heading``, without their blanks."""
    lines = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_later_versions_came_out_later():
    ordered = sorted(set(ALL))
    dates = [date.fromisoformat(release.date) for release in ordered]
    assert dates == sorted(dates)
    assert list(NUCLIO.values()) == sorted(NUCLIO.values())


@pytest.mark.parametrize(
    ("version", "number", "nuclio", "form"),
    [
        ("2.2.0", (2, 2, 0), None, None),
        ("2.4.3", (2, 4, 3), None, "mask"),
        ("2.6.1", (2, 6, 1), "1.11.24", "crop"),
        ("2.59.1", (2, 59, 1), "1.15.9", "crop"),
        ("2.60.0", (2, 60, 0), "1.15.9", "shapes"),
        ("2.74.0-dev", (2, 74, 0), "1.16.3", "shapes"),
        ("2.80", (2, 80, 0), "1.16.3", "shapes"),
    ],
)
def test_what_a_server_can_do(version, number, nuclio, form):
    assert releases.numbers(version) == number
    assert releases.nuclio_of(number) == nuclio
    assert releases.form_of(number) == form


def test_a_version_of_no_known_form_is_none():
    assert releases.numbers("nightly") is None


def test_the_table_of_nuclio():
    assert table("nuclio that CVAT starts") == [
        [nuclio, f"{release} and later"] for nuclio, release in NUCLIO.items()
    ]


def test_the_table_of_forms():
    rows = {row[0]: row[1:] for row in table("CVAT")}
    assert list(rows)[:4] == [
        f"before {releases.MASK}",
        f"{releases.MASK} and later",
        f"{releases.CROP} and later",
        f"{releases.SHAPES} and later",
    ]
    assert [cell.split()[0].strip(",:") for cell in list(rows.values())[1]] == ["no", "no", "yes"]
    assert [cell.split()[0].strip(",:") for cell in list(rows.values())[2]] == ["no", "yes", "yes"]
    assert [cell.split()[0].strip(",:") for cell in list(rows.values())[3]] == ["yes", "no", "yes"]


@pytest.mark.parametrize("file", ["docs/cvat.md", "docs/cvat-agents.md"])
def test_every_named_release_is_a_known_one(file):
    known = {str(release) for release in ALL}
    named = set(re.findall(r"\b2\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", (ROOT / file).read_text()))
    assert named, "the page names the releases it speaks of"
    assert named <= known


def test_the_offline_recipe_takes_nuclios_image_from_the_table():
    images = re.findall(r"quay\.io/nuclio/[a-z-]+:([\d.]+)-amd64", PAGE)
    assert images
    assert set(images) <= set(NUCLIO)
    assert list(NUCLIO)[-1] in images, "the newest is in the recipe"


def test_the_agents_need_the_versions_that_the_package_asks_for():
    project = (ROOT / "pyproject.toml").read_text()
    least = re.search(r'cvat-agent = \["cvat-cli>=([\d.]+)"\]', project)
    assert releases.numbers(least[1]) >= releases.AGENT_INTERACTOR.number


def test_forms_are_those_of_the_setting():
    assert {releases.form_of(release.number) for release in ALL} - {None} <= set(FORMS)
    (variable,) = [one for one in VARIABLES if one.name == "FCFI_CVAT_RESPONSE"]
    assert variable.default == releases.form_of(max(ALL).number)
    for version in re.findall(r"\b2\.\d+(?:\.\d+)?\b", variable.help):
        assert releases.numbers(version) in {release.number for release in ALL}


@pytest.mark.parametrize("file", ["function.yaml", "function-gpu.yaml", "function-box.yaml"])
def test_the_comment_in_the_functions_file(file):
    text = (ROOT / "cvat_function" / file).read_text()
    assert f"# crop: for a CVAT before {releases.SHAPES}" in text
