"""Pages that show a file beside `docs/`, and links that lead out of it.

The pages are read in the repository, too, where ``../README.md`` is right; on the site, that file is a page.
A page whose whole text is ``<!-- shows NAME -->`` shows the file of that name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SHOWS = re.compile(r"<!-- shows (\S+) -->\n")
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")


def rewrite(app: Sphinx, name: str, content: list[str]) -> None:
    """Put the shown file in the page's place, and turn links to where they lead on the site."""
    page = Path(app.env.doc2path(name)).resolve()
    shown = SHOWS.fullmatch(content[0])
    source = page.parents[len(Path(name).parts)] / shown[1] if shown else page
    text = source.read_text(encoding="utf-8") if shown else content[0]
    if shown:
        app.env.note_dependency(str(source))
    pages = shown_files(app)

    def turned(match: re.Match[str]) -> str:
        target = match[2]
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = (source.parent / target).resolve()
        if path.is_dir():
            path /= "index.md"
        path = pages.get(path, path)
        return f"{match[1]}{Path(os.path.relpath(path, page.parent)).as_posix()}{match[3]}"

    content[0] = LINK.sub(turned, text)


def shown_files(app: Sphinx) -> dict[Path, Path]:
    """Return the pages of the site by the file that each shows."""
    found = {}
    for page in Path(app.srcdir).glob("*.md"):
        shown = SHOWS.fullmatch(page.read_text(encoding="utf-8"))
        if shown:
            found[Path(app.srcdir).resolve().parent / shown[1]] = page.resolve()
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
