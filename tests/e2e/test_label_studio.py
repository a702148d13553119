"""The real Label Studio, installed from PyPI and started here, from setting up to the exported mask.

``LABEL_STUDIO_VENV`` names the environment to use (made if it is not there; else ``.e2e/label-studio``), and
``LABEL_STUDIO_VERSION`` the version to install.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcfi_core import Click, Predictor
from fcfi_core.cli import main
from fcfi_core.masks import coco
from fcfi_core.masks import label_studio as code
from fcfi_core.masks.finish import Finish
from fcfi_core.settings import CORE_VARIABLES, read
from label_studio_backend.answers import Place, regions
from label_studio_backend.image_resolver import ImageResolver
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.labelling_config import LabellingConfig
from label_studio_backend.labelling_templates import labelling_config
from label_studio_backend.prompts import from_context
from label_studio_backend.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
VERSION = os.environ.get("LABEL_STUDIO_VERSION", "1.23.2")
ENVIRONMENT = Path(os.environ.get("LABEL_STUDIO_VENV") or ROOT / ".e2e" / f"label-studio-{VERSION}")
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


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The folder below which Label Studio serves local files."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def photo():
    """A red disk on a ground of waves, as PNG, with its centre and radius."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.stack([110 + 30 * np.sin(columns / 17), 120 + 30 * np.cos(rows / 23), 90 + 0 * rows], 2)
    disk = (columns - 140) ** 2 + (rows - 130) ** 2 <= 60**2
    pixels = np.where(disk[..., None], (225, 60, 40), ground).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


CLICKS = (Click(140, 130), Click(170, 150), Click(300, 20, False), Click(110, 110))


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


def ground_of(width, height):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([110 + 30 * np.sin(columns / 17), 120 + 30 * np.cos(rows / 23), 90 + 0 * rows], 2)


