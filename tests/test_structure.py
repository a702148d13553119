"""The arrows between rooms, drawn from the imports: they point down, and there is no circle.

And the words: the core names no platform. And the tests: they mirror the tree.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "heap", "stopwatch"),
    ("allowance", "axes", "clicks", "memo", "outputs", "plugins"),
    ("logits", "protocol", "regions", "stores", "workers"),
    ("geometry",),
    ("masks", "images", "appearance"),
    ("edges", "tracing", "prompt", "settings", "suggestions", "rating"),
    ("networks", "client"),
    ("checkpoints",),
    ("engines",),
    ("model", "results"),
    ("rules",),
    ("candidates",),
    ("recurrence",),
    ("session", "scene", "ordering"),
    ("predictor",),
    ("propagation", "pictures", "click_log"),
    ("datasets",),
    ("evaluation",),
    ("training",),
    ("pipelines",),
    ("serving",),
    ("cli",),
)
"""The rooms of the core from the ground up. A room knows those below its floor, and none beside it."""

ADAPTERS = ("label_studio_backend", "cvat_function")

PLATFORM = re.compile(r"label[\W_]*studio|human[\W_]*signal|heartex|cvat|nuclio|opencv\.ai", re.IGNORECASE)

CODES = re.compile(r"\b(?:label_studio|cvat)\b")
"""The names of two run-length codes, as ``Result.rle`` takes them."""

NAMES_OF_CODES = ("results.py", "masks/__init__.py")
"""Where run-length codes are listed by their names, which are those of the platforms that made them up."""

CODE_MODULES = ("masks/label_studio.py", "masks/cvat.py")
"""The modules of these two codes: forms of a file, which say whose they are."""

ABOUT_MORE = {
    "cvat_function/test_documentation.py": "the pages about CVAT",
    "cvat_function/test_function_yaml.py": "the descriptions of functions for nuclio",
    "fcfi_core/checkpoints/test_model_card.py": "the card of the embedded weights",
    "fcfi_core/datasets/test_cases.py": "files of every format as people have them",
    "fcfi_core/datasets/test_damage.py": "damaged files of every format",
    "fcfi_core/masks/test_budget.py": "every code of masks under one budget",
    "fcfi_core/networks/test_variants.py": "every network",
    "fcfi_core/test_large_photos.py": "frames, images and rules together",
    "fcfi_core/test_light.py": "an installation without torch",
    "label_studio_backend/test_docker.py": "the Docker files",
    "label_studio_backend/test_documentation.py": "the pages about Label Studio",
    "label_studio_backend/test_fuzz.py": "the whole server, sent damaged requests",
    "label_studio_backend/test_load.py": "the whole server, used by a team",
}
"""Tests of no single module -> what of."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that the file imports, wherever in it, but for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def room_of(path: Path) -> str:
    """Return the room of a file of the core; empty for the front door."""
    name = path.relative_to(ROOT / "fcfi_core").parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def module_of(name: str, known: set[str]) -> str | None:
    """Return the module of this project that the imported ``name`` lies in or is."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if ".".join(parts[:count]) in known:
            return ".".join(parts[:count])
    return None


def modules() -> dict[str, Path]:
    found = {}
    for package in ("fcfi_core", *ADAPTERS):
        for path in files(package):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def test_every_room_stands_on_a_floor():
    rooms = {room_of(path) for path in files("fcfi_core")} - {""}
    assert rooms == set(FLOOR)


@pytest.mark.parametrize("room", FLOOR)
def test_arrows_point_down(room):
    for path in files("fcfi_core"):
        if room_of(path) != room:
            continue
        for name in imported(path):
            if not name.startswith("fcfi_core."):
                continue
            other = name.split(".")[1]
            if other in FLOOR and other != room:
                assert FLOOR[other] < FLOOR[room], f"{path.relative_to(ROOT)} imports {name}"


def test_no_module_needs_itself():
    known = modules()
    arrows = {}
    for name, path in known.items():
        needs = {module_of(other, set(known)) for other in imported(path)}
        arrows[name] = {
            other for other in needs if other and other != name and not name.startswith(f"{other}.")
        }
    TopologicalSorter(arrows).prepare()  # raises CycleError, naming the circle


def test_the_core_names_no_adapter():
    for path in files("fcfi_core"):
        for name in imported(path):
            assert name.split(".")[0] not in (*ADAPTERS, "torchvision", "timm"), path


def test_the_core_names_no_platform():
    named = []
    for path in sorted((ROOT / "fcfi_core").rglob("*")):
        name = path.relative_to(ROOT / "fcfi_core").as_posix()
        if not path.is_file() or "__pycache__" in name or name in CODE_MODULES:
            continue
        try:
            text = f"{name}\n{path.read_text(encoding='utf-8')}"
        except UnicodeDecodeError:  # weights and pictures, where four letters come by chance
            text = name
        if name in NAMES_OF_CODES:
            text = CODES.sub("", text)
        named += [f"{name}: {line.strip()[:100]}" for line in text.splitlines() if PLATFORM.search(line)]
    assert not named


def test_benchmarks_import_what_is_there():
    """They run seldom: what they are made of must not go away unseen."""
    known = modules()
    for path in files("benchmarks"):
        for name in imported(path):
            if name.split(".")[0] in ("fcfi_core", *ADAPTERS) and name not in known:
                module, _, attribute = name.rpartition(".")
                assert hasattr(importlib.import_module(module), attribute), f"{path.name} imports {name}"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_do_not_know_each_other(adapter):
    (other,) = set(ADAPTERS) - {adapter}
    for path in files(adapter):
        assert all(name.split(".")[0] != other for name in imported(path)), path


TABLES = ("_footprint.py", "_timings.py", "bench.py")
"""Commands that print figures, and name no file."""


@pytest.mark.parametrize(
    "path", [path for package in ("fcfi_core", *ADAPTERS) for path in files(f"{package}/cli")], ids=str
)
def test_commands_leave_printing_to_others(path):
    """What a person reads goes through ``outputs.say``: names from strangers must not forge a line."""
    if path.name in TABLES:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            assert ast.unparse(node).startswith("print(json.dumps("), ast.unparse(node)


def mirrored() -> list[str]:
    tests = ROOT / "tests"
    return [
        path.relative_to(tests).as_posix()
        for package in ("fcfi_core", *ADAPTERS)
        for path in sorted((tests / package).rglob("test_*.py"))
    ]


def test_each_test_is_called_after_what_it_tests():
    """``tests/a/b/test_c.py`` tests the module or package ``a/b/c``, or ``a/b/_c``, or all of ``a/c``.

    Modules of a page are scripts and style sheets.
    """
    strangers = set()
    for name in mirrored():
        folder = (ROOT / name).parent
        word = Path(name).stem.removeprefix("test_")
        names = (f"{word}.py", f"_{word}.py", f"{word}/__init__.py", f"{word}.js", f"{word}.css")
        if word != folder.name and not any((folder / one).is_file() for one in names):
            strangers.add(name)
    assert strangers == set(ABOUT_MORE)


def test_each_room_has_tests_of_its_name():
    tested = {Path(name).parts[1].removeprefix("test_").removesuffix(".py") for name in mirrored()}
    assert set(FLOOR) - tested == set()
