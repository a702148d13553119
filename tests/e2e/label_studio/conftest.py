"""The real Label Studio, installed from PyPI and started here.

``LABEL_STUDIO_VENV`` names the environment to use (made if it is not there; else ``.e2e/label-studio``), and
``LABEL_STUDIO_VERSION`` the version to install.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import venv

import numpy as np
import pytest
from PIL import Image

from fcfi_core.cli import main
from label_studio_backend.label_studio import LabelStudio
from tests.e2e.label_studio.running import (
    ENVIRONMENT,
    HEIGHT,
    TOKEN,
    VERSION,
    WIDTH,
    Annotator,
    Process,
    free_port,
    ground_of,
)


@pytest.fixture(scope="package")
def served(tmp_path_factory):
    """The folder below which Label Studio serves local files."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="package")
def label_studio(tmp_path_factory, served):
    """Label Studio with a user and a token, sqlite in a temporary folder."""
    program = ENVIRONMENT / "bin" / "label-studio"
    if not program.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"label-studio=={VERSION}"], check=True)
    folder = tmp_path_factory.mktemp("label_studio")
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LABEL_STUDIO_")},
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_USERNAME": "annotator@example.com",
        "LABEL_STUDIO_PASSWORD": "a-long-password-1",
        "LABEL_STUDIO_USER_TOKEN": TOKEN,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(served),
    }
    words = [
        program,
        "start",
        "--no-browser",
        "--port",
        str(port),
        "--internal-host",
        "127.0.0.1",
        "--init",
        "e2e",
    ]
    process = Process([str(word) for word in (*words, "--data-dir", folder)], environment, folder / "log.txt")
    server = LabelStudio(f"http://127.0.0.1:{port}", TOKEN, seconds=150)
    try:
        server.wait_until_up(600)
        yield server
    finally:
        process.stop()


@pytest.fixture
def backend(label_studio, tmp_path):
    """A function that starts ``fcfi serve`` at one address, again and again."""
    port, started = free_port(), []

    def start(**variables):
        environment = {
            **os.environ,
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        program = "import sys; from fcfi_core.cli import main; sys.exit(main())"
        words = [sys.executable, "-c", program, "serve", "--port", str(port)]
        process = Process(words, environment, tmp_path / "serve.txt")
        started.append(process)
        LabelStudio(f"http://127.0.0.1:{port}", "").wait_until_up(180)
        return process

    start.started = started
    start.url = f"http://127.0.0.1:{port}"
    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="package")
def photo():
    """A red disk on a ground of waves, as PNG, with its centre and radius."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.stack([110 + 30 * np.sin(columns / 17), 120 + 30 * np.cos(rows / 23), 90 + 0 * rows], 2)
    disk = (columns - 140) ** 2 + (rows - 130) ** 2 <= 60**2
    pixels = np.where(disk[..., None], (225, 60, 40), ground).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def annotator(label_studio, backend, photo, tmp_path, capsys):
    """What ``fcfi label-studio setup`` leaves: a project with one photo and the backend connected."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "disk.png").write_bytes(photo)
    backend()
    words = ["label-studio", "setup", str(tmp_path / "images"), "--labels", "cell,nucleus & co"]
    words += ["--title", tmp_path.name]
    address = ["--url", label_studio.url, "--token", TOKEN, "--backend", backend.url]
    assert main([*words, *address]) == 0
    said = capsys.readouterr().out
    assert "1 image(s) imported" in said
    project = int(said.split("project ")[1].split(":")[0])
    return Annotator(label_studio, project)


@pytest.fixture(scope="package")
def scene():
    """A photo as PNG of a red disk and a blue square, with the mask of each."""
    rows, columns = np.mgrid[:480, :640]
    disk = (columns - 180) ** 2 + (rows - 240) ** 2 <= 90**2
    square = (abs(columns - 470) <= 80) & (abs(rows - 250) <= 80)
    pixels = np.where(disk[..., None], (225, 60, 40), ground_of(640, 480))
    pixels = np.where(square[..., None], (40, 80, 220), pixels).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), {"disk": disk, "square & co": square}


@pytest.fixture
def project(label_studio, backend, scene, tmp_path, capsys):
    """A function that sets a project up with the photo, and returns its number."""
    backend()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "scene.png").write_bytes(scene[0])

    def set_up(*options):
        words = ["label-studio", "setup", str(tmp_path / "images"), "--labels", "disk,square & co", *options]
        address = ["--url", label_studio.url, "--token", TOKEN, "--backend", backend.url]
        assert main([*words, *address, "--title", tmp_path.name]) == 0
        return int(capsys.readouterr().out.split("project ")[1].split(":")[0])

    return set_up
