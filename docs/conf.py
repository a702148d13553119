"""How Sphinx builds the site of these pages: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import fcfi_core

project = "FCFI"
author = "the FCFI contributors"
project_copyright = "2026, the FCFI contributors"
release = fcfi_core.__version__
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "further_pages",
    "repository_links",
    "reference_pages",
]
exclude_patterns = ["_build", "_extensions"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
add_module_names = False

html_theme = "furo"
html_title = f"FCFI {release}"
html_static_path: list[str] = []
html_show_sourcelink = False
html_copy_source = False
