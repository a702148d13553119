"""Photos in Azure's store: Azurite, Microsoft's own emulator, installed by npm into `.e2e/azurite`."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import fsspec
import pytest

from fcfi_core.cli import main
from fcfi_core.errors import DataError
from fcfi_core.stores import Stored

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FOLDER = Path(__file__).parents[2] / ".e2e" / "azurite"
SAMPLES = Path(main.__code__.co_filename).parents[1] / "serving" / "playground" / "assets" / "samples"
# The name and key that every Azurite has; Microsoft publishes them.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def connection():
    """The connection string of a running Azurite."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here to install azurite with")
    program = FOLDER / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        words = [npm, "install", "--no-audit", "--no-fund", "azurite@3"]
        done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"azurite cannot be installed here: {done.stderr.strip()[-200:]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = ["--inMemoryPersistence", "--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort"]
    with subprocess.Popen([program, *given, str(port)], stdout=subprocess.DEVNULL, cwd=FOLDER) as server:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
        place = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT}"
        yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{place};"
        server.terminate()


def test_photos_give_the_same_masks_as_here(connection, monkeypatch, tmp_path, capsys):
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(connection) as service:
        container = service.create_container("photos")
        for photo in SAMPLES.glob("*.jpg"):
            container.upload_blob(f"mine/{photo.name}", photo.read_bytes())
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("image,x,y\ncoffee.jpg,300,150\ncat.jpg,220,160\nrocket.jpg,322,150\n")

    def masks(images):
        out = tmp_path / images.partition(":")[0].replace("/", "_")
        words = ["--out", str(out), "--device", "cpu", "--threads", "1", "--quiet"]
        assert main(["annotate", str(clicks), "--images", images, *words]) == 0
        return json.loads((out / "annotations.json").read_text())["annotations"]

    assert masks("az://photos/mine") == masks("abfs://photos/mine") == masks(str(SAMPLES))
    with pytest.raises(DataError, match="is not there"):
        Stored("az://photos/mine/gone.jpg").read()
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", connection.replace(KEY, KEY[::-1].replace("=", "") + "==")
    )
    fsspec.get_filesystem_class("az").clear_instance_cache()
    with pytest.raises(
        DataError, match=r"^'az://photos/mine/cat.jpg' cannot be read from its store: [^\n]+\.$"
    ):
        Stored("az://photos/mine/cat.jpg").read()
