"""Where the first page has the mark ``<!-- further pages -->``: pages that its tables of contents leave out.

A new page is on the site at once; whoever finds it under "Further" gives it its place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

MARK = "<!-- further pages -->"


def append(app: Sphinx, name: str, content: list[str]) -> None:
    """Replace the mark by a table of contents."""
    if MARK not in content[0]:
        return
    tables = re.findall(r"```\{toctree\}\n(.*?)```", content[0], flags=re.DOTALL)
    listed = set("\n".join(tables).split())
    pages = sorted(path.stem for path in Path(app.srcdir).glob("*.md"))
    further = [page for page in pages if page not in listed | {name}]
    lines = ["```{toctree}", ":hidden:", ":caption: Further", "", *further, "```"] if further else []
    content[0] = content[0].replace(MARK, "\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", append)
    return {"parallel_read_safe": True}
