"""FCFIModel under the real label-studio-ml, each line of it in an environment of its own.

The 2.x line is not on PyPI: ``LABEL_STUDIO_ML_SOURCE`` names what pip should install (a checkout; by default
the repository's address). 1.0.9 is; it gets the two packages that it imports and does not ask for.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcfi_core.masks import label_studio as code

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
SOURCE = os.environ.get(
    "LABEL_STUDIO_ML_SOURCE", "git+https://github.com/HumanSignal/label-studio-ml-backend.git"
)
NEWER = ["flask>2.3", "colorama", "requests", "semver", "label-studio-sdk>=2"]
OLDER = ["label-studio-ml==1.0.9", "rq", "redis"]
SERVER = """
import sys
from label_studio_ml.api import init_app
from label_studio_backend import FCFIModel
init_app(model_class=FCFIModel, **eval(sys.argv[2])).run(port=int(sys.argv[1]))
"""
CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<BrushLabels name="mask" toName="image"><Label value="cell"/></BrushLabels>'
    '<KeyPointLabels name="click" toName="image" smart="true"><Label value="cell"/></KeyPointLabels></View>'
)
OTHER = CONFIG.replace("BrushLabels", "PolygonLabels")


class Framework:
    """The framework's own server with our class in it."""

    def __init__(self, line, folder):
        environment = ROOT / ".e2e" / f"label-studio-ml-{line}"
        self.python = environment / "bin" / "python"
        ready = environment / ".ready"
        if not ready.exists():
            venv.create(environment, with_pip=True, clear=True)
            self.install(*(NEWER if line == "2" else OLDER))
            if line == "2":
                self.install("--no-deps", SOURCE)
            # Ours and torch come from this environment, after the framework's own packages.
            site = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
            ours = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
            (site / "fcfi.pth").write_text("\n".join([*ours, str(ROOT), ""]), encoding="utf-8")
            ready.touch()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        arguments = {} if line == "2" else {"model_dir": str(folder)}
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [self.python, "-c", SERVER, str(self.port), repr(arguments)],
                env={**os.environ, "MODEL_DIR": str(folder), "PYTHONWARNINGS": "ignore"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 180
        while True:
            assert self.child.poll() is None, self.log.read_text()
            try:
                assert self.call("/health")["status"] == "UP"
                return
            except OSError:
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.5)

    def install(self, *what):
        done = subprocess.run(
            [self.python, "-m", "pip", "install", "--quiet", *what],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{' '.join(what)} cannot be installed here: {done.stderr.strip()[-200:]}")

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=100) as answer:
            return json.load(answer)

    def predict(self, config, items):
        clicks = [
            {
                "id": f"dot{x}-{y}",
                "type": "keypointlabels",
                "to_name": "image",
                "original_width": 96,
                "original_height": 64,
                "image_rotation": 0,
                "is_positive": positive,
                "value": {"x": 100 * (x + 0.5) / 96, "y": 100 * (y + 0.5) / 64, "keypointlabels": ["cell"]},
            }
            for x, y, positive in items
        ]
        body = {
            "tasks": [{"id": 1, "data": {"image": picture()}}],
            "project": "1.1700000000",
            "label_config": config,
            "params": {"login": None, "password": None, "context": {"result": clicks} if items else None},
        }
        return self.call("/predict", body)["results"]

    def stop(self):
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(10)


def picture():
    rows, columns = np.mgrid[:64, :96]
    disk = (columns - 45) ** 2 + (rows - 30) ** 2 < 18**2
    pixels = np.where(disk[..., None], (225, 60, 40), (60, 110, 120)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module", params=["2", "1.0.9"])
def framework(request, tmp_path_factory):
    made = Framework(request.param, tmp_path_factory.mktemp("framework"))
    yield made
    made.stop()


@pytest.fixture
def line(framework, request):
    return request.node.callspec.params["framework"]


def test_setup_click_refine_undo(framework, line):
    body = {
        "project": "1.1700000000",
        "schema": CONFIG,
        "hostname": "",
        "access_token": "",
        "extra_params": None,
    }
    version = framework.call("/setup", body)["model_version"]
    assert version.startswith("fcfi-") if line == "2" else version == "INITIAL"
    masks = []
    for count in (1, 2, 1):
        (entry,) = framework.predict(CONFIG, [(45, 30, True), (80, 55, False)][:count])
        (region,) = entry["result"]
        masks.append(code.decode(region["value"]["rle"], 96, 64))
        assert region["value"]["brushlabels"] == ["cell"]
    assert masks[0][30, 45]
    assert not masks[1][55, 80]
    assert (masks[0] == masks[2]).all()
    assert framework.predict(CONFIG, []) == []


def test_two_projects(framework, line):
    """2.x tells which config a request belongs to; 1.0.9 answers everyone with the last connected one."""
    framework.call("/setup", {"project": "1.1700000000", "schema": CONFIG})
    (entry,) = framework.predict(OTHER, [(45, 30, True)])
    kinds = {region["type"] for region in entry["result"]}
    assert kinds == ({"polygonlabels"} if line == "2" else {"brushlabels"})


def test_what_cannot_be_read_is_empty_and_no_traceback(framework):
    try:
        answer = framework.call(
            "/predict", {"tasks": [{"data": {"image": "file:///x"}}], "label_config": CONFIG, "params": {}}
        )
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from error
    assert answer["results"] == []
