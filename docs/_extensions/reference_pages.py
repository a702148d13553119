"""Reference of commands, settings and the plain API, written from the code where a page has a mark for it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from sphinx.application import Sphinx

from fcfi_core import plugins
from fcfi_core.cli import build_parser
from fcfi_core.serving.api.document import PREFIX, openapi
from fcfi_core.settings import CORE_VARIABLES, SERVING_VARIABLES, Variable


def write(app: Sphinx, name: str, content: list[str]) -> None:
    """Put the reference in the place of the page's mark, if it has one."""
    for mark, lines in MARKS:
        if mark in content[0]:
            content[0] = content[0].replace(mark, "\n".join(lines()))


def commands() -> list[str]:
    """Return a section for each verb, with what ``--help`` prints."""
    os.environ["COLUMNS"] = "88"
    lines: list[str] = []
    for depth, parser in parsers(build_parser()):
        lines += [f"{'#' * (depth + 1)} `{parser.prog}`", "", "```text", *parser.format_help().splitlines()]
        lines += ["```", ""]
    return lines


def settings() -> list[str]:
    """Return a section for each package that declares variables."""
    lines: list[str] = []
    seen: set[str] = set()
    for title, variables in groups():
        new = [variable for variable in variables if variable.name not in seen]
        seen.update(variable.name for variable in new)
        lines += [f"## {title}", "", *table(new), ""]
    return lines


def api() -> list[str]:
    """Return a section for each operation of the plain API, and one for all bodies."""
    document = openapi()
    lines: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += [f"## `{method.upper()} {PREFIX}{path}`", "", f"{operation['summary']}. "]
            lines += [operation["description"], "", "| status | answer |", "| --- | --- |"]
            for status, answer in operation["responses"].items():
                lines.append(f"| {status} | {answer['description']} {', '.join(bodies(answer))} |")
            lines.append("")
    lines += [
        "## Bodies",
        "",
        "```json",
        *json.dumps(document["components"], indent=2).splitlines(),
        "```",
        "",
    ]
    return lines


def bodies(answer: dict[str, Any]) -> list[str]:
    """Return the names of what an answer may hold."""
    schemas = (content["schema"] for content in answer.get("content", {}).values())
    return [f"`{schema['$ref'].split('/')[-1]}`" if "$ref" in schema else "a file" for schema in schemas]


MARKS = (("<!-- commands -->", commands), ("<!-- settings -->", settings), ("<!-- api -->", api))


def parsers(parser: argparse.ArgumentParser, depth: int = 1) -> Iterator[tuple[int, argparse.ArgumentParser]]:
    """Yield ``parser`` and those below it, each once, with how deep they lie."""
    yield depth, parser
    for action in parser._actions:  # argparse has no public way to the verbs
        if isinstance(action, argparse._SubParsersAction):
            for child in dict.fromkeys(action.choices.values()):
                yield from parsers(child, depth + 1)


def groups() -> list[tuple[str, Sequence[Variable]]]:
    """Return the variables by who declares them, the core first."""
    found: list[tuple[str, Sequence[Variable]]] = [("Core", CORE_VARIABLES), ("Server", SERVING_VARIABLES)]
    found += [(part.title, part.load()) for part in plugins.parts("settings")]
    return found


def table(variables: Sequence[Variable]) -> list[str]:
    """Return the rows of a Markdown table."""
    rows = [f"| `{one.name}` | {shown(one.default)} | {one.help} |" for one in variables]
    return ["| variable | default | meaning |", "| --- | --- | --- |", *rows]


def shown(default: Any) -> str:
    """Return a default as one would write it."""
    text = "auto" if default is None else str(default).removesuffix(".0")
    return f"`{text}`" if text else ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", write)
    return {"parallel_read_safe": True}
