"""Plugins: parts by name, and one sentence for what is missing or broken."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from fcfi_core import plugins
from fcfi_core.plugins import Plugin, PluginError

GOOD = Plugin(title="Sketch", commands={"draw": "fcfi_core.cli.models"})
NO_PLUGIN = {"commands": {}}
BROKEN = Plugin(
    commands={"typo": "fcfi_core.cli.nowhere", "hole": "fcfi_core.cli.models:NOWHERE"},
    readers={"typo": "fcfi_core.cli.nowhere", "good": "fcfi_core.datasets.opening:open_dataset"},
)


@pytest.fixture
def announced(monkeypatch):
    """Return a function that replaces what is installed: {group: {name: place}}."""

    def announce(groups):
        def found(*, group):
            return [EntryPoint(name, place, group) for name, place in groups.get(group, {}).items()]

        monkeypatch.setattr(plugins, "entry_points", found)
        monkeypatch.setitem(sys.modules, "sketch", sys.modules[__name__])

    return announce


def test_parts_are_found_by_kind(announced):
    announced({"fcfi.plugins": {"sketch": "sketch:GOOD"}})
    (part,) = plugins.parts("commands")
    assert (part.name, part.place) == ("draw", "fcfi_core.cli.models")
    assert part.load().HELP
    assert part.title == "Sketch"
    assert plugins.titles("commands") == ["Sketch"]
    assert plugins.parts("routes") == []
    assert plugins.complaints() == []


def test_a_part_without_a_title_goes_by_its_name(announced):
    announced({"fcfi.commands": {"draw": "fcfi_core.cli.models"}})
    assert plugins.titles("commands") == ["draw"]


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("commands", "fcfi.commands"),
        ("doctors", "fcfi.doctors"),
        ("settings", "fcfi.settings"),
        ("datasets", "fcfi.datasets"),
        ("prompts", "fcfi.prompts"),
    ],
)
def test_the_groups_of_earlier_versions_are_read(announced, kind, group):
    announced({group: {"draw": "fcfi_core.errors:FcfiError"}})
    (part,) = plugins.parts(kind)
    assert part.load().__name__ == "FcfiError"


def test_a_plugin_goes_before_an_earlier_group(announced):
    announced({"fcfi.plugins": {"sketch": "sketch:GOOD"}, "fcfi.commands": {"draw": "old.place"}})
    assert [part.place for part in plugins.parts("commands")] == ["fcfi_core.cli.models"]


@pytest.mark.parametrize("place", ["sketch:NO_PLUGIN", "sketch:NOWHERE", "no_such_module:PLUGIN"])
def test_a_broken_plugin_is_named_and_keeps_nothing_from_working(announced, place):
    announced({"fcfi.plugins": {"good": "sketch:GOOD", "bad": place}})
    assert [part.name for part in plugins.parts("commands")] == ["draw"]
    (complaint,) = plugins.complaints()
    assert "'bad'" in complaint
    assert complaint.count("\n") == 0


def test_a_broken_part_is_named_and_keeps_nothing_from_working(announced, caplog):
    announced({"fcfi.plugins": {"bad": "sketch:BROKEN"}})
    for part in plugins.parts("commands"):
        with pytest.raises(PluginError, match=f"{part.name!r}"):
            part.load()
    assert [read.__name__ for read in plugins.loaded("readers")] == ["open_dataset"]
    (record,) = caplog.records
    assert "'typo'" in record.getMessage()


def test_whatever_a_plugin_does_while_imported_is_one_sentence(announced, tmp_path, monkeypatch):
    (tmp_path / "rude.py").write_text("raise RuntimeError('no\\nway')")
    monkeypatch.syspath_prepend(tmp_path)
    announced({"fcfi.plugins": {"rude": "rude:PLUGIN"}, "fcfi.commands": {"rude": "rude"}})
    assert "RuntimeError" in plugins.complaints()[0]
    with pytest.raises(PluginError, match="RuntimeError"):
        plugins.parts("commands")[0].load()


def test_a_missing_package_names_the_extra_that_brings_it():
    extras = {"starlette.routing": "serve", "prometheus_client": "serve", "nuclio_sdk": "cvat"}
    for module, extra in extras.items():
        sentence = plugins.missing(ModuleNotFoundError("", name=module), "`fcfi x`")
        assert f"pip install 'fcfi[{extra}]'" in sentence
    assert "install it" in plugins.missing(ModuleNotFoundError("", name="unheard_of"), "`fcfi x`")


def test_what_is_installed_here_is_whole():
    for kind in plugins.KINDS:
        for part in plugins.parts(kind):
            part.load()
    assert plugins.complaints() == []
