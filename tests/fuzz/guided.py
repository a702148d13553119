"""Damages what a parser reads, guided by what it reaches: ``python guided.py PARSER [libFuzzer options]``."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fcfi_core", "label_studio_backend", "PIL", "tifffile"]):
    import fcfi_core.images  # noqa: F401
    import label_studio_backend.predict_request  # noqa: F401

    spec = importlib.util.spec_from_file_location("parsers", Path(__file__).with_name("test_fuzz.py"))
    parsers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parsers)


def main() -> None:
    name, *options = sys.argv[1:]
    seeds, parse = parsers.parser_of(name)
    for seed in seeds:  # what is imported on first use is no parsing
        parsers.tried(name, parse, seed)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        words = [sys.argv[0], folder, "-timeout=10", "-rss_limit_mb=3000", f"-artifact_prefix={folder}/"]
        atheris.Setup([*words, *options], lambda content: parsers.tried(name, parse, content))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
