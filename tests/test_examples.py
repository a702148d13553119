"""The examples of pages and docstrings run, and what they type exists."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

from fcfi_core.cli import build_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SAMPLES = ROOT / "fcfi_core" / "serving" / "playground" / "assets" / "samples"

SHELL_RUNS = ["roles/data-scientist.md", "roles/pipeline-engineer.md", "api.md"]
"""Pages whose shell examples are run from the first to the last."""

SERVED = ["api.md"]
"""Pages whose examples ask a server."""

ASKS = "127.0.0.1:9090"
"""The server that examples ask; one runs elsewhere while they are tried."""

DOCUMENTED = [
    path
    for package in ("fcfi_core", "label_studio_backend", "cvat_function")
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
"""Modules with examples in their docstrings."""

PYTHON_SHOWS = {
    "tools.md": "needs napari, and X-AnyLabeling's server",
    "label-studio.md": "needs the label-studio-ml framework, whose 2.x line no index has",
}
"""Pages whose Python is only shown, and why."""


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def fences(page, *languages):
    """Return the bodies of the page's code blocks in these languages."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```", text, flags=re.MULTILINE | re.DOTALL)
    return [body for _, language, body in found if language in languages]


def commands(page):
    """Return the words of each `fcfi` command that the page's shell examples type."""
    found = []
    for body in fences(page, "sh"):
        for line in body.replace("\\\n", " ").splitlines():
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue  # a line within a here-document
            words = [word.strip("`") for word in words]
            while words and re.fullmatch(r"[A-Z_]+=.*|exec|sudo|-u|\$", words[0]):
                words.pop(0)
            if words and words[0].split("/")[-1] == "fcfi":
                end = next((n for n, word in enumerate(words) if re.fullmatch(r"\d?[>|&<]+.*", word)), None)
                found.append(words[1:end])
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_commands_of_the_pages_are_understood(page, capsys):
    parser = build_parser()
    for words in commands(page):
        try:
            parser.parse_args(words)
        except SystemExit as end:
            if end.code:
                pytest.fail(f"fcfi {shlex.join(words)}: {capsys.readouterr().err}")


def in_folder_with_photos(folder, monkeypatch):
    for photo in SAMPLES.glob("*.jpg"):
        shutil.copy(photo, folder)
    shutil.copy(SAMPLES / "cat.jpg", folder / "dog.jpg")
    monkeypatch.chdir(folder)


def asking_a_server_that_runs(page, folder, request):
    """Return the page, with the address of a server that runs if its examples ask one."""
    text = page.read_text(encoding="utf-8")
    if not any(ASKS in body for body in fences(page, "python", "sh")) or page.name not in SERVED:
        return page
    address, _ = request.getfixturevalue("serve")()
    there = folder / page.name
    there.write_text(text.replace(f"http://{ASKS}", address), encoding="utf-8")
    return there


PYTHON = [page for page in PAGES if fences(page, "python") and page.name not in PYTHON_SHOWS]


@pytest.mark.parametrize("page", PYTHON, ids=name_of)
def test_python_of_the_pages_runs(page, tmp_path, monkeypatch, request):
    in_folder_with_photos(tmp_path, monkeypatch)
    page = asking_a_server_that_runs(page, tmp_path, request)
    (tmp_path / "photos" / "images").mkdir(parents=True)
    (tmp_path / "photos" / "masks").mkdir()
    reference = ROOT / "fcfi_core" / "training" / "reference"
    for path in (reference / "images").glob("clothing-025*"):
        shutil.copy(path, tmp_path / "photos" / "images")
        shutil.copy(reference / "masks" / f"{path.stem}.png", tmp_path / "photos" / "masks")
    document = Sybil([PythonCodeBlockParser()]).parse(page)
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("name", SHELL_RUNS)
def test_shell_examples_run(name, tmp_path, monkeypatch, request):
    page = ROOT / "docs" / name
    if page.name in SERVED:
        in_folder_with_photos(tmp_path, monkeypatch)
    script = "\n".join(fences(asking_a_server_that_runs(page, tmp_path, request), "sh"))
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTED, ids=name_of)
def test_examples_in_docstrings_are_true(path):
    module = importlib.import_module(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    )
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
