"""Reads a training run's configuration from a TOML file."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path
from typing import Any

from fcfi_core.errors import SettingsError
from fcfi_core.training.configuration import LISTS, SECTIONS, TrainingConfiguration


def load_configuration(path: str | Path) -> TrainingConfiguration:
    """Return the configuration written in the TOML file ``path``.

    Relative paths inside the file are relative to the file's folder.

    Raises:
        SettingsError: if the file cannot be read, or holds an unknown or ill-typed entry.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"training configuration {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"training configuration {path} is not valid TOML: {error}.") from None
    configuration: TrainingConfiguration = _build(TrainingConfiguration, table, "")
    return _with_absolute_paths(configuration, path.parent)


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise SettingsError(
                f"training configuration: unknown entry {where}{name}; known are {', '.join(sorted(known))}."
            )
        top = kind is TrainingConfiguration
        if top and name in LISTS:
            if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
                raise SettingsError(f"training configuration: write {name} as tables headed [[{name}]].")
            values[name] = tuple(_build(LISTS[name], entry, f"{name}.") for entry in value)
        elif top and name in SECTIONS:
            if not isinstance(value, dict):
                raise SettingsError(f"training configuration: write {name} as one table headed [{name}].")
            values[name] = _build(SECTIONS[name], value, f"{name}.")
        else:
            _check_type(known[name], value, f"{where}{name}")
            values[name] = value
    missing = [
        name
        for name, entry in known.items()
        if entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
        and name not in values
    ]
    if missing:
        raise SettingsError(f"training configuration: {where}{missing[0]} is missing.")
    return kind(**values)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
}


def _check_type(entry: dataclasses.Field[Any], value: object, name: str) -> None:
    allowed = _TYPES[str(entry.type)]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise SettingsError(
            f"training configuration: {name} is {value!r}; give a value of type {entry.type}."
        )


def _with_absolute_paths(configuration: TrainingConfiguration, base: Path) -> TrainingConfiguration:
    def absolute(text: str) -> str:
        return os.path.realpath(base / Path(text).expanduser())

    start = configuration.start
    if start is not None and start.endswith(".safetensors"):
        start = absolute(start)
    initialisation = configuration.initialisation
    return dataclasses.replace(
        configuration,
        out=absolute(configuration.out),
        start=start,
        initialisation=None if initialisation is None else absolute(initialisation),
        pack=None if configuration.pack is None else absolute(configuration.pack),
        sources=tuple(
            dataclasses.replace(
                source,
                path=absolute(source.path),
                images=None if source.images is None else absolute(source.images),
            )
            for source in configuration.sources
        ),
    )
