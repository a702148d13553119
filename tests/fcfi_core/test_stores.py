"""Photos in a store: real servers (moto's for S3, an emulator of Google's), and where there is none."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys

import boto3
import fsspec
import numpy as np
import pytest
import requests
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer
from PIL import Image

from fcfi_core.cli import main
from fcfi_core.datasets.photos import Photos
from fcfi_core.errors import DataError, SettingsError
from fcfi_core.stores import Stored, named
from fcfi_core.workers import local

SECRET = "not-to-be-seen-anywhere"


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """A bucket of a server that only we know."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    store = boto3.resource("s3")
    made = store.create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield made
    made.objects.delete()
    made.delete()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def stored(bucket, tmp_path):
    """Three photos in the store and here, one of them damaged, and prompts on them and on a missing one."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    contents = {"0.png": picture(0), "deep/1.png": picture(1), "bad.png": picture(2)[:60]}
    for name, content in contents.items():
        (tmp_path / "photos" / name).write_bytes(content)
        bucket.put_object(Key=f"photos/{name}", Body=content)
    bucket.put_object(Key="photos/.hidden/2.png", Body=b"")
    bucket.put_object(Key="photos/notes.txt", Body=b"no photo")
    rows = ["image,x,y,label", "0.png,20,20,cat", "1.png,40,20,cat", "bad.png,5,5,cat", "gone.png,5,5,cat"]
    (tmp_path / "clicks.csv").write_text("\n".join(rows))
    bucket.put_object(Key="photos/clicks.csv", Body="\n".join(rows).encode())
    return tmp_path


def annotate(*words):
    return main(["annotate", *map(str, words), "--device", "cpu", "--threads", "1", "--quiet", "--json"])


def masks(out):
    return json.loads((out / "annotations.json").read_text())["annotations"]


def test_masks_are_those_of_the_same_photos_here(stored, capsys):
    clicks = stored / "clicks.csv"
    assert annotate(clicks, "--images", stored / "photos", "--out", stored / "here") == 1
    told = json.loads(capsys.readouterr().out)
    assert annotate(clicks, "--images", "s3://bucket/photos/", "--out", stored / "there") == 1
    found = json.loads(capsys.readouterr().out)
    assert masks(stored / "there") == masks(stored / "here")
    assert len(masks(stored / "there")) == 2
    errors = {one["image"]: one["error"] for one in found["errors"]}
    assert set(errors) == {one["image"] for one in told["errors"]} == {"bad.png", "gone.png"}
    assert "'s3://bucket/photos/bad.png' cannot be decoded" in errors["bad.png"]
    assert "is not in s3://bucket/photos" in errors["gone.png"]
    assert annotate("s3://bucket/photos/clicks.csv", "--out", stored / "all") == 1
    assert masks(stored / "all") == masks(stored / "here")
    for file in [*stored.glob("there/*"), *stored.glob("all/*")]:
        assert SECRET not in file.read_text()


def test_worker_processes_open_the_store_by_themselves(stored, monkeypatch, capsys):
    monkeypatch.setattr(local, "_FEWEST", 1)
    # A fork server keeps the environment of whichever test began it, without the keys of this one.
    monkeypatch.setattr(local.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    hired = []
    hire = local.Processes.hire
    monkeypatch.setattr(local.Processes, "hire", lambda self, job: hired.append(job) or hire(self, job))
    words = (stored / "clicks.csv", "--images", "s3://bucket/photos", "--out", stored / "out", "--workers", 2)
    assert annotate(*words) == 1
    assert len(hired) == 2
    assert len(masks(stored / "out")) == 2


def test_a_folder_of_a_store_is_ranked_and_a_data_set_evaluated(stored, tmp_path, capsys):
    words = ["--device", "cpu", "--threads", "1", "--quiet"]
    assert main(["rank", "s3://bucket/photos", "--out", str(tmp_path / "table.csv"), *words]) == 1
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("3,bad.png,")
    square = [[10, 10, 30, 10, 30, 30, 10, 30]]
    content = {
        "images": [
            {"id": n, "file_name": name, "width": 64, "height": 48}
            for n, name in enumerate(["0.png", "deep/1.png", "bad.png"], 1)
        ],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "segmentation": square, "iscrowd": 0}
            for n in (1, 2, 3)
        ],
    }
    (tmp_path / "objects.json").write_text(json.dumps(content))
    figures = tmp_path / "figures.json"
    words += ["--images", "s3://bucket/photos", "--max-clicks", "1", "--json", str(figures)]
    assert main(["evaluate", str(tmp_path / "objects.json"), *words]) == 0
    (found,) = json.loads(figures.read_text())["datasets"]
    assert found["objects"] == 2
    assert sum(found["left_out"].values()) == 1


def test_what_a_store_refuses_is_one_sentence_without_the_keys(bucket, tmp_path, monkeypatch, capsys):
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("image,x,y\na.png,1,1\n")
    for address, sentence in (
        ("s3://elsewhere/photos", "not"),
        ("s3://bucket/nothing", "is not in s3://bucket/nothing"),
    ):
        assert annotate(clicks, "--images", address, "--out", tmp_path / "out") == 2
        told = capsys.readouterr().err
        assert sentence in told
        assert address in told
        assert told.count("\n") == 1
        assert SECRET not in told
    assert annotate("s3://bucket/none.csv", "--out", tmp_path / "out") == 2
    assert "'s3://bucket/none.csv' cannot be read from its store: it is not there" in capsys.readouterr().err
    with pytest.raises(SettingsError, match=r"'s3://\*\*\*@bucket/photos' holds a user or a password"):
        named(f"s3://me:{SECRET}@bucket/photos")


def test_results_are_written_here(tmp_path, capsys):
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("image,x,y\na.png,1,1\n")
    assert annotate(clicks, "--out", "s3://bucket/masks") == 2
    assert "copy it into the store" in capsys.readouterr().err


@pytest.fixture
def google():
    """The address of a server that speaks as Google's store does, with a bucket in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_photos_in_googles_store_give_the_same_masks_and_nothing_else_is_told(google, stored):
    for name in ("0.png", "deep/1.png", "bad.png"):
        requests.post(
            f"{google}/upload/storage/v1/b/bucket/o",
            params={"uploadType": "media", "name": f"photos/{name}"},
            data=(stored / "photos" / name).read_bytes(),
            timeout=10,
        ).raise_for_status()
    clicks, words = str(stored / "clicks.csv"), ["--device", "cpu", "--threads", "1", "--quiet"]
    assert annotate(clicks, "--images", stored / "photos", "--out", stored / "here") == 1
    for scheme, images, code in (("gs", "photos", 1), ("gcs", "photos", 1), ("gs", "nothing", 2)):
        images = f"{scheme}://bucket/{images}"
        # A process of its own: packages of stores write to an unconfigured log, which pytest configures.
        run = "import sys; from fcfi_core.cli import main; sys.exit(main())"
        given = [clicks, "--images", images, "--out", str(stored / scheme / str(code)), *words]
        done = subprocess.run(
            [sys.executable, "-c", run, "annotate", *given],
            env={**os.environ, "STORAGE_EMULATOR_HOST": google},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        if code == 1:
            assert masks(stored / scheme / "1") == masks(stored / "here")
            assert not {line for line in done.stderr.splitlines() if "failed (the first" not in line}
        else:
            assert "is not in gs://bucket/nothing" in done.stderr
            assert done.stderr.count("\n") == 1


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(SettingsError, match=r"s3:// needs the package 'fsspec'.*fcfi\[storage\]"):
        Stored("s3://bucket/a.jpg").read()


def test_a_store_whose_package_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(SettingsError, match=r"az:// needs the package 'adlfs'.*fcfi\[azure-storage\]"):
        Stored("az://container/a.jpg").read()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SettingsError, match=r"gs:// needs the package 'gcsfs'.*fcfi\[google-storage\]"):
        Stored("gs://bucket/a.jpg").read()