@pytest.fixture(scope="module")
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


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (("--output", "brush"), (1400, 900)),
        (("--output", "brush", "--background", "background"), (1024, 700)),
        (("--output", "polygon"), (1366, 768)),
        (("--output", "rectangle"), (1920, 1080)),
        (("--output", "bitmask"), (1280, 800)),
        (("--output", "brush", "--boxes"), (1600, 900)),
    ],
)
def test_in_the_editor_as_a_person_does(
    label_studio, open_editor, project, scene, tmp_path, capsys, options, size
):
    """Log in, Label All Tasks, keys and clicks of the guide, submit, export."""
    number = project(*options)
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    name = f"{'-'.join(options).strip('-')}-{size[0]}".replace("--", "")
    with open_editor(label_studio.url, *size) as editor:
        start = time.monotonic()
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        assert editor.selected_labels() == ["disk"]
        (context,) = editor.click(180 / 640, 240 / 480)
        assert [entry["is_positive"] for entry in context] == [True, True]
        first = editor.hands, time.monotonic() - start
        assert editor.selected_labels() == ["disk"], "the label stays chosen"
        if "--background" in options:
            editor.press("3")
            (disk,) = editor.click(470 / 640, 250 / 480)
            assert disk[-1]["value"]["labels"] == ["background"]
            editor.press("3")
        else:
            (disk,) = editor.click(470 / 640, 250 / 480, negative=True)
            assert disk[-1]["is_positive"] is False
        editor.shot(pictures / f"{name}-negative.png")
        editor.tick()
        assert len(editor.regions()) == 1
        editor.press("2")
        (square,) = editor.click(470 / 640, 250 / 480)
        assert len(square) == 2, "a new object has clicks of its own"
        editor.shot(pictures / f"{name}-second.png")
        editor.tick()
        saved = editor.submit()
        editor.shot(pictures / f"{name}-submitted.png")
    print(f"{name}: first mask after {first[0]} clicks and keys, {first[1]:.1f} s; all {editor.hands}")

    # what was saved is exported
    export = tmp_path / "export.json"
    export.write_bytes(label_studio.ask("GET", f"/api/projects/{number}/export?exportType=JSON").body)
    assert main(["label-studio", "export", str(export), "--to", "coco", "--out", str(tmp_path / "coco")]) == 0
    content = json.loads((tmp_path / "coco" / "instances.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert content["images"][0]["file_name"] == "scene.png"
    found = {name: np.zeros((480, 640), bool) for name in names.values()}
    for one in content["annotations"]:
        found[names[one["category_id"]]] |= coco.decode(one["segmentation"])
    assert set(found) == {"disk", "square & co"}
    predictor = Predictor.from_settings(read(CORE_VARIABLES, os.environ))
    for label, context in (("disk", disk), ("square & co", square)):
        (prompt,) = from_context(context, "background")
        answer = predictor.answer(scene[0], prompt.prompt(640, 480, 640, 480)).finished(Finish())
        if "rectangle" in options:
            box = answer.mask.any(0).nonzero()[0][[0, -1]], answer.mask.any(1).nonzero()[0][[0, -1]]
            wanted = np.zeros_like(answer.mask)
            wanted[box[1][0] : box[1][1] + 1, box[0][0] : box[0][1] + 1] = True
            assert (found[label] == wanted).all()
        elif "polygon" in options:
            assert overlap(found[label], answer.mask) > 0.98
        else:
            assert (found[label] == answer.mask).all()
    assert overlap(found["disk"], scene[1]["disk"]) > (0.75 if "rectangle" in options else 0.9)
    # each mask carries the class it was clicked with, and nothing else
    rows = [entry["value"]["labels"] for entry in saved if entry["type"] == "labels"]
    assert sorted(map(tuple, rows))[:1] == [("disk",)]
    assert {label for row in rows for label in row} == {"disk", "square & co"}
    assert all(len(row) == 1 for row in rows)


def test_a_label_key_pressed_twice_loses_no_mask(label_studio, open_editor, project, tmp_path):
    """The key lets go of its label: the next click gives a mask without a class; the key brings it back."""
    number = project("--output", "brush")
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        editor.click(180 / 640, 240 / 480)
        editor.press("1")
        assert editor.selected_labels() == []
        (alone,) = editor.click(200 / 640, 200 / 480)
        assert [entry["type"] for entry in alone] == ["keypoint"], "a click of no class, sent alone"
        editor.shot(pictures / "key-twice-let-go.png")
        assert editor.all("[data-testid=bottombar-accept-suggestions-button]"), "a mask is shown"
        editor.press("1")
        (together,) = editor.click(160 / 640, 270 / 480)
        editor.shot(pictures / "key-twice-again.png")
        assert sum(entry["type"] == "keypoint" for entry in together) >= 2, (
            "clicks with the label count again"
        )
        editor.tick()
        saved = editor.submit()
    masks = [entry for entry in saved if entry["type"] == "brush"]
    assert len(masks) == 1
    assert [entry["value"]["labels"] for entry in saved if entry["type"] == "labels"] == [["disk"]]


@pytest.fixture
def exclusive(monkeypatch):
    """Let backends started from now on keep finished regions apart."""
    monkeypatch.setenv("FCFI_LABEL_STUDIO_EXCLUSIVE", "1")


def test_finished_regions_keep_their_pixels(label_studio, exclusive, open_editor, project, tmp_path):
    """Alone, the click on the square takes in the disk, too."""
    number = project("--output", "brush")
    pictures = Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path)
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        editor.switch()
        editor.press("m")
        editor.press("1")
        editor.click(180 / 640, 240 / 480)
        editor.click(470 / 640, 250 / 480, negative=True)
        editor.tick()
        time.sleep(6)  # until the editor has saved the draft
        editor.press("2")
        editor.click(470 / 640, 250 / 480)
        editor.shot(pictures / "exclusive.png")
        editor.tick()
        saved = editor.submit()
    disk, square = (
        code.decode(entry["value"]["rle"], 640, 480) for entry in saved if entry["type"] == "brush"
    )
    assert disk.any()
    assert square[250, 470]
    assert not (disk & square).any()


def test_a_track_is_shown_and_accepted(label_studio, served, scene, open_editor, tmp_path, capsys):
    """What `fcfi track` wrote is imported as the guide says, looked at, and submitted as it is."""
    frames, out = served / "clip", tmp_path / "disk"
    frames.mkdir()
    for number in range(2):
        (frames / f"{number}.png").write_bytes(scene[0])
    assert main(["track", str(frames), "--click", "180,240", "--label", "disk", "--out", str(out)]) == 0
    capsys.readouterr()
    config = (out / "label-studio.xml").read_text()
    number = label_studio.post("/api/projects", {"title": "track", "label_config": config})["id"]
    storage = {"project": number, "path": str(frames), "use_blob_urls": True}
    label_studio.post("/api/storages/localfiles", storage)
    label_studio.post(f"/api/projects/{number}/import", json.loads((out / "label-studio.json").read_text()))
    with open_editor(label_studio.url) as editor:
        editor.log_in("annotator@example.com", "a-long-password-1")
        editor.label_all(number)
        (region,) = editor.until(editor.regions)
        assert "disk" in region
        editor.shot(Path(os.environ.get("FCFI_SCREENSHOTS") or tmp_path) / "track.png")
        mask, label = editor.submit()
    assert label["value"]["labels"] == ["disk"]
    wanted = np.array(Image.open(out / "masks" / "0.png")) > 0
    assert (code.decode(mask["value"]["rle"], 640, 480) == wanted).all()


def objects_in(kind, content):
    """Return how many objects an export holds; None if it is no archive."""
    if content[:4] != b"PK\x03\x04":
        return 1 if content[:4] == b"\x89PNG" else None
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.startswith("images/")}
    if "COCO" in kind:
        (text,) = (text for name, text in files.items() if name.endswith(".json"))
        return len(json.loads(text)["annotations"])
    if kind == "YOLO":
        return sum(len(text.splitlines()) for name, text in files.items() if name.startswith("labels/"))
    if kind == "VOC":
        return sum(text.count(b"<object>") for text in files.values())
    return len(files)


