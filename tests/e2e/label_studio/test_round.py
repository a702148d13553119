"""From setting up to the exported mask, as the editor asks."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from fcfi_core import Click, Predictor
from fcfi_core.cli import main
from fcfi_core.settings import CORE_VARIABLES, read
from label_studio_backend.image_resolver import ImageResolver
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.settings import Settings
from tests.e2e.label_studio.running import HEIGHT, TOKEN, WIDTH

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


CLICKS = (Click(140, 130), Click(170, 150), Click(300, 20, False), Click(110, 110))


def only_picture(export):
    """Return the PNG in an export: alone, as Label Studio sends a single one, or in an archive."""
    if export.startswith(b"\x89PNG"):
        return export
    with zipfile.ZipFile(io.BytesIO(export)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".png"))
        return archive.read(name)


def test_a_full_round(label_studio, backend, annotator, photo, capsys):
    doctor = ["doctor", "label-studio", "--url", label_studio.url, "--token", TOKEN, "--backend", backend.url]
    assert main([*doctor, "--project", str(annotator.project)]) == 0, capsys.readouterr().out
    capsys.readouterr()

    # click, refine with a negative click, one more, take that back
    _, first = annotator.click(CLICKS[:1])
    _, second = annotator.click(CLICKS[:3])
    region, third = annotator.click(CLICKS)
    kept, undone = annotator.click(CLICKS[:3])
    assert (undone == second).all()
    assert kept[0]["id"] != region[0]["id"]
    assert first[130, 140]
    assert not third[20, 300]

    # the same as without any server
    predictor = Predictor.from_settings(read(CORE_VARIABLES, os.environ))
    for clicks, mask in ((CLICKS[:1], first), (CLICKS[:3], second), (CLICKS, third)):
        assert (predictor.segment(photo, clicks).mask == mask).all()

    # submit and export
    path = f"/api/tasks/{annotator.task['id']}/annotations"
    saved = label_studio.post(path, {"result": kept, "lead_time": 1.0})
    assert saved["result"] == kept
    route = f"/api/projects/{annotator.project}/export?exportType=BRUSH_TO_PNG&download_all_tasks=false"
    exported = np.array(Image.open(io.BytesIO(only_picture(label_studio.ask("GET", route).body)))) > 0
    assert (exported == undone).all()


def test_a_killed_backend_goes_on_with_the_same_mask(backend, annotator):
    _, before = annotator.click(CLICKS[:3])

    def ask():
        with suppress(AssertionError):  # Label Studio says that the backend went away
            annotator.click((*CLICKS[:3], Click(60, 60)))

    asker = threading.Thread(target=ask)
    asker.start()
    time.sleep(0.05)
    backend.started[0].stop(signal.SIGKILL)
    asker.join(160)
    backend()
    _, after = annotator.click(CLICKS[:3])
    assert (after == before).all()


def test_personal_access_tokens_are_exchanged(label_studio, backend, annotator):
    personal = label_studio.post("/api/token/", {})["token"]
    server = LabelStudio(label_studio.url, personal)
    assert server.token_kind == "personal"
    assert server.who_am_i() == "annotator@example.com"
    resolver = ImageResolver(Settings(label_studio_url=label_studio.url, label_studio_token=personal))
    image, _ = resolver.load(annotator.task["data"]["image"], annotator.task["id"])
    assert (image.width, image.height) == (WIDTH, HEIGHT)
