"""By whatever door one comes in, OpenMP is told to sleep while it waits before torch is imported."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

DOORS = {
    "library": "from fcfi_core import load_model; load_model('default')",
    "segment": "from fcfi_core.cli import main; main(['segment', 'photo.png', '--click', '3,3'])",
    "evaluate": "from fcfi_core.cli import main; main(['evaluate', 'photos'])",
    "annotate": "from fcfi_core.cli import main; main(['annotate', 'photos', '--out', 'masks'])",
    "bench": "from fcfi_core.cli import main; main(['bench'])",
    "doctor": "from fcfi_core.cli import main; main(['doctor'])",
    "train": "from fcfi_core.cli import main;"
    "main(['train', '--from', 'default', '--data', 'photos', '--out', 'run'])",
    "serve": "from fcfi_core.cli import main; main(['serve', '--port', '{port}'])",
    "nuclio": "from cvat_function import main; from types import SimpleNamespace as Any;"
    "main.init_context(Any(user_data=Any(), logger=Any(info_with=print)))",
    "nuclio tracker": "from cvat_function import tracker; from types import SimpleNamespace as Any;"
    "tracker.init_context(Any(user_data=Any(), logger=Any(info_with=print)))",
    "agent": "from cvat_function import native; native.create()",
}

WATCH = """
import os, sys

class Watch:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            print("torch comes with", os.environ.get("OMP_WAIT_POLICY"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Watch)
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def policy_when_torch_comes(door, tmp_path, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", WATCH + DOORS[door].format(port=free_port())],
        env={**kept, "FCFI_ENGINE": "torch", "HOME": str(tmp_path), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout.splitlines()[-1] if done.stdout else done.stderr


@pytest.fixture
def folder(tmp_path):
    from PIL import Image

    (tmp_path / "photos" / "images").mkdir(parents=True)
    (tmp_path / "photos" / "masks").mkdir()
    Image.new("RGB", (40, 30), "white").save(tmp_path / "photo.png")
    Image.new("RGB", (40, 30), "white").save(tmp_path / "photos" / "images" / "one.png")
    mask = Image.new("L", (40, 30))
    mask.paste(1, (10, 10, 20, 20))
    mask.save(tmp_path / "photos" / "masks" / "one.png")
    return tmp_path


@pytest.mark.parametrize("door", DOORS)
def test_openmp_sleeps(door, folder):
    assert policy_when_torch_comes(door, folder) == "torch comes with PASSIVE"


def test_the_operator_may_say_otherwise(folder):
    assert policy_when_torch_comes("library", folder, OMP_WAIT_POLICY="ACTIVE") == "torch comes with ACTIVE"
