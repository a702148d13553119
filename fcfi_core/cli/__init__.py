"""The command ``fcfi``: one module per verb.

A verb is a module with ``HELP: str``, ``add_arguments(parser)`` and ``run(arguments) -> int``. Those of
the core are the modules of this package without a leading underscore; other packages add theirs as
``commands`` of their plugin, so the core never imports an adapter.

Exit codes: 0 done, 1 done and found something wrong (see the verb's help), 2 bad input (one sentence on
standard error), 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import ModuleType
from typing import NoReturn

import fcfi_core
from fcfi_core import plugins
from fcfi_core.errors import FcfiError
from fcfi_core.outputs import say

_COORDINATES = re.compile(r"-\s*[\d.][^,]*,")
_OPTION = re.compile(r"--[a-z][a-z-]*")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`.\n")


def verbs() -> dict[str, Callable[[], ModuleType]]:
    """Return how to import the module of each verb, built-in ones first, by name."""
    found: dict[str, Callable[[], ModuleType]] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            name = f"{__name__}.{module.name}"
            found[module.name.replace("_", "-")] = lambda name=name: importlib.import_module(name)  # type: ignore[misc]
    for part in plugins.parts("commands"):
        found.setdefault(part.name, part.load)
    return found


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all verbs, or of one (which spares importing the others)."""
    parser = _Parser(prog="fcfi", description=_described())
    parser.add_argument("--version", action="version", version=f"fcfi {fcfi_core.__version__}")
    choices = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, load in verbs().items():
        if only not in (None, name):
            continue
        try:
            module = load()
        except (ImportError, plugins.PluginError) as error:
            reason = str(error)
            if isinstance(error, ImportError):
                reason = plugins.missing(error, f"`fcfi {name}`")
            if only is not None:
                raise plugins.PluginError(reason) from error
            choices.add_parser(name, help=f"(not installed: {reason.replace('%', '%%')})")
            continue
        verb = choices.add_parser(
            name,
            help=module.HELP,
            description=_sentence(module),
            formatter_class=argparse.RawTextHelpFormatter,
        )
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fcfi`` with these arguments (those of the process by default) and return its exit code."""
    # Pillow's remarks on damaged metadata are for programmers; what matters of a picture is in its notes.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if sys.stdout is None:  # closed by whoever started us, as some schedulers do
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives
    if isinstance(sys.stdout, io.TextIOWrapper):  # which may know few letters
        sys.stdout.reconfigure(errors="backslashreplace")
    words = joined(sys.argv[1:] if argv is None else argv)
    known: str | None = None
    try:
        known = words[0] if words and words[0] in verbs() else None
        arguments = build_parser(known).parse_args(words)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except FcfiError as error:
        say(f"fcfi: {error}", error=True)
        return 2
    except ImportError as error:
        say(f"fcfi: {plugins.missing(error, f'`fcfi {known}`')}", error=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has left (for example `| head`); nothing is wrong.
        _drop_output()
        return 0
    except OSError as error:
        say(f"fcfi: {_told(error)}", error=True)
        if error.filename is None:
            _drop_output()
        return 2


def _told(error: OSError) -> str:
    """Return what the system refused, in one sentence."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        place = f"{error.filename!r}" if error.filename else "the output"
        return f"cannot write {place}: {reason}; make room, and try again."
    if error.filename is not None:
        # A name too long, a loop of links, a folder that may not be looked into: each system has its own.
        return f"{str(error.filename)!r}: {reason}; give another."
    return f"{reason}; try again."  # a disk that fails, a server that is gone


def joined(words: Sequence[str]) -> list[str]:
    """Return ``words`` with coordinates that begin with a minus sign tied to their option.

    The parser takes a word that begins with a minus sign for an option of its own.

    >>> joined(["segment", "a.jpg", "--box", "-20,-5,40,60"])
    ['segment', 'a.jpg', '--box=-20,-5,40,60']
    """
    result: list[str] = []
    for word in words:
        if _COORDINATES.match(word) and result and _OPTION.fullmatch(result[-1]):
            result[-1] += f"={word}"
        else:
            result.append(word)
    return result


def _described() -> str:
    """Return what ``fcfi`` is for, with the platforms that are installed."""
    places = [*plugins.titles("commands"), "a browser"]
    return f"Cut objects out of images by clicks, inside {', '.join(places)}, or here."


def _drop_output() -> None:
    """Keep Python from writing at its end what could not be written now."""
    with suppress(io.UnsupportedOperation):  # where it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(module: ModuleType) -> str:
    text: str = module.HELP
    return text[:1].upper() + text[1:] + "."