def exports_table():
    """Return {config: {column: cell}} of the documentation's table of exports."""
    page = (ROOT / "docs" / "label-studio.md").read_text(encoding="utf-8")
    lines = [
        line for line in page.split("## Exports")[1].split("## ")[0].splitlines() if line.startswith("|")
    ]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].replace("`", ""): dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def config_called(name):
    classes = [f'<Label value="{label}"/>' for label in ("disk", "square")]

    def tag(kind, name, more=""):
        return f'<{kind} name="{name}" toName="image" {more}>{"".join(classes)}</{kind}>'

    image = '<Image name="image" value="$image"/>'
    clicks = tag("KeyPointLabels", "click", 'smart="true"')
    if name.startswith("setup"):
        return labelling_config(["disk", "square"], shape=name.split()[-1])
    if name == "Labels, hidden BrushLabels":
        point = '<KeyPoint name="click" toName="image" smart="true"/>'
        hidden = f'<View style="display:none">{tag("BrushLabels", "mask")}</View>'
        return f"<View>{tag('Labels', 'label')}{image}{hidden}{point}</View>"
    return f"<View>{image}{tag(name.split(',')[0], 'mask')}{clicks}</View>"


@pytest.mark.parametrize("name", sorted(exports_table()))
def test_what_label_studio_exports_is_what_the_documentation_says(label_studio, photo, name):
    config = config_called(name)
    number = label_studio.post("/api/projects", {"title": name[:50], "label_config": config})["id"]
    label_studio.upload(number, [("disk.png", photo)])
    task = label_studio.get(f"/api/tasks?project={number}")["tasks"][0]["id"]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    results = []
    for label, x in (("disk", 80), ("square", 240)):
        output = LabellingConfig.parse(config).output("image", [label])
        drawn = regions(
            (columns - x) ** 2 + (rows - 120) ** 2 <= 50**2, Place("image", WIDTH, HEIGHT), output, 0.9
        )
        if "<Labels" in config and not output.named:
            # as the editor does when a suggestion is accepted: the chosen label of each row is put on it
            shape = {key: value for key, value in drawn[0]["value"].items() if not key.endswith("labels")}
            value = {**shape, "labels": [label]}
            drawn += [{**drawn[0], "type": "labels", "from_name": "label", "value": value}]
        results += drawn
    label_studio.post(f"/api/tasks/{task}/annotations", {"result": results})
    offered = label_studio.get(f"/api/projects/{number}/export/formats")
    offered = {one["name"] for one in offered if not one.get("disabled")}
    kinds = {
        "COCO": "COCO",
        "YOLO": "YOLO",
        "Pascal VOC": "VOC",
        "PNG": "BRUSH_TO_PNG",
        "NumPy": "BRUSH_TO_NUMPY",
        "Brush to COCO": "BRUSH_TO_COCO",
    }
    found = {}
    for column, kind in kinds.items():
        found[column] = "no"
        if kind in offered:
            route = f"/api/projects/{number}/export?exportType={kind}&download_all_tasks=false"
            count = objects_in(kind, label_studio.ask("GET", route).body)
            found[column] = {0: "empty", 2: "yes", 4: "twice"}[count]
    assert found == exports_table()[name]
