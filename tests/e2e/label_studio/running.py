"""What the tests of a running Label Studio share: processes, the editor's requests, pictures."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np

from fcfi_core.masks import label_studio as code

VERSION = os.environ.get("LABEL_STUDIO_VERSION", "1.23.2")
ENVIRONMENT = Path(
    os.environ.get("LABEL_STUDIO_VENV") or Path(__file__).parents[3] / ".e2e" / f"label-studio-{VERSION}"
)
TOKEN = "5f0c1e2d3b4a59687786950413223140aabbccdd"
WIDTH, HEIGHT = 320, 240


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A child in a process group of its own, with its output in a file."""

    def __init__(self, words, environment, log):
        self.log = log
        with log.open("ab") as file:
            self.child = subprocess.Popen(
                words, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def stop(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            os.killpg(self.child.pid, how)
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait(10)
        return self.child.returncode


def context(clicks):
    """Return the list that the editor sends after the last of ``clicks``; dots keep their ids."""
    found = []
    for click in clicks:
        dot = {
            "id": f"dot-{click.x}-{click.y}",
            "to_name": "image",
            "origin": "manual",
            "original_width": WIDTH,
            "original_height": HEIGHT,
            "image_rotation": 0,
            "is_positive": click.positive,
            "value": {
                "x": 100 * (click.x + 0.5) / WIDTH,
                "y": 100 * (click.y + 0.5) / HEIGHT,
                "width": 0.3,
                "labels": ["cell"],
            },
        }
        found += [{**dot, "type": "keypoint", "from_name": "click"}]
        found += [{**dot, "type": "labels", "from_name": "label"}]
    return found


class Annotator:
    """Clicks in one task of one project."""

    def __init__(self, server, project):
        self.server = server
        self.project = project
        tasks = server.get(f"/api/tasks?project={project}")
        self.task = (tasks["tasks"] if isinstance(tasks, dict) else tasks)[0]
        self.model = server.get(f"/api/ml?project={project}")[0]["id"]

    def click(self, clicks):
        """Return (region, mask)."""
        asked = {"task": self.task["id"], "context": {"result": context(clicks)}}
        answer = self.server.post(f"/api/ml/{self.model}/interactive-annotating", asked)
        assert not answer.get("errors"), answer
        region, named = answer["data"]["result"]
        assert named["id"] == region["id"]
        return [region, named], code.decode(region["value"]["rle"], WIDTH, HEIGHT)


def ground_of(width, height):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([110 + 30 * np.sin(columns / 17), 120 + 30 * np.cos(rows / 23), 90 + 0 * rows], 2)
