"""Damages what parsers read, guided by what it reaches: ``python guided.py [libFuzzer options] PARSER...``.

Everything is imported, and prepared for the guide, once; each parser is then damaged in a process of its own.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import time
from pathlib import Path

import atheris

WATCHED = ["fcfi_core", "label_studio_backend", "cvat_function", "PIL", "tifffile", "python_multipart"]

with atheris.instrument_imports(include=WATCHED):
    import fuzz_parsers as parsers

    from fcfi_core import plugins

plugins.entry_points = functools.cache(plugins.entry_points)  # which packages are there is no parsing


def damage(name: str, options: list[str]) -> None:
    """Damage one parser's input until the options say that it is enough; ends the process."""
    seeds, parse = parsers.parser_of(name)
    for seed in seeds:  # what is imported on first use is no parsing
        parsers.tried(name, parse, seed)
    parsers.SLOWEST.clear()
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        words = [sys.argv[0], folder, "-timeout=10", "-rss_limit_mb=3000", f"-artifact_prefix={folder}/"]

        def one(content: bytes) -> None:
            parsers.tried(name, parse, content)
            assert parsers.SLOWEST[name] < 1, f"{parsers.SLOWEST[name]:.1f} s for {content!r}"

        atheris.Setup([*words, *options], one)
        atheris.Fuzz()


def main() -> int:
    """Damage what each parser named reads; returns how many could not stand it."""
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    bad = 0
    for name in (word for word in sys.argv[1:] if not word.startswith("-")):
        began = time.monotonic()
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if not child:
                os.dup2(said.fileno(), 2)
                damage(name, options)
                os._exit(1)
            failed = os.waitpid(child, 0)[1] != 0
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
        bad += failed
        outcome = "\n".join(lines[-60:]) if failed else lines[-1]
        print(f"{name}, guided, {time.monotonic() - began:.0f} s: {outcome}", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
