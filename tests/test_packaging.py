"""One version, one list of checks, one page that lists the rooms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import fcfi_core
from tests.test_structure import FLOORS

ROOT = Path(__file__).parents[1]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_stands_in_one_place():
    project = tomllib.loads(text("pyproject.toml"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "fcfi_core.__version__"


NAMES_IMAGES = [
    *sorted(path for path in (ROOT / "docker").rglob("*") if path.is_file()),
    *sorted((ROOT / "cvat_function").glob("*.yaml")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("path", NAMES_IMAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tags_of_images_carry_the_version(path):
    tags = re.findall(
        r"\bfcfi-(?:label-studio|cvat):(\d[\w.]*)-(?:cpu|gpu)", path.read_text(encoding="utf-8")
    )
    assert set(tags) <= {fcfi_core.__version__}


LOCKS = {"cvat": (), "label-studio": ("label-studio", "images")}


@pytest.mark.parametrize("name", LOCKS)
def test_images_install_what_was_tried_and_nothing_else(name):
    """Every package of an image has its digest, the tried version, and is one that the project asks for."""
    content = text(f"docker/requirements-{name}.txt")
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", content, flags=re.MULTILINE))
    tried = dict(re.findall(r"^([\w.-]+)==(\S+)", text("constraints.txt"), flags=re.MULTILINE))
    tried = {package.lower().replace("_", "-"): version for package, version in tried.items()}
    assert all(tried.get(package, version) == version for package, version in locked.items())
    for entry in re.split(r"\n(?=\w)", content.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in content
    project = tomllib.loads(text("pyproject.toml"))["project"]
    asked = list(project["dependencies"])
    for extra in LOCKS[name]:
        asked += project["optional-dependencies"][extra]
    assert {re.match(r"[\w.-]+", one)[0] for one in asked} <= locked.keys()
    image = text(f"docker/{name}.Dockerfile").split(" AS cpu")[1]
    assert f"docker/requirements-{name}.txt" in image
    assert "--require-hashes" in image


def test_hooks_run_what_continuous_integration_runs():
    hooks = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    run = re.findall(r"^make ([a-z ]+)", text(".ci/run"), flags=re.MULTILINE)
    verbs = {verb for words in run for verb in words.split()} - {"setup"}
    assert {f"make {verb}" for verb in verbs} == {hook["entry"] for hook in hooks}


def test_the_page_of_the_architecture_lists_the_rooms_from_the_ground_up():
    table = text("docs/architecture.md").split("rooms: begin")[1].split("rooms: end")[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert len(listed) == sum(map(len, FLOORS))
    rooms = iter(listed)
    for floor in FLOORS:
        assert sorted(next(rooms) for _ in floor) == sorted(floor), "list each room on its floor in the table"


def test_fragments_of_the_changelog_say_something():
    for fragment in (ROOT / "changes").glob("*.md"):
        assert len(fragment.read_text(encoding="utf-8").split()) > 5, fragment
