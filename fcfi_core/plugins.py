"""What other packages may add to this one.

A package announces one :class:`Plugin` in its ``pyproject.toml``::

    [project.entry-points."fcfi.plugins"]
    sketch = "fcfi_sketch.plugin:PLUGIN"

and says in it where its parts are; each is imported only when it is used, so the module that holds the
plugin should import nothing else::

    PLUGIN = Plugin(
        title="Sketch",
        commands={"sketch": "fcfi_sketch.cli"},
        routes={"sketch": "fcfi_sketch.routes:routes"},
    )

A part that is missing or broken is named in one sentence (:class:`PluginError`), and never keeps the others
from working. The groups of earlier versions (``fcfi.commands`` and so on, one entry point per part) are
read, too.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires
from operator import attrgetter
from typing import Any

from fcfi_core.errors import FcfiError, plain

logger = logging.getLogger("fcfi.plugins")

GROUP = "fcfi.plugins"

_EARLIER = {
    "commands": "fcfi.commands",
    "doctors": "fcfi.doctors",
    "settings": "fcfi.settings",
    "datasets": "fcfi.datasets",
    "prompts": "fcfi.prompts",
}


class PluginError(FcfiError):
    """A part of a plugin is missing or broken."""


@dataclass(frozen=True)
class Plugin:
    """Names of parts, each with the place it is imported from: ``package.module`` or ``package.module:name``.

    Attributes:
        title: what people call the platform that the package is for; help and pages name it so.
        commands: verbs of ``fcfi``: a module with ``HELP``, ``add_arguments(parser)`` and
            ``run(arguments) -> int``.
        doctors: ``fcfi doctor NAME``: a module with ``HELP``, ``add_arguments(parser)`` and
            ``examine(arguments)``, which yields :class:`fcfi_core.cli.doctor.Finding`.
        settings: a tuple of :class:`fcfi_core.settings.Variable`.
        readers: data sets: ``(annotations) -> fcfi_core.datasets.dataset.Dataset | None``, None for what is
            not its own; ``annotations`` is a :class:`fcfi_core.datasets.annotations.Annotations`.
        formats: what ``fcfi segment --format NAME`` writes: ``(result) ->`` what JSON can hold.
        tracks: what ``fcfi track`` writes for a platform beside its masks: ``(record) -> None``; ``record``
            is a :class:`fcfi_core.pipelines.tracks.TrackRecord`.
        routes: what ``fcfi serve`` serves: ``(service) -> list`` of Starlette routes.
        engines: what runs networks: a module with the two functions of
            :class:`fcfi_core.engines.registry.EngineModule`.
    """

    title: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)
    doctors: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    tracks: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)


KINDS = tuple(kind.name for kind in fields(Plugin) if kind.name != "title")


@dataclass(frozen=True)
class Part:
    """One part of a plugin, not yet imported.

    Args:
        kind: one of :data:`KINDS`, or ``datasets`` or ``prompts``, which only earlier groups hold.
        name: for example the verb.
        place: ``package.module`` or ``package.module:name``.
        package: the distribution that announces it; "" if that is unknown.
        title: of the plugin; ``name`` if it has none.
    """

    kind: str
    name: str
    place: str
    package: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or self.name)

    def load(self) -> Any:
        """Return the part.

        Raises:
            PluginError: one sentence: what is missing, and which extra brings it; or what is broken.
        """
        try:
            return _import(self.place)
        except Exception as error:  # whatever a foreign package does while it is imported
            raise PluginError(_reason(error, f"part {self.name!r} ({self.kind})", self.package)) from error


def parts(kind: str) -> list[Part]:
    """Return the parts of one kind, sorted by name, each name once.

    A plugin's part goes before one of an earlier group. A plugin that cannot be read is left out;
    :func:`complaints` names it.
    """
    found: dict[str, Part] = {}
    for entry_point in _sorted(_EARLIER.get(kind, "")):
        found[entry_point.name] = Part(kind, entry_point.name, entry_point.value, _package(entry_point))
    for entry_point in _sorted(GROUP):
        plugin = _plugin(entry_point)
        if isinstance(plugin, Plugin):
            for name, place in getattr(plugin, kind, {}).items():
                found[name] = Part(kind, name, place, _package(entry_point), plugin.title)
    return [found[name] for name in sorted(found)]


def titles(kind: str) -> list[str]:
    """Return what people call the plugins that have a part of this kind, sorted."""
    return sorted({part.title for part in parts(kind)}, key=str.lower)


def loaded(kind: str) -> Iterator[Any]:
    """Yield the parts of one kind that can be imported; of each other one a warning says why not."""
    for part in parts(kind):
        try:
            yield part.load()
        except PluginError as error:
            logger.warning("%s", error)


def complaints() -> list[str]:
    """Return one sentence for each announced plugin that cannot be read at all."""
    found = ((entry_point, _plugin(entry_point)) for entry_point in _sorted(GROUP))
    return [plugin for _, plugin in found if isinstance(plugin, str)]


def missing(error: ImportError, needed_by: str, package: str = "fcfi") -> str:
    """Return a sentence for ``error``: which package is missing, and which extra of ``package`` brings it.

    >>> missing(ModuleNotFoundError("", name="starlette.routing"), "`fcfi serve`")
    "`fcfi serve` needs the package 'starlette', which is not installed: pip install 'fcfi[serve]'."
    """
    module = (error.name or str(error)).split(".")[0]
    extra = _extra_with(module, package)
    how = f"pip install '{package}[{extra}]'" if extra else "install it"
    return f"{needed_by} needs the package {module!r}, which is not installed: {how}."


def _import(place: str) -> Any:
    module, _, name = place.partition(":")
    found = importlib.import_module(module.strip())
    return attrgetter(name.strip())(found) if name else found


def _plugin(entry_point: EntryPoint) -> Plugin | str:
    """Return the announced plugin, or a sentence on what is wrong with it."""
    package = _package(entry_point)
    try:
        plugin = _import(entry_point.value)
    except Exception as error:
        return _reason(error, f"plugin {entry_point.name!r}", package)
    if isinstance(plugin, Plugin):
        return plugin
    return (
        f"plugin {entry_point.name!r} of the package {package!r} is broken: {entry_point.value} is a "
        f"{type(plugin).__name__}, not an fcfi_core.plugins.Plugin; ask its authors, or uninstall it."
    )


def _reason(error: Exception, what: str, package: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return missing(error, f"the {what}", package or "fcfi")
    return (
        f"the {what} of the package {package!r} is broken ({type(error).__name__}: {plain(str(error))}); "
        "update or uninstall that package."
    )


def _sorted(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry_point: entry_point.name) if group else []


def _package(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else ""


def _extra_with(module: str, package: str) -> str:
    """Return the first extra of ``package`` that brings ``module``; "" if none does."""
    try:
        lines = requires(package) or []
    except PackageNotFoundError:
        return ""
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra\s*==\s*["']([\w.-]+)["']""", line)
        if name and extra and re.sub(r"[-.]+", "_", name[0]).lower() == module.lower():
            return extra[1]
    return ""