def test_a_store_without_keys_is_one_sentence(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AZURE_STORAGE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=r"^'az://container/a.jpg' cannot be opened: .*[a-z]\.$"):
        Stored("az://container/a.jpg").read()


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def test_photos_are_found_by_the_rules_of_folders(memory):
    for name in ("a/My Cow.JPG", "b/x.png", "c/x.png", "same/y.png", "copy/y.png"):
        memory.pipe(f"/photos/{name}", name.encode() if "y" not in name[-5:] else b"same")
    root = Stored("memory://photos")
    photos = Photos([root], [root])
    assert photos.find("a/My Cow.JPG") == root / "a/My Cow.JPG"
    assert photos.find("s3://other/store/my_cow.jpg") == root / "a/My Cow.JPG"
    assert photos.find("elsewhere/c/x.png") == root / "c/x.png"
    assert photos.find("y.png").name == "y.png"
    with pytest.raises(DataError, match="may be"):
        photos.find("x.png")


def test_addresses():
    address = Stored("s3://bucket/photos/a.b.jpg")
    assert (address.name, address.stem, address.suffix) == ("a.b.jpg", "a.b", ".jpg")
    assert address.parent == Stored("s3://bucket/photos")
    assert address.parent.parent.parent == Stored("s3://bucket")
    assert address.relative_to(Stored("s3://bucket")).as_posix() == "photos/a.b.jpg"
    assert named("C:/photos").name == "photos"
    assert str(named("file:///photos")) == "/photos"
