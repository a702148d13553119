"""Predicting needs no torch: what a light installation can do, and what it says about the rest."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("openvino")

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # as good as not installed

"""

NEVER_IMPORTED = """
assert not [name for name, module in sys.modules.items() if name.startswith("torch") and module is not None]
"""


@pytest.fixture
def photo(tmp_path):
    pixels = np.full((90, 120, 3), 40, np.uint8)
    pixels[20:70, 30:90] = (220, 180, 60)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def run(code, tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + code, *map(str, arguments)],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_library_segments(tmp_path, photo):
    code = """
from fcfi_core import Predictor, load_model
session = Predictor(load_model("default")).open(sys.argv[1])
first = session.click(60, 45).mask
second = session.click(5, 5, positive=False).mask
assert first[45, 60] and not second[5, 5] and second.sum() > 1000, (first.sum(), second.sum())
"""
    done = run(code + NEVER_IMPORTED, tmp_path, photo)
    assert done.returncode == 0, done.stderr


def test_the_command_segments(tmp_path, photo):
    code = "from fcfi_core.cli import main\ncode = main(sys.argv[1:])\n" + NEVER_IMPORTED + "sys.exit(code)"
    done = run(code, tmp_path, "segment", photo, "--click", "60,45", "--out", "mask.png")
    assert done.returncode == 0, done.stderr
    assert np.asarray(Image.open(tmp_path / "mask.png"))[45, 60]


def test_cvats_functions_answer(tmp_path, photo):
    code = """
import base64, json
from types import SimpleNamespace as Any
from cvat_function import main, tracker
tracker.init_context(Any(user_data=Any(), logger=Any(info_with=lambda *_, **__: None)))
context = Any(user_data=Any(), logger=Any(info_with=lambda *_, **__: None), Response=lambda **answer: answer)
main.init_context(context)
body = {"image": base64.b64encode(open(sys.argv[1], "rb").read()).decode(), "pos_points": [[60, 45]],
        "neg_points": [], "obj_bbox": None}
answer = main.handler(context, Any(body=json.dumps(body).encode()))
assert answer["status_code"] == 200, answer
"""
    done = run(code + NEVER_IMPORTED, tmp_path, photo)
    assert done.returncode == 0, done.stderr


def test_the_server_gets_ready(tmp_path):
    code = """
import socket, threading, time, urllib.request, json, os
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]

def watch():
    for _ in range(600):
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                state = json.load(answer)["model"]
        except OSError:
            continue
        if state != "loading":
            print(state, [n for n, m in sys.modules.items() if n.startswith("torch") and m], flush=True)
            os._exit(0)

threading.Thread(target=watch, daemon=True).start()
from fcfi_core.cli import main
main(["serve", "--port", str(port)])
"""
    done = run(code, tmp_path)
    assert done.stdout.strip() == "ready []", done.stderr


def test_what_needs_torch_says_so_in_one_sentence(tmp_path, photo):
    code = "from fcfi_core.cli import main\nsys.exit(main(sys.argv[1:]))"
    (tmp_path / "official.pth").write_bytes(b"weights")
    for arguments in (
        ("segment", photo, "--click", "60,45", "--out", "mask.png", "--engine", "torch"),
        ("convert", "official.pth", "out.safetensors"),
    ):
        done = run(code, tmp_path, *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "torch" in done.stderr
        assert "not installed" in done.stderr
        assert "pip install 'fcfi[torch]'" in done.stderr
