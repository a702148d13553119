"""The notebook in the pages runs from top to bottom, says what it says, and holds no outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from PIL import Image

from fcfi_core.results import Result

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def shown(code, names):
    """Run a cell as a notebook does, and return the value of its last line, if that is one."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder that the notebook ran in, the values that its cells showed, and its names."""
    folder, names = tmp_path_factory.mktemp("notebook"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, [shown(code, names) for code in CODE], names


def test_every_cell_runs(ran):
    folder, values, names = ran
    results = [value for value in values if isinstance(value, Result)]
    assert len(results) == 3
    assert all(result._repr_png_().startswith(b"\x89PNG") for result in results)
    assert any(isinstance(value, Image.Image) and value.mode == "RGBA" for value in values)
    assert names["result"].mask.any()
    assert len(names["results"]) == 3
    assert {path.name for path in folder.iterdir()} == {"cat-mask.png", "cat-overlay.jpg", "cat-alone.png"}


def test_nothing_that_was_computed_is_stored():
    for cell in CELLS:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_its_links_lead_somewhere():
    import re

    text = "".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    assert all((NOTEBOOK.parent / link).exists() for link in links)
