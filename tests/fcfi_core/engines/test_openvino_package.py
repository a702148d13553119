"""Nothing is told to anybody: OpenVINO is imported without what reports its imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fcfi_core

ROOT = Path(fcfi_core.__file__).parents[1]

LOADS = """
import sys
{before}
from fcfi_core.model import load_model
load_model("default", engine="openvino", device="cpu")
print([name for name in sys.modules if "telemetry" in name or name.startswith("openvino.tools")])
"""


@pytest.mark.parametrize(
    "before", ["", "from fcfi_core.engines import openvino_bf16_engine as e; e.has_bf16()"]
)
def test_loading_a_model_tells_nobody(before, tmp_path):
    pytest.importorskip("openvino")
    environment = {"PATH": "", "HOME": str(tmp_path), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADS.format(before=before)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert not list(tmp_path.iterdir())


def test_what_was_not_imported_can_be_imported_later():
    pytest.importorskip("fcfi_core.engines.openvino_package")
    assert sys.modules.get("openvino.tools.ovc", sys) is not None


def test_nobody_imports_openvino_by_itself():
    """But where there is no other way to a module of it, and after the package."""
    found = set()
    for room in ("fcfi_core", "label_studio_backend", "cvat_function", "benchmarks"):
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            guarded = [
                node
                for node in ast.walk(tree)
                if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            ]
            typing = {id(inner) for node in guarded for inner in ast.walk(node)}
            for node in ast.walk(tree):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.partition(".")[0] == "openvino" for name in names) and id(node) not in typing:
                    found.add(path.relative_to(ROOT).as_posix())
    assert found == {"fcfi_core/engines/openvino_package.py", "fcfi_core/engines/export.py"}
