"""Every path, command, option and variable that the CVAT pages name is there."""

from __future__ import annotations

import argparse
import inspect
import re
import shlex
from pathlib import Path

import pytest

from cvat_function import cli, doctor
from cvat_function.settings import VARIABLES
from fcfi_core.settings import CORE_VARIABLES

ROOT = Path(__file__).parents[2]
PAGES = ("docs/cvat.md", "docs/cvat-agents.md")


@pytest.fixture(params=PAGES)
def page(request):
    return (ROOT / request.param).read_text()


def commands(text):
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from (shlex.split(line) for line in block.splitlines() if line and not line.startswith("#"))


def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page):
        assert (ROOT / "docs" / target).exists(), target


def test_anchors_are_headings():
    for name in PAGES:
        for file, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", (ROOT / name).read_text()):
            text = (ROOT / "docs" / file).read_text() if file else (ROOT / name).read_text()
            headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings]


def test_named_files_are_there(page):
    named = re.findall(
        r"\b(?:docker|cvat_function|docs|benchmarks)/[\w./-]+\.(?:Dockerfile|yaml|py|md)", page
    )
    for path in named:
        assert (ROOT / path).is_file(), path


def test_images_are_built_before_they_are_used():
    text = (ROOT / "docs/cvat.md").read_text()
    built = set(re.findall(r"-t (\S+)", text))
    for image in re.findall(r"(?<!/)\bfcfi-cvat:[\w.-]+", text):
        assert image in built
    for command in commands(text):
        if command[:2] == ["docker", "build"]:
            dockerfile = (ROOT / command[command.index("-f") + 1]).read_text()
            assert f" AS {command[command.index('--target') + 1]}\n" in dockerfile


def test_variables_are_declared_with_these_defaults():
    text = (ROOT / "docs/cvat.md").read_text()
    table = dict(re.findall(r"^\| `(FCFI_\w+)` \| `?([^|`]+?)`? \|", text, re.MULTILINE))
    declared = {variable.name: variable.default for variable in CORE_VARIABLES + VARIABLES}
    assert set(table) == set(declared), "the table lists them all"
    for name, shown in table.items():
        default = declared[name]
        words = {None: "auto", "": "empty"}
        assert shown == (f"{default:g}" if isinstance(default, int | float) else words.get(default, default))
    assert set(re.findall(r"\bFCFI_\w+", text)) <= set(declared)


def test_parameters_of_the_agent_are_those_of_create():
    pytest.importorskip("cvat_sdk.auto_annotation")
    from cvat_function import native

    table = re.findall(
        r"^\| `-p (\w+)=(\w+):\.\.\.`", (ROOT / "docs/cvat-agents.md").read_text(), re.MULTILINE
    )
    parameters = inspect.signature(native.create).parameters
    assert [name for name, _ in table] == list(parameters)
    for name, kind in table:
        assert type(parameters[name].default).__name__ == kind


def test_our_commands_parse():
    parser = argparse.ArgumentParser(prog="fcfi cvat")
    cli.add_arguments(parser)
    ours = [
        command for name in PAGES for command in commands((ROOT / name).read_text()) if command[0] == "fcfi"
    ]
    assert ours
    doctors = argparse.ArgumentParser(prog="fcfi doctor cvat")
    doctor.add_arguments(doctors)
    for command in ours:
        if command[1] == "doctor":
            assert command[2] == "cvat"
            assert doctors.parse_args(command[3:]).function == "fcfi"
        else:
            assert command[:2] == ["fcfi", "cvat"]
            assert callable(parser.parse_args(command[2:]).cvat_run)


def test_options_in_the_text_exist():
    parser = argparse.ArgumentParser()
    cli.upgrade_task.add_arguments(parser)
    text = (ROOT / "docs/cvat.md").read_text().split("## Boxes to masks in bulk")[1]
    options = set(re.findall(r"`(--[a-z-]+)", text))
    assert options <= set(parser._option_string_actions)
